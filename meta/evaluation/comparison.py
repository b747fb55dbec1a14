"""How methods compare: scores on the same tasks, and their uncertainty over training seeds and tasks."""

from typing import NamedTuple

import numpy as np

from limbshift.meta.evaluation.statistics import RESAMPLES, interquartile_mean, worst_tenth


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
    return Score(float(interquartile_mean(values.ravel())), worst_tenth(values.ravel()), nested_interval(values, seed))
