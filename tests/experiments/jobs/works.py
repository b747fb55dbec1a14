"""Work for the tests of jobs, which other processes import."""

import os
import signal
import time
from pathlib import Path

from limbshift.envs.errors import InputError


def die_first(marks: Path, deaths: int) -> int:
    """Kills its own process the first times; returns how often it was begun."""
    begun = len(list(marks.iterdir())) + 1
    (marks / str(begun)).touch()
    if begun <= deaths:
        os.kill(os.getpid(), signal.SIGKILL)
    return begun


def wait(marks: Path, name: str) -> int:
    """Goes on until it is told to end; returns how often it was begun."""
    begun = len(list(marks.glob(f"{name}-*"))) + 1
    (marks / f"{name}-{begun}").touch()
    while not (marks / "go on").exists():
        time.sleep(0.05)
    return begun


def refuse() -> int:
    raise InputError("minutes is 0, expected more")


def stumble() -> int:
    return {"one": 1}["two"]


def cores() -> set[int]:
    return os.sched_getaffinity(0)
