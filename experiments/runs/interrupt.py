"""Ctrl-C ends a run after the iteration it is in."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupt:
    """Tells whether the user has asked to stop."""

    requested = False
    immediate = False
    """Whether already the first time ends what is being done: since all is saved, it can be left undone."""


@contextmanager
def graceful_interrupt() -> Iterator[Interrupt]:
    """Makes the first SIGINT or SIGTERM ask to stop, and a second one interrupt at once.

    Outside the main thread, where Python allows no handlers, signals do what they did.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return

    def handle(number: int, frame: FrameType | None) -> None:
        again, interrupt.requested = interrupt.requested, True
        if again or interrupt.immediate:
            raise KeyboardInterrupt

    previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupt
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
