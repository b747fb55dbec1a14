"""The plots of a comparison."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from limbshift.experiments.comparison.methods import METHODS
from limbshift.experiments.comparison.training_run import TrainingRun, by_method, finals
from limbshift.meta.evaluation.across import LEVELS, Across
from limbshift.meta.evaluation.statistics import interquartile_mean

if TYPE_CHECKING:
    from limbshift.experiments.comparison.by_parameter import Bin

COLOURS = dict(
    zip(
        METHODS,
        (
            "#1f5fa8", "#d77fb3", "#17a398", "#e0559e", "#2e7d4f", "#222222", "#8a8a8a", "#94b52c", "#c2a200",
            "#c46a1b", "#4a9aa5", "#7a4fa3", "#5c4033", "#b03a48",
        ),
        strict=True,
    )
)  # fmt: skip
"""By method: the same in all pictures."""
FEW_SEEDS = 5
"""Under so many each seed is drawn, as a dot."""


def name_methods(figure: Figure) -> None:
    """Names the methods once, above all panels."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=6, frameon=False, fontsize=8)


def plot_training(axes: Sequence[Axes], runs: Sequence[TrainingRun]) -> None:
    """Draws returns by time, and by steps, a line for each seed; what is not trained is a level."""
    for name, own in by_method(runs).items():
        for run in own:
            style: dict[str, Any] = {"color": COLOURS[name], "label": name if run is own[0] else None}
            values = [interquartile_mean(np.array(look.returns)[:, -1]) for look in run.looks]
            if not run.looks[-1].steps:
                for panel in axes:
                    panel.axhline(float(values[0]), ls=":", **style)
                continue
            axes[0].plot([look.seconds for look in run.looks], values, marker=".", **style)
            axes[1].plot([look.steps / 1e6 for look in run.looks], values, marker=".", **style)
    axes[0].set(xlabel="training, s", ylabel="return (IQM)")
    axes[1].set(xlabel="env steps, M")
    for panel in axes:
        panel.grid(alpha=0.25)


def plot_adaptation(axes: Axes, runs: Sequence[TrainingRun]) -> None:
    """Draws a line for each method through the IQM over seeds and tasks; where seeds are few, each is a dot.

    A dotted line ends the episodes that were trained on, where trials were longer than that.
    """
    methods = by_method(runs)
    longer = all(run.trials for run in runs)
    trained = len(runs[0].splits["heldout"][0])
    for place, (name, own) in enumerate(methods.items()):
        played = [run.trials.longer if longer and run.trials else run.splits["heldout"] for run in own]
        returns = np.array(played)  # (seeds, tasks, episodes)
        curves = interquartile_mean(returns, axis=1)
        episodes = np.arange(1, curves.shape[1] + 1) + 0.04 * (place - len(methods) / 2)
        level = interquartile_mean(np.concatenate(returns), axis=0)
        axes.plot(episodes, level, color=COLOURS[name], marker="o", label=name)
        if len(curves) < FEW_SEEDS:
            axes.plot(episodes, curves.T, ".", color=COLOURS[name], ms=4, alpha=0.7)
    if longer and curves.shape[1] > trained:
        axes.axvline(trained + 0.5, color="#555555", ls=":", lw=1.2)
    axes.set(xlabel="episode of the trial", ylabel="return (IQM)", xticks=range(1, curves.shape[1] + 1))
    axes.grid(alpha=0.25)


def plot_task_error(axes: Axes, runs: Sequence[TrainingRun]) -> None:
    """Draws, for each training whose memory learnt to tell the task, what it does not know of it by robot time."""
    for name, own in by_method(runs).items():
        for run in own:
            if run.trials and run.trials.task_error:
                seconds = run.trials.control_timestep_s * np.arange(len(run.trials.task_error))
                label = name if run is own[0] else None
                axes.plot(seconds, run.trials.task_error, color=COLOURS[name], label=label, lw=1.2)
    axes.set(xlabel="robot time in the trial, s", ylabel="share of the tasks' variance not known", ylim=(0, None))
    axes.grid(alpha=0.25)


def plot_by_parameter(panels: Sequence[Axes], bins: Sequence["Bin"], quantity: str) -> None:
    """Draws a panel for each parameter: what methods score by its value, on a grey ground where they were trained."""
    names = list(dict.fromkeys(each.parameter for each in bins))
    for panel, parameter in zip(panels, names, strict=True):
        own = [each for each in bins if each.parameter == parameter]
        inside = [each for each in own if each.inside]
        panel.axvspan(min(each.low for each in inside), max(each.high for each in inside), color="#eeeeee")
        own.sort(key=lambda each: each.middle)
        for name in own[0].values:
            values = np.array([each.values[name] for each in own], dtype=float)  # None becomes NaN
            style: dict[str, Any] = {"color": COLOURS[name], "label": name, "marker": "o", "ms": 3, "lw": 1.2}
            panel.plot([each.middle for each in own], values, **style)
        panel.set(xlabel=parameter, ylabel=quantity)
        panel.grid(alpha=0.25)


def plot_profile(axes: Axes, across: Across) -> None:
    """Draws, for each method, the share of trainings that score above each level, with its interval."""
    for name, figures in across.profile.items():
        axes.plot(LEVELS, [figure.value for figure in figures], color=COLOURS[name], label=name)
        low, high = zip(*(figure.ci95 or (figure.value, figure.value) for figure in figures), strict=True)
        axes.fill_between(LEVELS, low, high, color=COLOURS[name], alpha=0.12, lw=0)
    axes.set(xlabel="score", ylabel="share of trainings above it", ylim=(-0.03, 1.03))
    axes.grid(alpha=0.25)


def plot_consumed(axes: Axes, runs: Sequence[TrainingRun]) -> None:
    """Draws a line for each seed that adapts by gradient steps; the others' last episode is a level."""
    for name, own in by_method(runs).items():
        if not own[0].consumed:
            axes.axhline(float(interquartile_mean(finals(own).ravel())), color=COLOURS[name], ls=":", lw=1, label=name)
            continue
        for run in own:
            episodes = [each.episodes for each in run.consumed]
            values = [interquartile_mean(np.array(each.returns)) for each in run.consumed]
            axes.plot(episodes, values, color=COLOURS[name], marker="o", label=name if run is own[0] else None)
    axes.set(xlabel="episodes consumed", ylabel="return of the next (IQM)", xscale="log")
    ticks = sorted({each.episodes for run in runs for each in run.consumed})
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.grid(alpha=0.25)
