"""Does jobs in other processes, each on a core of its own."""

import fcntl
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from limbshift.envs.errors import RunFailure
from limbshift.envs.physics.cores import available_cores, keep_to
from limbshift.experiments.jobs.job import Job, Outcomes
from limbshift.meta.threads import torch_threads

R = TypeVar("R")
MAX_STARTS = 3
"""Of a job whose workers die."""
POLL_SECONDS = 10.0
"""After so long without news it is looked whether there is room for more jobs."""


def on_each_core(jobs: Iterable[Job[R]], *, say: Callable[[str], object] = print) -> Outcomes[R]:
    """Does each job on whichever core of this machine is free, in a process of its own; one that fails leaves the
    others alone.
    """
    context = multiprocessing.get_context("spawn")

    def submit(job: Job[R]) -> Future[R | Exception]:
        worker = ProcessPoolExecutor(1, context)
        future: Future[R | Exception] = worker.submit(alone_on_a_core, job.work)
        worker.shutdown(wait=False)  # when it has done that
        return future

    return side_by_side(jobs, submit, room=lambda: len(available_cores()), lost=(BrokenProcessPool,), say=say)


def side_by_side(
    jobs: Iterable[Job[R]],
    submit: Callable[[Job[R]], Future[R | Exception]],
    *,
    room: Callable[[], int],
    lost: tuple[type[BaseException], ...],
    say: Callable[[str], object],
) -> Outcomes[R]:
    """Does as many jobs at once as there is room for; one that fails leaves the others alone.

    submit: starts a job. lost: what is raised where its worker died, upon which it is started again, a few times. say:
    tells of that.
    """
    waiting, running = iter(jobs), dict[Future[R | Exception], tuple[Job[R], int]]()
    while True:
        while len(running) < room() and (job := next(waiting, None)):
            running[submit(job)] = job, 1
        if not running:
            return
        done, _ = wait(running, POLL_SECONDS, FIRST_COMPLETED)
        for future in [each for each in running if each in done]:
            job, starts = running.pop(future)
            error = future.exception()
            if error is None:
                yield job, future.result()
            elif not isinstance(error, Exception):
                raise error
            elif not isinstance(error, lost):
                yield job, error
            elif starts < MAX_STARTS:
                say(f"{job.name}: its worker died, started again")
                running[submit(job)] = job, starts + 1
            else:
                yield job, RunFailure(f"its worker died {starts} times, the last time since: {first_line(error)}")


def first_line(error: BaseException) -> str:
    """Returns what an error says, on one line."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def alone_on_a_core(work: Callable[[], R]) -> R:
    """Does the work on one core, with one of PyTorch's threads, so that no other job takes its time."""
    with own_core(), torch_threads(1):
        return work()


@contextmanager
def own_core() -> Iterator[None]:
    """Keeps this thread, and those that it starts, on a core that no other job on this machine has.

    Where all are taken, it may use them all. A process that dies gives its core back.
    """
    cores = available_cores()
    folder = Path(tempfile.gettempdir()) / f"limbshift-cores-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    with ExitStack() as held:
        for core in cores:
            file = held.enter_context((folder / str(core)).open("w"))
            with suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                keep_to([core])
                break
        try:
            yield
        finally:
            keep_to(cores)
