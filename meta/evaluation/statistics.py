"""Robust statistics over tasks, with their uncertainty."""

import math
from typing import NamedTuple

import numpy as np

RESAMPLES = 2000
MAX_DRAWN = 2000 * 1024
"""Values that a bootstrap holds at a time."""
Interval = tuple[float, float]


class Summary(NamedTuple):
    """Returns of one episode over all tasks."""

    iqm: float
    """Mean of the middle half of the tasks."""
    mean: float
    worst10: float
    """Mean of the worst tenth of the tasks."""
    ci95: Interval | None
    """Bootstrap interval of the IQM; None for a single task."""


def interquartile_mean(values: np.ndarray, axis: int = -1) -> np.ndarray:
    """Returns the mean of what is left when a quarter of the values is cut off at each end.

    Source: Agarwal et al., "Deep reinforcement learning at the edge of the statistical precipice"
    (2021), section 4.3.

    >>> float(interquartile_mean(np.array([-50.0, 2.0, 4.0, 100.0])))
    3.0
    """
    ordered = np.moveaxis(np.sort(values, axis=axis), axis, -1)
    cut = ordered.shape[-1] // 4
    return np.asarray(ordered[..., cut : ordered.shape[-1] - cut].mean(axis=-1))


def worst_decile(values: np.ndarray) -> float:
    """Returns the mean of the lowest tenth, of at least one value.

    >>> worst_decile(np.arange(20.0))
    0.5
    """
    return float(np.sort(values)[: math.ceil(len(values) / 10)].mean())


def bootstrap_interval(values: np.ndarray, seed: int) -> Interval | None:
    """Returns the 95 % percentile interval of the IQM, values resampled with replacement; None for a single value.

    >>> bootstrap_interval(np.full(8, 4.0), seed=0)
    (4.0, 4.0)
    """
    if len(values) < 2:
        return None
    from scipy import stats

    result = stats.bootstrap(
        (values,),
        interquartile_mean,
        n_resamples=RESAMPLES,
        batch=max(1, MAX_DRAWN // len(values)),
        vectorized=True,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def summarise(returns: np.ndarray, seed: int) -> list[Summary]:
    """Returns a summary for each episode of (tasks, episodes) returns.

    >>> first, second = summarise(np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0], [4.0, 40.0]]), seed=0)
    >>> second.iqm, second.mean, second.worst10
    (25.0, 25.0, 10.0)
    """
    return [
        Summary(
            float(interquartile_mean(column)),
            float(column.mean()),
            worst_decile(column),
            bootstrap_interval(column, seed),
        )
        for column in returns.T
    ]
