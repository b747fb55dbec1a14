"""Reads figures off a device."""

import math
from collections.abc import Mapping, Sequence
from itertools import islice

import torch
from torch import Tensor

from limbshift.meta.ranks.alone import ALONE, Ranks


def read_together(figures: Mapping[str, Tensor], ranks: Ranks = ALONE) -> dict[str, list[float]]:
    """Reads all values of some tensors at once: the host waits for the device a single time.

    Of several ranks each value is the mean of theirs.

    >>> read_together({"pair": torch.tensor([1.0, 2.0]), "none": torch.empty(0), "one": torch.tensor(3.0)})
    {'pair': [1.0, 2.0], 'none': [], 'one': [3.0]}
    """
    (means,) = ranks.average(torch.cat([figure.reshape(-1) for figure in figures.values()]))
    values = iter(means.tolist())
    return {name: list(islice(values, figure.numel())) for name, figure in figures.items()}


def finite(values: Sequence[float]) -> float | None:
    """Returns the only value; None where there is none, or where it is no number.

    >>> finite([0.5]), finite([]), finite([float("nan")])
    (0.5, None, None)
    """
    return values[0] if values and math.isfinite(values[0]) else None
