"""Robust statistics over tasks and training seeds, with their uncertainty."""

import math
from typing import NamedTuple

import numpy as np

RESAMPLES = 2000


class Summary(NamedTuple):
    """AdaptationCurve of one episode over all tasks; None where there is no value."""

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
    from scipy import stats  # takes a second to import

    return np.asarray(stats.trim_mean(values, 0.25, axis=axis))


def worst_decile(values: np.ndarray) -> float:
    """Mean of the lowest tenth, of at least one value."""
    return float(np.sort(values)[: math.ceil(len(values) / 10)].mean())


def bootstrap_interval(values: np.ndarray, seed: int) -> tuple[float, float] | None:
    """95 % percentile interval of the IQM, values resampled with replacement; the same for the same seed."""
    if len(values) < 2:
        return None
    from scipy import stats

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
            worst_decile(column),
            bootstrap_interval(column, seed),
        )
        for column in returns.T
    ]


class Score(NamedTuple):
    """Of one method, over all its seeds and tasks."""

    iqm: float
    worst10: float
    ci95: tuple[float, float]


def normalised(returns: np.ndarray, random: np.ndarray, oracle: np.ndarray) -> np.ndarray:
    """Returns so scaled that 0 is the mean of random actions' and 1 the oracle's; ValueError where those are one."""
    floor, ceiling = float(random.mean()), float(oracle.mean())
    if ceiling <= floor:
        raise ValueError(f"the oracle returns {ceiling:.1f} and random actions {floor:.1f}: no score can be given")
    return (returns - floor) / (ceiling - floor)


def nested_interval(values: np.ndarray, seed: int) -> tuple[float, float]:
    """95 % percentile interval of the IQM of (seeds, tasks) values; the same for the same seed.

    Training seeds are resampled with replacement, and then the tasks within each: what another
    training would have given is a larger question than what other tasks would.
    """
    rng = np.random.default_rng(seed)
    num_seeds, num_tasks = values.shape
    runs = rng.integers(num_seeds, size=(RESAMPLES, num_seeds, 1))
    tasks = rng.integers(num_tasks, size=(RESAMPLES, num_seeds, num_tasks))
    resampled = interquartile_mean(values[runs, tasks].reshape(RESAMPLES, -1))
    low, high = np.percentile(resampled, (2.5, 97.5))
    return float(low), float(high)


def score(values: np.ndarray, seed: int = 0) -> Score:
    """(seeds, tasks) values to what is told of them."""
    return Score(float(interquartile_mean(values.ravel())), worst_decile(values.ravel()), nested_interval(values, seed))
