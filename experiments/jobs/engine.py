"""The choice of what does jobs."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TypeVar

from rich.console import Console

from limbshift.envs.errors import InputError
from limbshift.experiments.jobs.job import DoJobs, Engine, Job, Outcomes
from limbshift.experiments.jobs.own_files import Files

R = TypeVar("R")


def check_engine(engine: Engine) -> None:
    """Raises InputError where the engine is not installed."""
    if engine == "ray" and not find_spec("ray"):
        raise InputError("engine ray needs ray: pip install '.[cluster]'")


@contextmanager
def open_engine(engine: Engine, local: DoJobs, *, console: Console, files: Files | None = None) -> Iterator[DoJobs]:
    """Gives what does jobs, for as long as the block lasts.

    local: what does them on this machine. files: what their work finds in its working directory on others.
    """
    if engine == "local":
        yield local
        return
    check_engine(engine)
    from limbshift.experiments.jobs.cluster import joined_cluster, on_cluster  # an optional extra

    def say(line: str) -> None:
        console.print(line, highlight=False, soft_wrap=True)

    def do(jobs: Iterable[Job[R]], /) -> Outcomes[R]:
        return on_cluster(jobs, files or {}, say=say)

    with joined_cluster() as consists_of:
        say(f"Ray cluster: {consists_of}")
        yield do
