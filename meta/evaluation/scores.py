"""What is told of a method's returns: IQM, score between random actions and the oracle, and its lead over another."""

from typing import NamedTuple

import numpy as np

from limbshift.meta.evaluation.intervals import (
    Estimate,
    Seeds,
    confidence_interval,
    difference,
    pooled_iqm,
    ratio,
)
from limbshift.meta.evaluation.statistics import Interval, interquartile_mean, worst_decile

MIN_SEEDS = 3
"""A method that was trained by fewer seeds has no interval, but a point for each."""


class SeedReturns(NamedTuple):
    """What a method returned on the tasks that all methods meet."""

    seeds: Seeds
    """Of training; empty for what is not trained."""
    values: np.ndarray
    """(seeds, tasks); (1, tasks) of what is not trained."""

    @property
    def estimate(self) -> Estimate:
        """The IQM of all values."""
        return pooled_iqm(self.values, self.seeds)

    def of_seed(self, seed: int) -> float:
        """Returns the IQM over tasks of one seed."""
        return float(interquartile_mean(self.values[self.seeds.index(seed)]))

    @property
    def has_interval(self) -> bool:
        return not self.seeds or len(self.seeds) >= MIN_SEEDS


class Score(NamedTuple):
    """Returns of one method, over all its seeds and tasks, as they are or scaled."""

    iqm: float
    worst10: float
    ci95: Interval | None
    """None under three seeds."""
    points: tuple[float, ...]
    """The IQM over tasks of each seed."""


class Lead(NamedTuple):
    """By how much the IQM of one method exceeds another's, on the same tasks."""

    value: float
    ci95: Interval | None
    """None where either has under three seeds."""
    points: tuple[float, ...]
    """Seed by seed, of those that both were trained by."""


class Scale(NamedTuple):
    """Returns from those of random actions, 0, to the oracle's, 1."""

    random: Estimate
    oracle: Estimate

    @property
    def unit(self) -> Estimate:
        """What the oracle returns beyond random actions."""
        return difference(self.oracle, self.random)

    @property
    def is_sure(self) -> bool:
        """Whether the oracle returns more on other tasks and by other seeds too: without that a ratio knows no end."""
        found = confidence_interval(self.unit)
        return found is not None and found[0] > 0


def scale_of(random: SeedReturns, oracle: SeedReturns) -> Scale | None:
    """Returns the scale between IQMs; None where the oracle's is not the larger.

    >>> scale = scale_of(SeedReturns((), np.array([[-10.0, -10.0]])), SeedReturns((0,), np.array([[20.0, 40.0]])))
    >>> scale.unit.value
    40.0
    """
    scale = Scale(random.estimate, oracle.estimate)
    return scale if scale.unit.value > 0 else None


def score(returns: SeedReturns, scale: Scale | None = None) -> Score:
    """Returns what is told of returns; scaled, where there is a scale, whose own uncertainty the interval counts.

    >>> score(SeedReturns((0, 1), np.array([[1.0, 2.0, 3.0, 4.0]] * 2)))
    Score(iqm=2.5, worst10=1.0, ci95=None, points=(2.5, 2.5))
    """
    estimate = returns.estimate
    sure = returns.has_interval
    floor, unit = 0.0, 1.0
    if scale is not None:
        floor, unit = scale.random.value, scale.unit.value
        estimate, sure = ratio(difference(estimate, scale.random), scale.unit), sure and scale.is_sure
    scaled = (returns.values - floor) / unit
    points = tuple(float(point) for point in interquartile_mean(scaled, axis=1))
    worst = worst_decile(scaled.ravel())
    return Score(estimate.value, worst, confidence_interval(estimate) if sure else None, points)


def lead(one: SeedReturns, other: SeedReturns, scale: Scale | None = None) -> Lead:
    """Returns by how much one exceeds the other: of both on the same task, and by the same seed where both have it.

    >>> tasks = np.array([0.0, 10.0, 20.0, 30.0])
    >>> lead(SeedReturns((0, 1), np.array([tasks + 2, tasks + 4])), SeedReturns((0, 1), np.array([tasks] * 2)))
    Lead(value=3.0, ci95=None, points=(2.0, 4.0))
    """
    estimate = difference(one.estimate, other.estimate)
    sure = one.has_interval and other.has_interval
    unit = 1.0
    if scale is not None:
        unit = scale.unit.value
        estimate, sure = ratio(estimate, scale.unit), sure and scale.is_sure
    common = sorted(set(one.seeds) & set(other.seeds))
    apart = [(one.of_seed(seed) - other.of_seed(seed)) / unit for seed in common]
    return Lead(estimate.value, confidence_interval(estimate) if sure else None, tuple(apart))
