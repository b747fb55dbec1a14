"""The charts of a comparison."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from limbshift.experiments.comparison.methods import METHODS
from limbshift.experiments.comparison.training_run import TrainingRun, by_method, finals
from limbshift.experiments.figures.chart import Chart, Level, Series, room_for
from limbshift.meta.evaluation.across import LEVELS, Across
from limbshift.meta.evaluation.statistics import interquartile_mean

if TYPE_CHECKING:
    from limbshift.experiments.comparison.by_parameter import Bin

COLOURS = dict(
    zip(
        (name for name, method in METHODS.items() if not method.code),
        (
            "#2b74c9", "#d77fb3", "#17a398", "#e0559e", "#5b5fd6", "#2e9157", "#7f8490", "#a8a8a8", "#94b52c",
            "#c2a200", "#d9741b", "#4a9aa5", "#8f61bd", "#8f6d5c", "#c9424e",
        ),
        strict=True,
    )
)  # fmt: skip
"""By method that comes with limbshift: the same in all pictures, and to be told from white ground and from black."""
OWN_COLOURS = ("#7a5af5", "#00908c", "#b5651d")
"""Of the user's own methods, in turn."""
FEW_SEEDS = 5
"""Under so many each seed is drawn, as a dot."""
SIDESTEP = 0.04
"""By how many episodes methods stand beside each other, so that none hides another."""
RETURN = "return (IQM)"


def colour(method: str) -> str:
    """Returns a method's colour."""
    if method in COLOURS:
        return COLOURS[method]
    own = [name for name in METHODS if name not in COLOURS]
    return OWN_COLOURS[own.index(method) % len(OWN_COLOURS)]


def training(runs: Sequence[TrainingRun]) -> tuple[Chart, Chart]:
    """Returns the return by time, and by steps, a line for each seed; what is not trained is a level."""
    trained = [run for run in runs if run.looks[-1].steps]
    curves = [[float(interquartile_mean(np.array(look.returns)[:, -1])) for look in run.looks] for run in trained]
    levels = tuple(
        Level(run.method, colour(run.method), float(interquartile_mean(np.array(run.looks[0].returns)[:, -1])))
        for run in runs
        if not run.looks[-1].steps
    )

    def chart(title: str, label: str, places: list[list[float]]) -> Chart:
        lines = [
            Series(run.method, colour(run.method), place, curve, notes=[f"seed {run.seed}"] * len(curve))
            for run, place, curve in zip(trained, places, curves, strict=True)
        ]
        return Chart(title, label, RETURN, tuple(lines), levels)

    return (
        chart("By time", "training, s", [[look.seconds for look in run.looks] for run in trained]),
        chart("By steps", "env steps, M", [[look.steps / 1e6 for look in run.looks] for run in trained]),
    )


def adaptation(runs: Sequence[TrainingRun]) -> Chart:
    """Returns a line for each method through the IQM over seeds and tasks; where seeds are few, each is a dot.

    A border ends the episodes that were trained on, where trials were longer than that.
    """
    methods = by_method(runs)
    longer = all(run.trials for run in runs)
    trained = len(runs[0].splits["heldout"][0])
    series: list[Series] = []
    for name, own in methods.items():
        played = [run.trials.longer if longer and run.trials else run.splits["heldout"] for run in own]
        returns = np.array(played)  # (seeds, tasks, episodes)
        curves = interquartile_mean(returns, axis=1)
        episodes = list(range(1, curves.shape[1] + 1))
        level = interquartile_mean(np.concatenate(returns), axis=0)
        series.append(Series(name, colour(name), episodes, level.tolist()))
        if len(curves) < FEW_SEEDS:
            series += [
                Series(
                    name, colour(name), episodes, curve.tolist(), line=False, notes=[f"seed {run.seed}"] * len(curve)
                )
                for run, curve in zip(own, curves, strict=True)
            ]
    return Chart(
        "By episode",
        "episode of the trial",
        RETURN,
        tuple(series),
        border=(trained + 0.5, "trained on") if len(episodes) > trained else None,
        ticks=tuple(episodes),
        sidestep=SIDESTEP,
    )


def task_error(runs: Sequence[TrainingRun]) -> Chart:
    """Returns, for each training whose memory learnt to tell the task, what it does not know of it by robot time."""
    series = [
        Series(
            run.method,
            colour(run.method),
            (run.trials.control_timestep_s * np.arange(len(run.trials.task_error))).tolist(),
            run.trials.task_error,
            dots=False,
            notes=[f"seed {run.seed}"] * len(run.trials.task_error),
        )
        for run in runs
        if run.trials and run.trials.task_error
    ]
    unknown = "share of the tasks' variance not known"
    return Chart("What the memory knows", "robot time in the trial, s", unknown, tuple(series), y_range=(0.0, None))


def by_parameter(bins: Sequence["Bin"], quantity: str) -> list[Chart]:
    """Returns a chart for each parameter: what methods score by its value, on grey ground where they were trained.

    Of few values each has a place, where methods stand beside each other.
    """
    charts = []
    for parameter in dict.fromkeys(each.parameter for each in bins):
        own = sorted((each for each in bins if each.parameter == parameter), key=lambda each: each.middle)
        inside = [each for each in own if each.inside]
        middles = tuple(each.middle for each in own)
        few = all(each.low == each.high for each in own)
        series = tuple(
            Series(name, colour(name), middles, [each.values[name] for each in own], line=not few, notes=_ranges(own))
            for name in own[0].values
        )
        if few:
            step = room_for(len(series), middles)
            charts.append(Chart(f"By {parameter}", parameter, quantity, series, ticks=middles, sidestep=step))
        else:
            ground = (min(each.low for each in inside), max(each.high for each in inside)) if inside else None
            charts.append(Chart(f"By {parameter}", parameter, quantity, series, ground=ground))
    return charts


def _ranges(bins: Sequence["Bin"]) -> list[str]:
    return [f"{each.num_tasks} trials, {each.low:.3g} to {each.high:.3g}" for each in bins]


def profile(across: Across) -> Chart:
    """Returns, for each method, the share of trainings that score above each level, with its interval."""
    series = []
    for name, figures in across.profile.items():
        low, high = zip(*(figure.ci95 or (figure.value, figure.value) for figure in figures), strict=True)
        values = [figure.value for figure in figures]
        series.append(Series(name, colour(name), LEVELS, values, (low, high), dots=False))
    return Chart("Profile", "score", "share of trainings above it", tuple(series), y_range=(-0.03, 1.03))


def consumed(runs: Sequence[TrainingRun]) -> Chart:
    """Returns a line for each seed that adapts by gradient steps; the others' last episode is a level."""
    series = [
        Series(
            run.method,
            colour(run.method),
            [each.episodes for each in run.consumed],
            [float(interquartile_mean(np.array(each.returns))) for each in run.consumed],
            notes=[f"seed {run.seed}"] * len(run.consumed),
        )
        for run in runs
        if run.consumed
    ]
    levels = tuple(
        Level(name, colour(name), float(interquartile_mean(finals(own).ravel())))
        for name, own in by_method(runs).items()
        if not own[0].consumed
    )
    ticks = sorted({each.episodes for run in runs for each in run.consumed})
    return Chart(
        "By gradient steps",
        "episodes consumed",
        "return of the next (IQM)",
        tuple(series),
        levels,
        ticks=tuple(ticks),
        x_log=True,
        legend=tuple(by_method(runs)),
    )
