"""Several processes that learn together, over PyTorch's process groups."""

import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from limbshift.agents.normaliser import Moments
from limbshift.envs.errors import InputError, RunFailure
from limbshift.meta.ranks.errors import RankError
from limbshift.meta.ranks.pulse import Pulse

TIME_TO_MEET = timedelta(minutes=5)


class Together:
    """One of R ranks. Tensors travel by gloo, or by NCCL where they lie on a GPU.

    Rank, their number, and where they meet are in the environment, as `torchrun` puts them there: RANK, WORLD_SIZE,
    MASTER_ADDR and MASTER_PORT.
    """

    def __init__(self, *, cuda: bool = False) -> None:
        """Waits for the others. Raises InputError where the port is in use, RunFailure where they do not come."""
        where = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        try:
            self._store, self.rank, self.size = next(iter(rendezvous("env://", timeout=TIME_TO_MEET)))
            self._pulse = Pulse(self._store.clone(), self.rank, self.size)
            dist.init_process_group(
                "cpu:gloo,cuda:nccl" if cuda else "gloo", store=self._store, rank=self.rank, world_size=self.size
            )
        except (RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            if "EADDRINUSE" in reason:
                raise InputError(f"port of {where} is in use, expected a free one as MASTER_PORT") from error
            raise RunFailure(f"ranks did not meet at {where}: {reason[:100]}") from error

    def average(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Sends all in one message; what is returned are views of what came back."""
        flat = torch.cat([tensor.detach().reshape(-1) for tensor in tensors])
        parts = self.total(flat).div_(self.size).split([tensor.numel() for tensor in tensors])
        return tuple(part.view(tensor.shape) for part, tensor in zip(parts, tensors, strict=True))

    def total(self, tensor: Tensor) -> Tensor:
        """Sums in place, too."""
        with telling_of_loss():
            dist.all_reduce(tensor)
        return tensor

    def moments(self, rows: Tensor) -> Moments:
        wide = rows.double()
        mean, square = self.average(wide.mean(dim=0), wide.square().mean(dim=0))
        return Moments(self.size * len(rows), mean.to(rows.dtype), (square - mean.square()).clamp(min=0).to(rows.dtype))

    def std_mean(self, values: Tensor) -> tuple[Tensor, Tensor]:
        count, mean, var = self.moments(values.double().view(-1, 1))
        return (var * (count / (count - 1))).sqrt().to(values.dtype).squeeze(), mean.to(values.dtype).squeeze()

    def share(self, value: Mapping[str, Any]) -> dict[str, Any]:
        content = _packed(value) if self.rank == 0 else torch.empty(0, dtype=torch.uint8)
        size = torch.tensor(len(content))
        with telling_of_loss():
            dist.broadcast(size, 0)
            content = content if self.rank == 0 else torch.empty(int(size), dtype=torch.uint8)
            dist.broadcast(content, 0)
        return _unpacked(content)

    def gather(self, value: Mapping[str, Any]) -> list[dict[str, Any]]:
        content = _packed(value)
        sizes = self.total(torch.tensor([len(content) if rank == self.rank else 0 for rank in range(self.size)]))
        padded = torch.zeros(int(sizes.max()), dtype=torch.uint8)
        padded[: len(content)] = content
        everyones = [torch.empty_like(padded) for _ in range(self.size)]
        with telling_of_loss():
            dist.all_gather(everyones, padded)
        return [_unpacked(each[:size]) for each, size in zip(everyones, sizes.tolist(), strict=True)]

    def leave(self) -> None:
        self._pulse.stop()
        if dist.is_initialized():
            dist.destroy_process_group()

    def is_first_to_tell(self) -> bool:
        """Returns whether no rank has told yet what ended the training; from now on one has."""
        try:
            return int(self._store.add("told", 1)) == 1
        except RuntimeError:  # rank 0's host has ended, where it is kept
            return True

    def name_lost(self) -> str:
        """Returns which ranks have ended, in words; takes some seconds, in which they would show signs of life."""
        silent = self._pulse.silent(rank for rank in range(self.size) if rank != self.rank)
        names = ", ".join(str(rank) for rank in silent) or "another than this"
        return f"rank{'s' if len(silent) > 1 else ''} {names} of {self.size}"


@contextmanager
def telling_of_loss() -> Iterator[None]:
    """Turns what PyTorch raises where another rank is gone into a RankError."""
    try:
        yield
    except RuntimeError as error:
        raise RankError("another rank cannot be reached any more") from error


def _packed(value: Mapping[str, Any]) -> Tensor:
    content = io.BytesIO()
    torch.save(dict(value), content)
    return torch.frombuffer(bytearray(content.getbuffer()), dtype=torch.uint8)


def _unpacked(content: Tensor) -> dict[str, Any]:
    """Executes nothing of what comes from another host."""
    value = torch.load(io.BytesIO(content.numpy().tobytes()), map_location="cpu", weights_only=True)
    assert isinstance(value, dict)
    return value
