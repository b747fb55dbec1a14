"""Does jobs on the machines of a Ray cluster."""

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from types import FrameType
from typing import Any, TypeVar

import ray
import ray.exceptions
from ray._private.services import find_bootstrap_address

from limbshift.envs.errors import InputError, RunFailure
from limbshift.experiments.jobs.job import Job, Outcomes
from limbshift.experiments.jobs.own_files import Files, in_folder
from limbshift.experiments.jobs.side_by_side import alone_on_a_core, first_line, side_by_side

R = TypeVar("R")
LOST = (
    ray.exceptions.WorkerCrashedError,
    ray.exceptions.NodeDiedError,
    ray.exceptions.ObjectLostError,
    ray.exceptions.OutOfMemoryError,
)
"""What Ray raises where a machine, or a process on it, is gone."""
ANSWER_SECONDS = 10.0


@contextmanager
def joined_cluster() -> Iterator[str]:
    """Joins the cluster that RAY_ADDRESS names, or that runs on this machine; where there is none, one is started here.

    Gives, in words, what it consists of. Raises InputError where it cannot be joined.
    """
    with ExitStack() as left:
        if not ray.is_initialized():
            join()
            left.callback(ray.shutdown)
        left.enter_context(leaving_on_sigterm())
        # Otherwise Ray tells of each dead worker in six lines on the standard output; we do in one.
        ray._private.worker._worker_logs_enabled = False
        yield f"machines {sum(node['Alive'] for node in ray.nodes())}, CPU cores {num_cores()}"


def join() -> None:
    """Starts to use a cluster."""
    address = address_to_join()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to Ray's makers
    try:
        ray.init(address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        said = " ".join(str(error).split())  # on other versions of Ray and Python in the cluster it is a list
        raise InputError(f"no Ray cluster can be joined or started: {said}") from error


@contextmanager
def leaving_on_sigterm() -> Iterator[None]:
    """Lets SIGTERM end the program in good order, where Ray's own way prints the stack and aborts."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, frame: FrameType | None) -> None:
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def address_to_join() -> str | None:
    """Returns what Ray is to join: None for what it finds, "local" where it would find a cluster that is gone.

    Raises InputError where nothing answers at RAY_ADDRESS. Ray would wait for minutes in both cases.
    """
    given = os.environ.get("RAY_ADDRESS", "")
    if given == "local":
        return given
    expected = "expected HOST:PORT of a Ray cluster that this machine belongs to"
    if given not in ("", "auto"):
        host, _, port = given.rpartition(":")
        if not host or "://" in host or not port.isdecimal():
            raise InputError(f"RAY_ADDRESS is {given}, {expected}")
        if not answers(given):
            raise InputError(f"RAY_ADDRESS is {given}, where nothing answers, {expected}")
        return None
    found = find_bootstrap_address(None)
    return "local" if found and not given and not answers(found) else None


def answers(address: str) -> bool:
    """Returns whether a program listens at HOST:PORT."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS).close()
    except (OSError, OverflowError):
        return False
    return True


def num_cores() -> int:
    """Returns the CPU cores of all machines that are in the cluster now."""
    return int(ray.cluster_resources().get("CPU", 0))


def on_cluster(jobs: Iterable[Job[R]], files: Files, *, say: Callable[[str], object]) -> Outcomes[R]:
    """Does each job on a core of its own, in a folder that holds the files, while `joined_cluster` lasts."""
    if not num_cores():
        raise InputError("the Ray cluster has no CPU cores, expected machines that joined it by `ray start --address`")

    def submit(job: Job[R]) -> Future[R | Exception]:
        # The restarts are ours, which we tell of.
        task: Any = ray.remote(attempt).options(name=job.name, num_cpus=1, max_retries=0)
        future: Future[R | Exception] = task.remote(job.work, files, version("limbshift")).future()
        return future

    for job, outcome in side_by_side(jobs, submit, room=num_cores, lost=LOST, say=say):
        yield job, about(job, outcome) if isinstance(outcome, Exception) else outcome


def attempt(work: Callable[[], R], files: Files, expected: str) -> R | Exception:
    """Does the work on a machine of the cluster. Our errors are returned: not all of them can be sent as they are."""
    try:
        if (found := version("limbshift")) != expected:
            raise InputError(f"limbshift on {socket.gethostname()} is {found}, expected {expected} as here")
        with in_folder(files):
            return alone_on_a_core(work)
    except InputError as error:
        return InputError(str(error))
    except RunFailure as error:
        return RunFailure(str(error))


def about(job: Job[R], error: Exception) -> Exception:
    """Returns an error that names its job, on one line."""
    said = first_line(error)
    if isinstance(error, ray.exceptions.RayTaskError):  # its text is a traceback, which ends in what was raised
        said = str(error).strip().splitlines()[-1]
    kind = InputError if isinstance(error, InputError) else RunFailure
    return kind(f"{job.name}: {said}")
