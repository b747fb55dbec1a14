"""What the environment says of ranks, before PyTorch is imported."""

import os

from limbshift.envs.errors import InputError

MEETING_PLACE = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What torchrun, and what does as it does, sets for each rank."""


def started_ranks() -> int:
    """Returns how many ranks were started, of which this process is one; 0 where it is on its own."""
    if not all(name in os.environ for name in MEETING_PLACE):
        return 0
    rank, size = (_number(name) for name in ("RANK", "WORLD_SIZE"))
    port, address = _number("MASTER_PORT"), os.environ["MASTER_ADDR"]
    if not 0 <= port < 2**16:
        raise InputError(f"MASTER_PORT in the environment is {port}, expected a number below {2**16}")
    if not address:
        raise InputError("MASTER_ADDR in the environment is '', expected a host")
    if not 0 <= rank < size:
        raise InputError(f"RANK in the environment is {rank}, expected one from 0 on below WORLD_SIZE, {size}")
    return size if size > 1 else 0


def _number(name: str) -> int:
    try:
        return int(os.environ[name])
    except ValueError as error:
        raise InputError(f"{name} in the environment is {os.environ[name]!r}, expected a whole number") from error
