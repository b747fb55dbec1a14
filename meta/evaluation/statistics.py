"""Robust statistics over tasks, with their uncertainty."""

import math
from typing import NamedTuple

import numpy as np
from scipy import stats

RESAMPLES = 2000


class Summary(NamedTuple):
    """Figures of one episode over all tasks; None where there is no value."""

    iqm: float
    """Mean of the middle half of the tasks."""
    mean: float
    worst10: float
    """Mean of the worst tenth of the tasks."""
    ci95: tuple[float, float] | None
    """Bootstrap interval of the IQM; None for a single task."""


def interquartile_mean(values: np.ndarray, axis: int = -1) -> np.ndarray:
    """Mean of what is left when a quarter of the values is cut off at each end.

    Source: Agarwal et al., "Deep reinforcement learning at the edge of the statistical precipice"
    (2021), section 4.3.
    """
    return np.asarray(stats.trim_mean(values, 0.25, axis=axis))


def worst_tenth(values: np.ndarray) -> float:
    """Mean of the lowest tenth, of at least one value."""
    return float(np.sort(values)[: math.ceil(len(values) / 10)].mean())


def bootstrap_interval(values: np.ndarray, seed: int) -> tuple[float, float] | None:
    """95 % percentile interval of the IQM, values resampled with replacement; the same for the same seed."""
    if len(values) < 2:
        return None
    result = stats.bootstrap(
        (values,),
        interquartile_mean,
        n_resamples=RESAMPLES,
        vectorized=True,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def summarise(returns: np.ndarray, seed: int) -> list[Summary]:
    """(tasks, episodes) returns to a summary for each episode."""
    return [
        Summary(
            float(interquartile_mean(column)),
            float(column.mean()),
            worst_tenth(column),
            bootstrap_interval(column, seed),
        )
        for column in returns.T
    ]
