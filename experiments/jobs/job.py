"""Work that can be done anywhere, and what is done with what comes of it."""

from collections.abc import Callable, Iterable
from typing import Generic, Literal, NamedTuple, Protocol, TypeVar

R = TypeVar("R")
Engine = Literal["local", "ray"]
"""What does jobs: this machine, or those of a Ray cluster."""


class Job(NamedTuple, Generic[R]):
    """A piece of work, such as the training of one method by one seed.

    >>> kept = []
    >>> Job("three and four", lambda: 3 + 4, kept.append)()
    >>> kept
    [7]
    """

    name: str
    """In errors."""
    work: Callable[[], R]
    """Sent to other processes, whence what it returns comes back: as data, since machines may share no files."""
    keep: Callable[[R], object]
    """Called here, with what the work returned; writes files, for one."""

    def __call__(self) -> None:
        """Does the work here."""
        self.keep(self.work())


Outcomes = Iterable[tuple[Job[R], R | Exception]]
"""Jobs as they end, each with what came of it or with why nothing did."""


class DoJobs(Protocol):
    """Does jobs; asks for the next when there is room for it and the last outcome was dealt with."""

    def __call__(self, jobs: Iterable[Job[R]], /) -> Outcomes[R]:
        """Returns jobs as they end."""


def in_turn(jobs: Iterable[Job[R]]) -> Outcomes[R]:
    """Does one job after another, here; an error in one ends them all."""
    for job in jobs:
        yield job, job.work()


def keep_all(outcomes: Outcomes[R], failed: list[Exception] | None = None) -> None:
    """Keeps what comes of each job as soon as it is there, and raises the first error when all are over.

    failed: is given each error when it comes.

    >>> kept = []
    >>> keep_all(in_turn([Job("three", lambda: 3, kept.append), Job("four", lambda: 4, kept.append)]))
    >>> kept
    [3, 4]
    """
    failed = [] if failed is None else failed
    for job, outcome in outcomes:
        if isinstance(outcome, Exception):
            failed.append(outcome)
        else:
            job.keep(outcome)
    if failed:
        raise failed[0]
