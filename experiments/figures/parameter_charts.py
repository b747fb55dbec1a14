"""Charts by task parameter: one of few values has a place for each, where others have an axis."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from limbshift.envs.family import TaskFamily
from limbshift.envs.tasks.parameter import TaskParameter
from limbshift.experiments.figures.adaptation_charts import colours_of
from limbshift.experiments.figures.captions import task_sentence
from limbshift.experiments.figures.chart import Chart, Series, room_for
from limbshift.meta.evaluation.adaptation import Adaptation
from limbshift.meta.evaluation.statistics import interquartile_mean

Results = Mapping[str, Sequence[Adaptation]]
"""By controller, evaluations on several splits."""
SCATTER, MEAN = 0.4, 0.35
"""Of the room that a controller has: how far its dots lie apart, and how far beside their middle the mean stands."""
SHARES = 5
"""That a training range is divided into, for the line through its tasks."""
GOLDEN = 0.618
"""Multiples of the golden ratio, less whole numbers, lie apart from each other."""


def by_parameter(results: Results, family: TaskFamily) -> list[Chart]:
    """Returns a chart for each parameter: the last episode's return on each task by its value."""
    return [
        (by_choice if parameter.choices else by_range)(results, parameter, family) for parameter in family.parameters
    ]


def by_range(results: Results, parameter: TaskParameter, family: TaskFamily) -> Chart:
    """Returns a dot for each task, and a line through them; the ground is grey where training tasks are drawn."""
    series: list[Series] = []
    for name, colour in colours_of(results).items():
        dots = _dots(name, colour, results[name], parameter=parameter, family=family)
        series += [dots, _line(dots, parameter)]
    axis = f"{parameter.name}{f', {parameter.unit}' if parameter.unit else ''}"
    inside = (float(parameter.low), float(parameter.high))
    return Chart(parameter.name.replace("_", " "), axis, "return, last episode", tuple(series), ground=inside)


def by_choice(results: Results, parameter: TaskParameter, family: TaskFamily) -> Chart:
    """Returns a dot for each task over the one of few values that it has, and the means of these beside them."""
    choices = tuple(sorted(parameter.choices))
    width = room_for(len(results), choices)
    series: list[Series] = []
    for name, colour in colours_of(results).items():
        dots = _dots(name, colour, results[name], parameter=parameter, family=family, scatter=SCATTER * width)
        series += [dots, _means(dots, choices, MEAN * width)]
    return Chart(
        parameter.description, parameter.name, "return, last episode", tuple(series), ticks=choices, sidestep=width
    )


def _dots(
    name: str,
    colour: str,
    results: Sequence[Adaptation],
    *,
    parameter: TaskParameter,
    family: TaskFamily,
    scatter: float = 0.0,
) -> Series:
    """Returns a dot for each task, which says what the task is."""
    tasks = [(each.split, task) for each in results for task in each.tasks]
    return Series(
        name,
        colour,
        [task[parameter.name] for _, task in tasks],
        [trial[-1] for each in results for trial in each.returns],
        line=False,
        notes=[f"{split}: {task_sentence(family, task)}" for split, task in tasks],
        aside=[scatter * (number * GOLDEN % 1 - 0.5) for number in range(len(tasks))],
    )


def _line(dots: Series, parameter: TaskParameter) -> Series:
    """Returns a line through the interquartile means of shares of as many tasks each."""
    values, returns = np.array(dots.x), np.array(dots.y)
    shares = [share for share in _shares(values, parameter) if len(share)]
    middles = [float(values[share].mean()) for share in shares]
    means = [float(interquartile_mean(returns[share])) for share in shares]
    return Series(dots.name, dots.colour, middles, means, notes=[f"{len(share)} trials" for share in shares])


def _shares(values: NDArray[np.float64], parameter: TaskParameter) -> list[NDArray[np.intp]]:
    """Returns which tasks lie below the training range, in each share of it, and above; or at each of few values."""
    distinct = np.unique(values)
    if len(distinct) <= SHARES:
        return [np.flatnonzero(values == value) for value in distinct]
    order = np.argsort(values, kind="stable")
    below, above = (values[order] < parameter.low).sum(), (values[order] > parameter.high).sum()
    inside = order[below : len(order) - above]
    return [order[:below], *np.array_split(inside, SHARES), order[len(order) - above :]]


def _means(dots: Series, choices: Sequence[float], aside: float) -> Series:
    """Returns the interquartile mean of the dots over each choice, with a bar between quartiles; gaps over none."""
    groups = [[y for x, y in zip(dots.x, dots.y, strict=True) if x == choice and y is not None] for choice in choices]
    means = [float(interquartile_mean(np.array(group))) if group else None for group in groups]
    low, high = ([float(np.quantile(group, share)) if group else None for group in groups] for share in (0.25, 0.75))
    return replace(
        dots,
        x=choices,
        y=means,
        interval=(low, high),
        notes=[f"mean of {len(group)}" for group in groups],
        aside=[aside if group else 0.0 for group in groups],
    )
