"""Scores by the value of each task parameter, inside the training range and outside."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch

from limbshift.envs.family import TaskFamily
from limbshift.envs.tasks.parameter import TaskParameter
from limbshift.envs.tasks.streams import RandomStream
from limbshift.envs.tasks.task_space import EXTRAPOLATION, HELDOUT
from limbshift.experiments.comparison.timed_training import TASK_SEED
from limbshift.experiments.comparison.training_run import TrainingRun, by_method, final_returns
from limbshift.meta.evaluation.scores import SeedReturns, scale_of, score

MIN_UNIT = 0.1
"""Of what lies between random actions and the oracle over all tasks; a bin with less has no scores, which would tell by
how little the oracle is better there."""
BINS = 4
"""That a training range is divided into."""
MIN_TASKS = 4
"""Fewer tell nothing of a bin."""


class Bin(NamedTuple):
    """What methods score on the tasks whose parameter lies from low to high."""

    parameter: str
    low: float
    high: float
    inside: bool
    """Whether training draws such values; outside, in the split extrapolation, all parameters that can are outside."""
    num_tasks: int
    values: Mapping[str, float | None]
    """By method: score, by what random actions and the oracle return on the same tasks, None where the oracle returns
    hardly more; or return (IQM), where there is no oracle, or one that returns no more than random actions over all.
    """

    @property
    def middle(self) -> float:
        return (self.low + self.high) / 2


def tasks_of(family: TaskFamily, split: str, count: int) -> np.ndarray:
    """Returns the tasks that all methods meet, (count, parameters)."""
    stream = RandomStream("task", family.name, family.variant, split, TASK_SEED)
    drawn: np.ndarray = family.task_space.sample(split, stream, torch.arange(count)).numpy()
    return drawn


def by_parameter(runs: Sequence[TrainingRun], family: TaskFamily) -> list[Bin]:
    """Returns the bins of each parameter, inside before outside, as far as they hold enough tasks."""
    methods = by_method(runs)
    bins = []
    tasks = {
        split: tasks_of(family, split, len(runs[0].splits[split]))
        for split in (HELDOUT, EXTRAPOLATION)
        if all(split in run.splits for run in runs)
    }
    ends = [final_returns(methods[name]) for name in ("random", "oracle") if name in methods]
    scale = scale_of(*ends) if len(ends) == 2 else None
    least = None if scale is None else MIN_UNIT * scale.unit.value
    returns = {split: {name: final_returns(own, split) for name, own in methods.items()} for split in tasks}
    for place, parameter in enumerate(family.parameters):
        for split, drawn in tasks.items():
            for low, high in edges_of(parameter, split):
                picked = (drawn[:, place] >= low) & (drawn[:, place] <= high)
                if picked.sum() >= MIN_TASKS:
                    values = values_on(returns[split], picked, least=least)
                    bins.append(Bin(parameter.name, low, high, split == HELDOUT, int(picked.sum()), values))
    return bins


def edges_of(parameter: TaskParameter, split: str) -> list[tuple[float, float]]:
    """Returns the bins of a parameter on a split; none outside, where it stays in its training range.

    >>> from limbshift.envs.tasks.common import DIRECTION, TARGET_VELOCITY
    >>> edges_of(TARGET_VELOCITY, "heldout"), edges_of(DIRECTION, "heldout")
    ([(0.0, 0.75), (0.75, 1.5), (1.5, 2.25), (2.25, 3.0)], [(-1.0, -1.0), (1.0, 1.0)])
    """
    intervals = parameter.extrapolation if split == EXTRAPOLATION else ((parameter.low, parameter.high),)
    if parameter.choices:
        return [(float(choice), float(choice)) for choice in sorted(parameter.choices_within(intervals))]
    if split == EXTRAPOLATION:
        return [(float(low), float(high)) for low, high in intervals]
    if parameter.low == parameter.high:
        return []
    spread = np.geomspace if parameter.scale == "log" else np.linspace
    return [(float(low), float(high)) for low, high in pairwise(spread(parameter.low, parameter.high, BINS + 1))]


def values_on(
    returns: Mapping[str, SeedReturns], picked: np.ndarray, *, least: float | None
) -> dict[str, float | None]:
    """Returns what each method scores on some of the tasks, where the oracle exceeds random actions by so much at
    least; what it returns, where that is None.
    """
    own = {name: SeedReturns(each.seeds, each.values[:, picked]) for name, each in returns.items()}
    if least is None:
        return {name: score(each).iqm for name, each in own.items()}
    scale = scale_of(own["random"], own["oracle"])
    if scale is None or scale.unit.value < least:
        return dict.fromkeys(own)
    return {name: score(each, scale).iqm for name, each in own.items()}
