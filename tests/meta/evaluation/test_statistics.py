"""Scores and their intervals, by hand."""

import numpy as np
import pytest

from limbshift.meta.evaluation.statistics import nested_interval, normalised, score


def test_random_is_0_and_the_oracle_is_1() -> None:
    """Means -10 and 30: a return of 20 is three quarters of the way."""
    random, oracle = np.array([-20.0, 0.0]), np.array([10.0, 50.0])
    assert normalised(np.array([-10.0, 20.0, 30.0, 70.0]), random, oracle).tolist() == [0.0, 0.75, 1.0, 2.0]
    with pytest.raises(ValueError, match=r"the oracle returns -10\.0 and random actions 30\.0"):
        normalised(random, oracle, random)


def test_seeds_are_resampled_before_tasks() -> None:
    """Two seeds that give 0 and 1 on each of many tasks.

    Of two seeds drawn both are the first with probability 1/4, both the second with 1/4: the
    interval is [0, 1], however many tasks there are. To resample tasks alone would say 0.5, surely.
    """
    values = np.repeat([[0.0], [1.0]], 100, axis=1)
    assert nested_interval(values, 0) == (0.0, 1.0)


def test_with_one_seed_tasks_alone_are_resampled() -> None:
    """Four tasks, of which the IQM takes the middle two: at least 0 and at most 3, about 1.5."""
    low, high = nested_interval(np.array([[0.0, 1.0, 2.0, 3.0]]), 0)
    assert 0 <= low < 1.5 < high <= 3


def test_equal_seeds_give_equal_intervals() -> None:
    values = np.random.default_rng(1).normal(size=(3, 20))
    assert nested_interval(values, 5) == nested_interval(values, 5)
    assert nested_interval(values, 5) != nested_interval(values, 6)


def test_a_score_pools_seeds_and_tasks() -> None:
    """0 to 7 over two seeds: the middle half is 2, 3, 4, 5, the worst tenth of eight values is the lowest."""
    result = score(np.array([[0.0, 2.0, 4.0, 6.0], [1.0, 3.0, 5.0, 7.0]]))
    assert result.iqm == 3.5
    assert result.worst10 == 0.0
    assert result.ci95[0] <= 3.5 <= result.ci95[1]
