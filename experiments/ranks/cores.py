"""How the ranks of one host share its cores and its GPUs."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch

from limbshift.envs.errors import InputError
from limbshift.meta.threads import torch_threads


class Place(NamedTuple):
    """Of a rank among those that share its cores."""

    number: int = 0
    """From 0 on."""
    total: int = 1
    """How many there are."""


def available_cores() -> list[int]:
    """Returns the cores that this process may run on; all of the machine's where the system does not tell."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


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
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    try:
        with torch_threads(len(cores)):
            yield
    finally:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, before)


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
