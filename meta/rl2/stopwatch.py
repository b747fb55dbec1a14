"""Where time goes, on the CPU or on a GPU that works on while the host hurries ahead."""

import time
from itertools import pairwise

import torch


class Stopwatch:
    """Marks moments in a device's work; nothing waits before they are read.

    >>> stopwatch = Stopwatch(torch.device("cpu"))
    >>> for _ in range(3):
    ...     stopwatch.mark()
    >>> len(stopwatch.laps())
    2
    """

    def __init__(self, device: torch.device) -> None:
        self._on_gpu = device.type == "cuda"
        self._moments: list[float] = []
        self._events: list[torch.cuda.Event] = []

    def mark(self) -> None:
        """Marks now; on a GPU, when it has come so far."""
        if self._on_gpu:
            event = torch.cuda.Event(enable_timing=True)
            event.record()
            self._events.append(event)
        else:
            self._moments.append(time.perf_counter())

    def laps(self) -> list[float]:
        """Returns the seconds from each mark to the next; waits for a GPU, and begins anew."""
        if self._on_gpu:
            torch.cuda.synchronize()
            laps = [first.elapsed_time(second) / 1000 for first, second in pairwise(self._events)]
        else:
            laps = [second - first for first, second in pairwise(self._moments)]
        self._events, self._moments = [], []
        return laps
