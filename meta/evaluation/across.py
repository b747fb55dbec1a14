"""Methods over several families: IQM of scores, optimality gap, performance profile, probability of improvement.

Source of the four: Agarwal et al., "Deep reinforcement learning at the edge of the statistical precipice" (2021). A
score here is that of a training, over the tasks of a family; families count alike, however many trainings each has.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations
from typing import NamedTuple

import numpy as np

from limbshift.meta.evaluation.intervals import student_t
from limbshift.meta.evaluation.scores import SeedReturns
from limbshift.meta.evaluation.statistics import Interval, interquartile_mean

LEVELS = tuple(round(0.1 * step, 1) for step in range(13))
"""Scores at which a performance profile is told."""
TINY = 1e-6
"""An interval so narrow has no width but rounding's."""
Scores = Mapping[str, np.ndarray]
"""Of one family, by method: (seeds,)."""


class FamilyReturns(NamedTuple):
    """What was returned on the tasks of one family."""

    random: SeedReturns
    oracle: SeedReturns
    methods: Mapping[str, SeedReturns]


class Figure(NamedTuple):
    """A number over all families, for other seeds and other tasks of theirs."""

    value: float
    ci95: Interval | None


class Across(NamedTuple):
    """What is told of methods over several families."""

    iqm: Mapping[str, Figure]
    """Of the scores of all trainings."""
    optimality_gap: Mapping[str, Figure]
    """How far scores fall short of 1, on average; what lies above 1 makes up for nothing."""
    profile: Mapping[str, Sequence[Figure]]
    """The share of trainings whose score is above each of `LEVELS`."""
    improvement: Mapping[tuple[str, str], Figure]
    """How probable it is that a training of the first does better than one of the second; a draw counts half."""


def weighted_iqm(values: np.ndarray, weights: np.ndarray) -> float:
    """Returns the mean of the middle half of the weight.

    >>> weighted_iqm(np.array([4.0, -50.0, 2.0, 100.0]), np.ones(4))
    3.0
    >>> weighted_iqm(np.array([0.0, 10.0]), np.array([1.0, 3.0]))
    10.0
    """
    order = np.argsort(values)
    upper = np.cumsum(weights[order]) / weights.sum()
    inside = np.diff(np.clip(upper, 0.25, 0.75), prepend=0.25)
    return float(values[order] @ inside / inside.sum())


def scores_of(family: FamilyReturns, tasks: np.ndarray, without: tuple[tuple[int, ...], int] | None = None) -> Scores:
    """Returns the score of each training on some of the tasks.

    without: seeds of training, and the number of the one of them that is left out of all methods that have these.
    """

    def kept(returns: SeedReturns) -> np.ndarray:
        values = returns.values[:, tasks]
        return np.delete(values, without[1], axis=0) if without and returns.seeds == without[0] else values

    floor = float(interquartile_mean(kept(family.random).ravel()))
    unit = float(interquartile_mean(kept(family.oracle).ravel())) - floor
    unit = unit if unit > 0 else math.nan  # there are no scores
    return {name: (interquartile_mean(kept(returns)) - floor) / unit for name, returns in family.methods.items()}


def figures_of(families: Sequence[Scores]) -> np.ndarray:
    """Returns all figures in one row: of each method its IQM, gap and profile, and then of each pair."""
    found: list[float] = []
    for name in families[0]:
        values = np.concatenate([scores[name] for scores in families])
        weights = np.concatenate([np.full(len(scores[name]), 1 / len(scores[name])) for scores in families])
        weights /= weights.sum()
        found += [weighted_iqm(values, weights), float(np.maximum(1 - values, 0) @ weights)]
        found += [float((values > level) @ weights) for level in LEVELS]
    for one, other in permutations(families[0], 2):
        above = [np.sign(scores[one][:, None] - scores[other]).mean() for scores in families]
        found.append(0.5 + 0.5 * float(np.mean(above)))
    return np.array(found)


def one_left_out(families: Sequence[FamilyReturns], all_scores: Sequence[Scores]) -> Iterator[np.ndarray]:
    """Yields, for all tasks and for all seeds of each family, the figures without one of them each, (n, figures)."""
    for place, family in enumerate(families):
        every = np.arange(family.random.values.shape[1])

        def figures(scores: Scores, place: int = place) -> np.ndarray:
            return figures_of([*all_scores[:place], scores, *all_scores[place + 1 :]])

        yield np.array([figures(scores_of(family, np.delete(every, task))) for task in every])
        groups = dict.fromkeys(returns.seeds for returns in (family.oracle, *family.methods.values()))
        for seeds in filter(None, groups):
            yield np.array([figures(scores_of(family, every, (seeds, row))) for row in range(len(seeds))])


def intervals_of(values: np.ndarray, parts: Sequence[np.ndarray]) -> list[Interval]:
    """Returns 95 % intervals by the jackknife: Student's t with the degrees of freedom of a sum of variances.

    Sources: Efron and Stein, "The jackknife estimate of variance" (1981); Satterthwaite, "An approximate distribution
    of estimates of variance components" (1946).
    """
    variances = np.array([(len(part) - 1) * part.var(axis=0) for part in parts])
    freedoms = np.array([len(part) - 1 for part in parts])
    found = []
    for value, own in zip(values, variances.T, strict=True):
        total = float(own.sum())
        freedom = total**2 / float((own**2 / freedoms).sum()) if total > 0 else 1.0
        half = student_t(max(1, math.floor(freedom))) * math.sqrt(total)
        found.append((float(value) - half, float(value) + half))
    return found


def across_families(families: Sequence[FamilyReturns]) -> Across:
    """Returns what is told of the methods, which all families have; intervals where all were trained twice or more,
    and where each oracle leads whichever task or seed is left out.

    Raises ValueError where an oracle returns no more than random actions.
    """
    every = [np.arange(family.random.values.shape[1]) for family in families]
    for family in families:
        if interquartile_mean(family.oracle.values.ravel()) <= interquartile_mean(family.random.values.ravel()):
            raise ValueError("an oracle returns no more than random actions: there are no scores")
    scores = [scores_of(*each) for each in zip(families, every, strict=True)]
    values = figures_of(scores)
    bounds: list[Interval | None] = [None] * len(values)
    trained = [returns for family in families for returns in (family.oracle, *family.methods.values())]
    if all(len(returns.seeds) != 1 for returns in trained) and all(len(tasks) > 1 for tasks in every):
        parts = list(one_left_out(families, scores))
        if all(np.isfinite(part).all() for part in parts):  # no oracle's lead hangs on a single task or seed
            bounds = [*intervals_of(values, parts)]
    figures = iter(map(Figure, values.tolist(), bounds))
    names = list(families[0].methods)
    number = {name: sum(len(family.methods[name].values) for family in families) for name in names}
    iqm, gap, profile = dict[str, Figure](), dict[str, Figure](), dict[str, Sequence[Figure]]()
    for name in names:
        iqm[name], gap[name] = next(figures), within(next(figures), 0.0, math.inf)
        profile[name] = [share(next(figures), number[name]) for _ in LEVELS]
    improvement = {
        (one, other): share(next(figures), min(number[one], number[other])) for one, other in permutations(names, 2)
    }
    return Across(iqm, gap, profile, improvement)


def share(figure: Figure, number: int) -> Figure:
    """Returns a share with an interval that knows of how many trainings it is, though those of each family agree.

    Where a share is p, all of n are on one side with a probability of at most p^n: 2.5 % for p = 0.025^(1/n).

    >>> share(Figure(1.0, (1.0, 1.0)), 15).ci95
    (0.78..., 1.0)
    """
    figure = within(figure, 0.0, 1.0)
    if figure.ci95 is None or figure.ci95[1] - figure.ci95[0] > TINY:
        return figure
    value = round(figure.value, 9)
    low = value * 0.025 ** (1 / (value * number)) if value else 0.0
    high = 1 - (1 - value) * 0.025 ** (1 / ((1 - value) * number)) if value < 1 else 1.0
    return Figure(value, (low, high))


def within(figure: Figure, low: float, high: float) -> Figure:
    """Returns a figure whose interval ends where the number itself must."""
    if figure.ci95 is None:
        return figure
    return Figure(figure.value, (max(low, figure.ci95[0]), min(high, figure.ci95[1])))
