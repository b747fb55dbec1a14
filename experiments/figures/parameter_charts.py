"""Charts by task parameter: one of few values has a place for each, where others have an axis."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from limbshift.envs.family import TaskFamily
from limbshift.envs.tasks.parameter import TaskParameter
from limbshift.experiments.figures import adaptation_charts
from limbshift.experiments.figures.captions import task_sentence
from limbshift.experiments.figures.chart import Chart, Series, room_for
from limbshift.meta.evaluation.adaptation import Adaptation
from limbshift.meta.evaluation.statistics import interquartile_mean

Results = Mapping[str, Sequence[Adaptation]]
"""By controller, evaluations on several splits."""
SCATTER, MEAN = 0.4, 0.35
"""Of the room that a controller has: how far its dots lie apart, and how far beside their middle the mean stands."""
GOLDEN = 0.618
"""Multiples of the golden ratio, less whole numbers, lie apart from each other."""


def by_parameter(results: Results, family: TaskFamily) -> list[Chart]:
    """Returns a chart for each parameter."""
    charts = adaptation_charts.by_parameter(results, family)
    return [
        by_choice(results, parameter, family) if parameter.choices else chart
        for chart, parameter in zip(charts, family.parameters, strict=True)
    ]


def by_choice(results: Results, parameter: TaskParameter, family: TaskFamily) -> Chart:
    """Returns the last episode's return on each task, as a dot over its value, and the means of these beside them."""
    choices = tuple(sorted(parameter.choices))
    width = room_for(len(results), choices)
    series: list[Series] = []
    for name, colour in adaptation_charts.colours_of(results).items():
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
    scatter: float,
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
