"""Shows how a training gets on."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

LINE_SECONDS = 15.0
"""Time between lines where the output is not a terminal."""


class TrainingProgress:
    """Shows a progress bar with return, speed and time left; plain lines where the output is not a terminal."""

    def __init__(self, name: str, console: Console) -> None:
        self.console = console
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TextColumn("{task.fields[figures]}", markup=False),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task(name, total=1.0, figures="")
        self._last_line = 0.0

    def __enter__(self) -> "TrainingProgress":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def update(self, spent: float, steps: int, episode_returns: list[float], *, steps_per_second: float) -> None:
        """Shows the latest figures; `spent` is the share of the budget that is spent."""
        returns = " ".join(f"{value:.1f}" for value in episode_returns)
        figures = f"{steps / 1e6:.2f} M steps, return by episode {returns}, {steps_per_second:,.0f} steps/s"
        self._bar.update(self._task, completed=min(spent, 1.0), figures=figures)
        now = time.monotonic()
        if not self.console.is_terminal and (now - self._last_line > LINE_SECONDS or spent >= 1):
            self._last_line = now
            self.console.print(f"{min(spent, 1.0):4.0%} {figures}", soft_wrap=True, highlight=False)

    def note(self, text: str) -> None:
        """Prints a line above the bar."""
        self.console.print(text, soft_wrap=True, highlight=False)
