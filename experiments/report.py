"""Shows an evaluation: a table on the terminal, a plot in a file."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from agents.files import replacing
from meta.adaptation import Adaptation, Figures, Shift

CAPTION = (
    "Interquartile mean over tasks with its 95 % bootstrap interval. Worst tenth: mean of the worst tenth of the "
    "tasks in the last episode. Adapted: robot time until episode 1 is as good as the last."
)
LABELS = {
    "controller": "controller",
    "memory_off": "memory off",
    "memory_wiped_each_episode": "memory wiped\neach episode",
    "random": "random\nactions",
}
COLOURS = {
    "controller": "#1f5fa8",
    "memory_off": "#c46a1b",
    "memory_wiped_each_episode": "#7a4fa3",
    "random": "#8a8a8a",
}


def tasks_phrase(result: Adaptation) -> str:
    """Such as "64 held-out tasks never trained on"."""
    seen = "never trained on" if result.unseen else "the same as in training"
    split = result.split.replace("heldout", "held-out")
    return f"{result.num_tasks} {split} tasks, {seen}"


def print_adaptation(result: Adaptation, console: Console | None = None) -> None:
    """A row for each episode, a column for each way to act."""
    console = console or Console()
    variant = "" if result.variant == "default" else f" ({result.variant})"
    title = f"{result.family}{variant}: return per episode on {tasks_phrase(result)}"
    caption = f"{CAPTION} Physics on {result.physics}, network on {result.device}."
    table = Table(title=title, caption=caption, title_justify="left", caption_justify="left", show_lines=True)
    table.add_column("episode")
    for name in ("controller", *result.controls):
        table.add_column(LABELS[name], justify="right", style="bold" if name == "controller" else None)
    ways: list[Figures] = [result, *result.controls.values()]
    for episode in range(result.episodes):
        table.add_row(str(episode + 1), *(_cell(figures, episode) for figures in ways))
    table.add_row("worst tenth", *(f"{figures.worst10[-1]:.1f}" for figures in ways))
    table.add_row("adapted", *(_time(figures.adaptation_time_s) for figures in ways))
    console.print(table)
    if result.shift:
        console.print(shift_sentence(result.shift), highlight=False)
    falls = [count for trial in result.falls for count in trial]
    if any(falls):
        mean = sum(falls) / len(falls)
        console.print(f"The robot fell {mean:.2f} times an episode; what followed a first fall is not counted.")


def shift_sentence(shift: Shift) -> str:
    """What the change of task cost."""
    change = f"Tasks changed before step {shift.at_step}: reward per step {shift.reward_before:.2f} before"
    time = shift.recovery_time_s
    if time == 0:
        return f"{change}, at worst {shift.reward_after:.2f} after: nothing lost."
    back = "not back within the trial" if time is None else f"back within {time:.2f} s of robot time"
    return f"{change}, at worst {shift.reward_after:.2f} after, {back}."


def _cell(figures: Figures, episode: int) -> str:
    """IQM and, on a line of its own, its interval."""
    iqm, interval = figures.iqm[episode], figures.ci95[episode]
    digits = 0 if abs(iqm) >= 100 else 1
    return f"{iqm:.{digits}f}" + (f"\n{interval[0]:.{digits}f} to {interval[1]:.{digits}f}" if interval else "")


def _time(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.2f} s"


def plot_adaptation(result: Adaptation, path: Path) -> None:
    """A PNG: return by episode with intervals, and the reward at each step of the first and last episode."""
    figure = Figure(figsize=(11, 4.2), dpi=130, layout="constrained")
    left, right = figure.subplots(1, 2)
    _plot_returns(left, result)
    _plot_steps(right, result)
    figure.suptitle(f"{result.family}: {tasks_phrase(result)}", fontsize=12)
    with replacing(path) as temporary:
        figure.savefig(temporary)


def legend_above(axes: Axes) -> None:
    """Where it hides no line."""
    axes.legend(fontsize=8, frameon=False, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1.0))


def _plot_returns(axes: Axes, result: Adaptation) -> None:
    curves: dict[str, Figures] = {"controller": result, **result.controls}
    for place, (name, figures) in enumerate(curves.items()):
        episodes = [episode + 1 + 0.03 * (place - 1.5) for episode in range(result.episodes)]
        low = [iqm - (interval or (iqm, iqm))[0] for iqm, interval in zip(figures.iqm, figures.ci95, strict=True)]
        high = [(interval or (iqm, iqm))[1] - iqm for iqm, interval in zip(figures.iqm, figures.ci95, strict=True)]
        label = LABELS[name].replace("\n", " ")
        width = 2.2 if name == "controller" else 1.3
        axes.errorbar(
            episodes, figures.iqm, [low, high], color=COLOURS[name], label=label, marker="o", lw=width, capsize=3
        )
    axes.set_xticks(range(1, result.episodes + 1))
    axes.set_xlabel("episode of the trial")
    axes.set_ylabel("return (interquartile mean, 95 % interval)")
    axes.grid(alpha=0.25)
    legend_above(axes)


def _plot_steps(axes: Axes, result: Adaptation) -> None:
    seconds = [step * result.control_timestep_s for step in range(result.horizon)]
    axes.plot(seconds, result.mean_reward_per_step[0], color="#e0902f", lw=1.6, label="episode 1")
    if result.episodes > 1:
        last = f"episode {result.episodes}"
        axes.plot(seconds, result.mean_reward_per_step[-1], color=COLOURS["controller"], lw=1.6, label=last)
    if result.adaptation_time_s is not None:
        label = f"adapted after {result.adaptation_time_s:.2f} s"
        axes.axvline(result.adaptation_time_s, color="#555555", ls=":", lw=1.2, label=label)
    axes.set_xlabel("robot time in the episode (s)")
    axes.set_ylabel("mean reward per step")
    axes.grid(alpha=0.25)
    legend_above(axes)
