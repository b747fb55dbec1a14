"""Whether the other ranks are still there, also where no message could tell."""

import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import NoReturn, Protocol

PERIOD = 1.0
"""Seconds between two beats of a rank."""
PATIENCE = 30.0
"""After so many seconds without a beat a rank is given up: its host is gone, or it hangs."""


class Counters(Protocol):
    """What all ranks add to, as PyTorch's stores are."""

    def add(self, key: str, value: int) -> int:
        """Returns the new count; raises RuntimeError where it cannot be reached."""


class Pulse:
    """Beats for this rank, in a thread of its own, and listens for rank 0, or as rank 0 for all.

    Where PyTorch waits for a message of a host that has lost its power or its network, it waits for half an hour. So
    this ends the process itself. A second thread looks after the first, since the store can hang as well.
    """

    def __init__(
        self, store: Counters, rank: int, size: int, *, give_up: Callable[[str], object] | None = None
    ) -> None:
        """store: a connection of its own, to where all ranks' beats are kept. give_up: ends the process."""
        self._store = store
        self._rank = rank
        self._listens_for = [other for other in range(size) if other != rank] if rank == 0 else [0]
        self._give_up = give_up or _end
        self._heard = time.monotonic()
        """When the rank that was silent for longest was heard."""
        self._who = "the host of rank 0"
        self._over = threading.Event()
        for work in (self._beat, self._watch):
            threading.Thread(target=work, name=f"pulse{work.__name__}", daemon=True).start()

    def stop(self) -> None:
        """Ends it; the others may end at any time from now on."""
        self._over.set()

    def silent(self, ranks: Iterable[int]) -> list[int]:
        """Returns which of some ranks do not beat for some seconds; all where nobody can tell."""
        ranks = list(ranks)
        try:
            before = self._beats(ranks)
            time.sleep(3 * PERIOD)
            after = self._beats(ranks)
        except RuntimeError:
            return ranks
        return [rank for rank, one, other in zip(ranks, before, after, strict=True) if one == other]

    def _beats(self, ranks: Iterable[int]) -> list[int]:
        return [self._store.add(f"pulse/{rank}", 0) for rank in ranks]

    def _beat(self) -> None:
        seen = dict.fromkeys(self._listens_for, -1)
        changed = dict.fromkeys(self._listens_for, time.monotonic())
        while not self._over.wait(PERIOD):
            try:
                self._store.add(f"pulse/{self._rank}", 1)
                beats = self._beats(self._listens_for)
            except RuntimeError:  # where it was kept is gone
                self._who = "the host of rank 0"
                self._heard = -math.inf
                return
            now = time.monotonic()
            for rank, beat in zip(self._listens_for, beats, strict=True):
                if beat != seen[rank]:
                    seen[rank], changed[rank] = beat, now
            oldest = min(self._listens_for, key=lambda rank: changed[rank])
            self._who, self._heard = f"rank {oldest}", changed[oldest]

    def _watch(self) -> None:
        while not self._over.wait(PERIOD):
            if time.monotonic() - self._heard > PATIENCE and not self._over.is_set():
                self._give_up(f"{self._who} is not heard of any more, expected a sign each second")
                return


def _end(message: str) -> NoReturn:
    """Ends the process from a thread: the main one may wait for ever."""
    print(f"limbshift: {message}", file=sys.stderr, flush=True)
    os._exit(1)
