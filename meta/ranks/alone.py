"""What a trainer asks of the processes that learn together, and the answers where there is but one."""

from collections.abc import Mapping
from typing import Any, Protocol

from torch import Tensor

from limbshift.agents.normaliser import Moments, moments_of


class Ranks(Protocol):
    """R processes that learn as one: each calls the same methods in the same order, with tensors of the same shapes."""

    rank: int
    """Of this process, from 0 on."""
    size: int
    """R."""

    def average(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Returns the means over the ranks of tensors of one dtype, each elementwise."""

    def total(self, tensor: Tensor) -> Tensor:
        """Returns the sum over the ranks, elementwise."""

    def moments(self, rows: Tensor) -> Moments:
        """Returns the moments of all ranks' (n, D) rows."""

    def std_mean(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Returns standard deviation, 0 of a single value, and mean of all ranks' values: two scalars."""

    def share(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """Returns what rank 0 gives here, on every rank: tensors, numbers, texts and containers of them."""

    def gather(self, value: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Returns what each rank gives, in the order of ranks, on every rank."""

    def leave(self) -> None:
        """Ends what the ranks have in common; from now on each may end when it likes."""


class Alone:
    """The one rank of a training in one process.

    >>> import torch
    >>> ALONE.average(torch.ones(2)), ALONE.gather({"steps": 3})
    ((tensor([1., 1.]),), [{'steps': 3}])
    """

    rank = 0
    size = 1

    def average(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tensors

    def total(self, tensor: Tensor) -> Tensor:
        return tensor

    def moments(self, rows: Tensor) -> Moments:
        return moments_of(rows)

    def std_mean(self, values: Tensor) -> tuple[Tensor, Tensor]:
        return values.std(correction=min(1, values.numel() - 1)), values.mean()

    def share(self, value: Mapping[str, Any]) -> dict[str, Any]:
        return dict(value)

    def gather(self, value: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [dict(value)]

    def leave(self) -> None:
        pass


ALONE = Alone()
