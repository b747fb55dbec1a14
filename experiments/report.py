"""Shows an evaluation: a table on the terminal, a plot in a file."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from agents.files import replacing
from meta.adaptation import Adaptation, Figures

CONTROL_LABELS = {
    "memory_off": "memory off (each step as a trial's first)",
    "memory_wiped_each_episode": "memory wiped each episode",
    "random": "random actions",
}
COLOURS = {"own": "#1f5fa8", "memory_off": "#c46a1b", "memory_wiped_each_episode": "#7a4fa3", "random": "#8a8a8a"}


def tasks_phrase(result: Adaptation) -> str:
    """Such as "64 held-out tasks never trained on"."""
    seen = "never trained on" if result.unseen else "the same as in training"
    return f"{result.num_tasks} {result.split} tasks, {seen}"


def print_adaptation(result: Adaptation, console: Console | None = None) -> None:
    """A row for each way to act, a column for each episode."""
    console = console or Console()
    variant = "" if result.variant == "default" else f" ({result.variant})"
    title = f"{result.family}{variant}: return per episode on {tasks_phrase(result)}"
    table = Table(
        title=title, caption="interquartile mean over tasks, with its 95 % bootstrap interval", title_justify="left"
    )
    table.add_column("")
    for episode in range(result.episodes):
        table.add_column(f"episode {episode + 1}", justify="right")
    table.add_column("worst tenth, last", justify="right")
    table.add_column("falls per episode", justify="right")
    table.add_column("adapted after", justify="right")
    table.add_row(*_row("controller", result), style="bold")
    for name, figures in result.controls.items():
        table.add_row(*_row(CONTROL_LABELS[name], figures))
    console.print(table)


def _row(label: str, figures: Figures) -> list[str]:
    cells = [label]
    for iqm, interval in zip(figures.iqm, figures.ci95, strict=True):
        cells.append(f"{iqm:.1f}" + (f" [{interval[0]:.1f}, {interval[1]:.1f}]" if interval else ""))
    falls = [count for trial in figures.falls for count in trial]
    time = figures.adaptation_time_s
    cells += [f"{figures.worst10[-1]:.1f}", f"{sum(falls) / len(falls):.2f}", "-" if time is None else f"{time:.2f} s"]
    return cells


def plot_adaptation(result: Adaptation, path: Path) -> None:
    """A PNG: return by episode with intervals, and the reward at each step of the first and last episode."""
    figure = Figure(figsize=(11, 4.2), dpi=130, layout="constrained")
    left, right = figure.subplots(1, 2)
    _plot_returns(left, result)
    _plot_steps(right, result)
    figure.suptitle(f"{result.family}: {tasks_phrase(result)}", fontsize=12)
    with replacing(path) as temporary:
        figure.savefig(temporary)


def _plot_returns(axes: Axes, result: Adaptation) -> None:
    curves: dict[str, Figures] = {"own": result, **result.controls}
    for place, (name, figures) in enumerate(curves.items()):
        episodes = [episode + 1 + 0.03 * (place - 1.5) for episode in range(result.episodes)]
        low = [iqm - (interval or (iqm, iqm))[0] for iqm, interval in zip(figures.iqm, figures.ci95, strict=True)]
        high = [(interval or (iqm, iqm))[1] - iqm for iqm, interval in zip(figures.iqm, figures.ci95, strict=True)]
        label = "controller" if name == "own" else CONTROL_LABELS[name]
        width = 2.2 if name == "own" else 1.3
        axes.errorbar(
            episodes, figures.iqm, [low, high], color=COLOURS[name], label=label, marker="o", lw=width, capsize=3
        )
    axes.set_xticks(range(1, result.episodes + 1))
    axes.set_xlabel("episode of the trial")
    axes.set_ylabel("return (interquartile mean, 95 % interval)")
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, frameon=False)


def _plot_steps(axes: Axes, result: Adaptation) -> None:
    seconds = [step * result.control_timestep_s for step in range(result.horizon)]
    axes.plot(seconds, result.mean_reward_per_step[0], color="#e0902f", lw=1.6, label="episode 1")
    if result.episodes > 1:
        last = f"episode {result.episodes}"
        axes.plot(seconds, result.mean_reward_per_step[-1], color=COLOURS["own"], lw=1.6, label=last)
    if result.adaptation_time_s is not None:
        label = f"adapted after {result.adaptation_time_s:.2f} s"
        axes.axvline(result.adaptation_time_s, color="#555555", ls=":", lw=1.2, label=label)
    axes.set_xlabel("robot time in the episode (s)")
    axes.set_ylabel("mean reward per step")
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, frameon=False)
