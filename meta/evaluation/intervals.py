"""Estimates over training seeds and tasks, and intervals that count both.

All seeds of all methods meet the same tasks, and there are few seeds. So tasks vary together in all that is compared,
seeds vary in their own right, and the interval is as wide as Student's t asks of so few.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from limbshift.meta.evaluation.statistics import Interval, interquartile_mean

Seeds = tuple[int, ...]
"""Of training; empty where nothing was trained, so that no other training would have given anything else."""


@dataclass(frozen=True)
class Estimate:
    """A number estimated from (seeds, tasks) values, and how far each value moved it, to first order."""

    value: float
    moves: Mapping[Seeds, np.ndarray]
    """(seeds, tasks) by the seeds of training: methods that have the same seeds are paired by them."""


def pooled_iqm(values: np.ndarray, seeds: Sequence[int]) -> Estimate:
    """Returns the IQM of (seeds, tasks) values, all together.

    A value moves a trimmed mean as far as it lies from the mean, and no farther than where the middle half ends.
    Source: Huber and Ronchetti, "Robust statistics" (2009), section 3.3.

    >>> pooled_iqm(np.array([[-50.0, 2.0, 4.0, 100.0]]), seeds=[0]).value
    3.0
    """
    ordered = np.sort(values, axis=None)
    cut = len(ordered) // 4
    moves = np.clip(values, ordered[cut], ordered[-cut - 1])
    moves = (moves - moves.mean()) / (1 - 2 * cut / len(ordered))
    return Estimate(float(interquartile_mean(ordered)), {tuple(seeds): moves})


def combined(value: float, *terms: tuple[float, Estimate]) -> Estimate:
    """Returns what has this value, and moves by so much of each of the terms.

    >>> one, other = (pooled_iqm(np.array([[1.0, 2.0]]), seeds=[0]), pooled_iqm(np.array([[3.0, 5.0]]), seeds=[0]))
    >>> combined(other.value - one.value, (1.0, other), (-1.0, one)).moves[(0,)].tolist()
    [[-0.5, 0.5]]
    """
    moves: dict[Seeds, np.ndarray] = {}
    for weight, term in terms:
        for seeds, moved in term.moves.items():
            moves[seeds] = moves.get(seeds, 0.0) + weight * moved
    return Estimate(value, moves)


def difference(one: Estimate, other: Estimate) -> Estimate:
    """Returns by how much one exceeds the other, on the same tasks and, where they are the same, by the same seeds."""
    return combined(one.value - other.value, (1.0, one), (-1.0, other))


def ratio(numerator: Estimate, denominator: Estimate) -> Estimate:
    """Returns a quotient, both parts of which are estimated."""
    value = numerator.value / denominator.value
    return combined(value, (1 / denominator.value, numerator), (-value / denominator.value, denominator))


def confidence_interval(estimate: Estimate) -> Interval | None:
    """Returns the 95 % interval for other seeds and other tasks; None where two values of either are not there.

    The variance is that of a two-way layout: of seeds, of tasks, less what both count of what each value has for
    itself. Student's t of each part is weighted by its variance.
    Sources: Owen, "The pigeonhole bootstrap" (2007); Cochran and Cox, "Experimental designs" (1957).

    >>> confidence_interval(pooled_iqm(np.array([[-1.0] * 8, [0.0] * 8, [1.0] * 8]), seeds=[0, 1, 2]))
    (-4.96..., 4.96...)
    """
    num_tasks = next(iter(estimate.moves.values())).shape[1]
    trained = [moves for seeds, moves in estimate.moves.items() if seeds]
    if num_tasks < 2 or any(len(moves) < 2 for moves in trained):
        return None
    of_tasks = variance_of_mean(sum(moves.mean(axis=0) for moves in estimate.moves.values()))
    of_seeds = [variance_of_mean(moves.mean(axis=1)) for moves in trained]
    twice = sum(variance_of_rest(moves) for moves in trained)
    variance = max(of_tasks + sum(of_seeds) - twice, of_tasks, sum(of_seeds))
    if variance <= 0:
        return estimate.value, estimate.value
    parts = [(of_tasks, num_tasks - 1), *zip(of_seeds, (len(moves) - 1 for moves in trained), strict=True)]
    quantile = sum(part * student_t(freedom) for part, freedom in parts) / sum(part for part, _ in parts)
    half = quantile * math.sqrt(variance)
    return estimate.value - half, estimate.value + half


def variance_of_mean(moves: np.ndarray) -> float:
    return float(moves.var(ddof=1)) / len(moves)


def variance_of_rest(moves: np.ndarray) -> float:
    """Returns what neither seed nor task explains of (seeds, tasks) moves, as a variance of their mean."""
    rest = moves - moves.mean(axis=0) - moves.mean(axis=1, keepdims=True) + moves.mean()
    freedom = (moves.shape[0] - 1) * (moves.shape[1] - 1)
    return float(np.square(rest).sum() / (freedom * moves.size))


@cache
def student_t(freedom: int) -> float:
    """Returns what 97.5 % of Student's t lies below."""
    from scipy import stats  # takes a second to import

    return float(stats.t.ppf(0.975, freedom))
