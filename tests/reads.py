"""Finds where the host reads a value from a device."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

READS = ("item", "tolist", "numpy", "cpu", "__bool__", "__int__", "__float__", "__index__", "__array__", "nonzero")


class ValueRead(AssertionError):
    """A tensor's value was asked for."""


@contextmanager
def none_allowed() -> Iterator[None]:
    """A context in which every way to a tensor's values raises, and to send some: on a GPU each would wait."""

    def read(tensor: Tensor, *arguments: Any, **options: Any) -> None:
        raise ValueRead(f"a tensor of shape {tuple(tensor.shape)} was read")

    def send(values: object, **options: Any) -> None:
        raise ValueRead(f"{values!r} was sent to the device")

    with ExitStack() as patches:
        patches.enter_context(patch.object(torch, "tensor", send))
        for name in READS:
            patches.enter_context(patch.object(Tensor, name, read))
        yield
