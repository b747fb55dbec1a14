"""Intervals over seeds and tasks: by hand, and how often they hold what they were made to hold."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from limbshift.meta.evaluation.intervals import (
    Estimate,
    combined,
    confidence_interval,
    difference,
    pooled_iqm,
    ratio,
)
from limbshift.meta.evaluation.statistics import interquartile_mean

REPEATS = 1200
SIZES = ((0.06, 0.1, 0.1), (0.03, 0.2, 0.1), (0.1, 0.1, 0.2))
"""Of what seeds, tasks, and each seed with each task add, in scores: trainings in docs/results have seeds 0.02 to 0.15
apart, tasks 0.03 to 0.4, and 0.05 to 0.3 for the rest.
"""
NUM_TASKS = 64


def test_an_interval_over_seeds_by_hand() -> None:
    """Seeds that give -1, 0 and 1 on all of 8 tasks.

    The middle half of the 24 values reaches from -1 to 1, so none is pulled in, and each moves the IQM by twice its
    distance from 0. The seeds' moves -2, 0, 2 have variance 4, their mean 4/3; tasks add nothing; Student's t with 2
    degrees of freedom is 4.3027: 4.3027 * sqrt(4/3) = 4.968.
    """
    low, high = confidence_interval(pooled_iqm(np.array([[-1.0] * 8, [0.0] * 8, [1.0] * 8]), [0, 1, 2])) or (0, 0)
    assert (low, high) == pytest.approx((-4.968, 4.968), abs=1e-3)


def test_an_interval_over_tasks_by_hand() -> None:
    """Nothing was trained, and 8 tasks give 0 to 7. The middle half, 2 to 5, pulls the others in: 2 2 2 3 4 5 5 5.

    From their mean 3.5 that is -1.5 -1.5 -1.5 -0.5 0.5 1.5 1.5 1.5, twice of which has squares 6 * 9 + 2 * 1 = 56, so
    variance 8, and 1 of the mean: as wide as Student's t with 7 degrees of freedom, 2.3646, about 3.5.
    """
    estimate = pooled_iqm(np.arange(8.0)[None], ())
    assert estimate.moves[()].tolist() == [[-3.0, -3.0, -3.0, -1.0, 1.0, 3.0, 3.0, 3.0]]
    assert confidence_interval(estimate) == pytest.approx((3.5 - 2.3646, 3.5 + 2.3646), abs=1e-3)


def test_what_all_seeds_share_is_counted_once() -> None:
    """Ten seeds that give the same on each task say no more of other tasks than one does."""
    tasks = np.arange(8.0)[None]
    alone, many = (
        confidence_interval(pooled_iqm(np.repeat(tasks, count, axis=0), seeds))
        for count, seeds in ((1, ()), (10, range(10)))
    )
    assert many == pytest.approx(alone)


def test_what_two_methods_share_is_in_no_difference() -> None:
    """Tasks that are 10 apart, on which one method is always 1 better: by its seeds -1, 0, 1 more or less."""
    other = np.repeat(10 * np.arange(8.0)[None], 3, axis=0)
    one = other + 1 + np.array([[-1.0], [0.0], [1.0]])
    low, high = confidence_interval(difference(pooled_iqm(one, [0, 1, 2]), pooled_iqm(other, [0, 1, 2]))) or (0, 0)
    assert (low + high) / 2 == pytest.approx(1)
    assert high - low < 10
    low, high = confidence_interval(pooled_iqm(one, [0, 1, 2])) or (0, 0)
    assert high - low > 40


def test_what_is_divided_by_itself_is_1_surely() -> None:
    oracle = pooled_iqm(np.random.default_rng(0).normal(5, 1, (3, 8)), [0, 1, 2])
    assert confidence_interval(ratio(oracle, oracle)) == (1.0, 1.0)


def test_the_moves_tell_what_a_small_change_does() -> None:
    """A quotient of IQMs moves by a value's move over the number of values, times the change."""
    rng = np.random.default_rng(3)
    above, below = rng.normal(3, 1, (3, 8)), rng.normal(7, 1, (2, 8))
    estimate = ratio(pooled_iqm(above, [0, 1, 2]), pooled_iqm(below, [0, 1]))
    moves = estimate.moves[0, 1, 2]
    shifted = interquartile_mean((above + 1e-6).ravel()) / interquartile_mean(below.ravel()) - estimate.value
    assert shifted == pytest.approx(1e-6 / interquartile_mean(below.ravel()), rel=1e-6)
    ordered = np.argsort(above, axis=None)
    middle = np.unravel_index(ordered[12], above.shape)
    changed = above.copy()
    changed[middle] += 1e-6
    found = interquartile_mean(changed.ravel()) / interquartile_mean(below.ravel()) - estimate.value
    between = moves[middle] - moves.ravel()[ordered[11]]
    gap = above[middle] - above.ravel()[ordered[11]]
    assert found * 24 / 1e-6 == pytest.approx(between / gap, rel=1e-4), "the slope of the moves within the middle half"


@pytest.mark.parametrize(
    ("values", "seeds"), [(np.ones((1, 8)), (0,)), (np.ones((3, 1)), (0, 1, 2)), (np.ones((1, 1)), ())]
)
def test_one_of_anything_has_no_interval(values: np.ndarray, seeds: tuple[int, ...]) -> None:
    assert confidence_interval(pooled_iqm(values, seeds)) is None


def test_terms_of_the_same_seeds_are_added_and_others_kept_apart() -> None:
    one, other = pooled_iqm(np.array([[1.0, 2.0]]), [0]), pooled_iqm(np.array([[3.0, 5.0]]), [1])
    assert combined(0.0, (2.0, one), (1.0, one), (1.0, other)).moves.keys() == {(0,), (1,)}
    assert combined(0.0, (2.0, one), (1.0, one)).moves[(0,)].tolist() == [[-1.5, 1.5]]


class World:
    """Methods whose population IQMs are known: all that varies is even about them."""

    def __init__(self, seeds: float, tasks: float, rest: float, number: int) -> None:
        """seeds, tasks, rest: standard deviations of what each seed, each task, and each seed with each task adds."""
        self.rng = np.random.default_rng(number)
        self.seeds, self.rest = seeds, rest
        self.tasks = tasks * self.rng.normal(size=NUM_TASKS)

    def method(self, mean: float, num_seeds: int, *, load: float = 1.0) -> Estimate:
        """Returns the IQM of a method's returns; load: how much of what makes a task hard it feels."""
        rows = max(num_seeds, 1)
        of_seeds = self.seeds * self.rng.normal(size=(rows, 1)) * bool(num_seeds)
        rest = self.rest * self.rng.normal(size=(rows, NUM_TASKS))
        return pooled_iqm(mean + of_seeds + load * self.tasks + rest, range(num_seeds))

    def score(self, num_seeds: int, num_oracles: int) -> Estimate:
        random = self.method(0.0, 0, load=0.3)
        ours, oracle = self.method(0.9, num_seeds), self.method(1.0, num_oracles)
        return ratio(difference(ours, random), difference(oracle, random))


def a_return(world: World, num_seeds: int) -> Estimate:
    return world.method(0.9, num_seeds)


def a_score(world: World, num_seeds: int) -> Estimate:
    return world.score(num_seeds, num_seeds)


def a_score_by_two_oracles(world: World, num_seeds: int) -> Estimate:
    return world.score(num_seeds, 2)


def a_lead(world: World, num_seeds: int) -> Estimate:
    return difference(world.method(1.4, num_seeds), world.method(0.5, num_seeds, load=0.5))


def held(measure: Callable[[World, int], Estimate], num_seeds: int) -> float:
    """Returns the share of intervals that hold the truth, 0.9 for all of these."""
    worlds = (World(*SIZES[number % len(SIZES)], number) for number in range(REPEATS))
    found = [confidence_interval(measure(world, num_seeds)) for world in worlds]
    return float(np.mean([each is not None and each[0] <= 0.9 <= each[1] for each in found]))


@pytest.mark.parametrize("num_seeds", [5, 10])
@pytest.mark.parametrize("measure", [a_return, a_score, a_score_by_two_oracles, a_lead])
def test_95_percent_of_intervals_hold_the_truth(measure: Callable[[World, int], Estimate], num_seeds: int) -> None:
    """93 to 97 % of them, as no bootstrap of so few seeds does."""
    assert 0.93 <= held(measure, num_seeds) <= 0.97


def test_student_t_is_as_wide_as_it_should_be_for_few() -> None:
    """Of two seeds, which is why they are given no interval: 12.7 standard errors each way."""
    low, high = confidence_interval(pooled_iqm(np.array([[-1.0] * 8, [1.0] * 8]), [0, 1])) or (0, 0)
    assert high == pytest.approx(stats.t.ppf(0.975, 1) * 2, rel=1e-6)
    assert low == -high
