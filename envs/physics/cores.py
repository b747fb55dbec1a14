"""The cores that this process may run on."""

import os
from collections.abc import Sequence


def available_cores() -> list[int]:
    """Returns the cores that this process may run on; all of the machine's where the system does not tell."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def keep_to(cores: Sequence[int]) -> None:
    """Keeps this process, and what it starts from now on, to these cores, where the system can bind a process."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
