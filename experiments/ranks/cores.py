"""How the ranks of one host share its cores and its GPUs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch

from limbshift.envs.errors import InputError
from limbshift.envs.physics.cores import available_cores, keep_to
from limbshift.meta.threads import torch_threads


class Place(NamedTuple):
    """Of a rank among those that share its cores."""

    number: int = 0
    """From 0 on."""
    total: int = 1
    """How many there are."""


def share_of(cores: Sequence[int], place: Place) -> list[int]:
    """Returns the cores of one rank: neighbours; all of them where there are fewer than ranks.

    >>> [share_of([0, 1, 2, 3, 6], Place(number, 2)) for number in range(2)]
    [[0, 1], [2, 3, 6]]
    >>> share_of([0], Place(1, 2))
    [0]
    """
    if len(cores) < place.total:
        return list(cores)
    first, end = (len(cores) * number // place.total for number in (place.number, place.number + 1))
    return list(cores[first:end])


@contextmanager
def keeping_to(cores: Sequence[int]) -> Iterator[None]:
    """Runs the block, and all threads that it starts, on these cores alone, where the system can bind a process."""
    before = available_cores()
    keep_to(cores)
    try:
        with torch_threads(len(cores)):
            yield
    finally:
        keep_to(before)


def device_of(device: torch.device, place: Place) -> torch.device:
    """Returns the GPU of a rank where its device is one; raises InputError where there are fewer than ranks."""
    if device.type != "cuda" or place.total == 1:
        return device
    available = torch.cuda.device_count()
    if place.total > available:
        raise InputError(
            f"ranks on this host are {place.total}, expected at most {available}, as many as CUDA devices, or --device"
            " cpu"
        )
    torch.cuda.set_device(place.number)
    return torch.device("cuda", place.number)
