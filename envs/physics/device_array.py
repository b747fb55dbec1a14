"""Numbers that are needed wherever a simulation runs."""

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor


class DeviceArray:
    """An array that is moved to each device once, and not whenever it is used."""

    def __init__(self, values: ArrayLike) -> None:
        self._values = torch.tensor(np.asarray(values))
        self._placed: dict[tuple[torch.device, torch.dtype], Tensor] = {}

    def __len__(self) -> int:
        return len(self._values)

    def like(self, tensor: Tensor) -> Tensor:
        """Returns the array on the tensor's device and, but for integers, in its dtype; it is not to be written to."""
        dtype = tensor.dtype if self._values.is_floating_point() else self._values.dtype
        place = (tensor.device, dtype)
        if place not in self._placed:
            self._placed[place] = self._values.to(*place)
        return self._placed[place]
