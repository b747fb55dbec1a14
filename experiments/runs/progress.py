"""Shows how a training gets on."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from limbshift.meta.rl2.iteration import Iteration
from limbshift.meta.rl2.trainer import Trainer

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
        self.closed = False
        """Whether nobody reads the output any more, as after `| head`."""

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
        so_far = f"{steps / 1e6:.2f} M" if steps >= 1e6 else f"{steps / 1e3:.1f} thousand"
        figures = f"{so_far} steps, return by episode {returns}, {steps_per_second:,.0f} steps/s"
        self._bar.update(self._task, completed=min(spent, 1.0), figures=figures)
        now = time.monotonic()
        if not self.console.is_terminal and (now - self._last_line > LINE_SECONDS or spent >= 1):
            self._last_line = now
            self.note(f"{min(spent, 1.0):4.0%} {figures}")

    def note(self, text: str) -> None:
        """Prints a line above the bar."""
        try:
            self.console.print(text, soft_wrap=True, highlight=False)
        except (SystemExit, BrokenPipeError):  # rich ends the program, where there is a run to be saved
            self.closed = True


def metrics_of(iteration: Iteration, trainer: Trainer) -> dict[str, float]:
    """Returns what is logged of a trainer's last iteration, by the names that docs/metrics.md explains."""
    metrics = {
        "train/minutes": trainer.progress.seconds / 60,
        "train/terminations_per_episode": iteration.terminations,
        "train/divergences": float(iteration.divergences),
        "train/skipped_minibatches": float(iteration.skipped),
        "train/action_std": iteration.action_std,
        "train/reward_scale": iteration.reward_scale,
        "speed/steps_per_second": trainer.steps_per_iteration / iteration.seconds,
        "speed/env_share": iteration.env_seconds / iteration.seconds,
        "speed/policy_share": iteration.policy_seconds / iteration.seconds,
        "speed/update_share": iteration.update_seconds / iteration.seconds,
    }
    for name in ("learning_rate", "grad_norm", "explained_variance"):
        if (value := getattr(iteration, name)) is not None:
            metrics[f"train/{name}"] = value
    metrics |= by_episode("train/return", iteration.episode_returns)
    metrics |= by_episode("train/return_with_restarts", iteration.returns_with_restarts)
    return metrics | {f"loss/{name}": value for name, value in iteration.losses.items()}


def by_episode(name: str, returns: list[float]) -> dict[str, float]:
    """Returns one metric for each episode of the trial."""
    return {f"{name}_episode_{episode + 1}": value for episode, value in enumerate(returns)}
