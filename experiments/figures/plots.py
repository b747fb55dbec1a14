"""An evaluation as a plot in a file."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from limbshift.agents.atomic_write import replacing
from limbshift.experiments.figures.tables import LABELS, tasks_phrase
from limbshift.meta.evaluation.adaptation import Adaptation, AdaptationCurve

COLOURS = {
    "controller": "#1f5fa8",
    "memory_off": "#c46a1b",
    "memory_wiped_each_episode": "#7a4fa3",
    "random": "#8a8a8a",
}


def plot_adaptation(result: Adaptation, path: Path) -> None:
    """Writes a PNG: return by episode with intervals, and the reward at each step of the first and last episode."""
    figure = Figure(figsize=(11, 4.2), dpi=130, layout="constrained")
    left, right = figure.subplots(1, 2)
    _plot_returns(left, result)
    _plot_steps(right, result)
    figure.suptitle(f"{result.family}: {tasks_phrase(result)}", fontsize=12)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")


def legend_above(axes: Axes) -> None:
    """Puts the legend where it hides no line."""
    axes.legend(fontsize=8, frameon=False, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1.0))


def _plot_returns(axes: Axes, result: Adaptation) -> None:
    curves: dict[str, AdaptationCurve] = {"controller": result, **result.controls}
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
        label = f"adapted within {result.adaptation_time_s:.2f} s"
        axes.axvline(result.adaptation_time_s, color="#555555", ls=":", lw=1.2, label=label)
    axes.set_xlabel("robot time in the episode (s)")
    axes.set_ylabel("mean reward per step")
    axes.grid(alpha=0.25)
    legend_above(axes)
