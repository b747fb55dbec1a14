"""Scores, leads and when they have intervals, by hand."""

import numpy as np
import pytest

from limbshift.meta.evaluation.scores import SeedReturns, lead, scale_of, score

RANDOM = SeedReturns((), np.array([[-10.0, -10.0, -10.0, -50.0]]))
"""IQM -10: of a quarter at each end nothing counts."""


def of_seeds(*rows: list[float]) -> SeedReturns:
    return SeedReturns(tuple(range(len(rows))), np.array(rows))


def test_random_is_0_and_the_oracle_is_1_by_the_same_estimator() -> None:
    """IQMs -10 and 30, though the means are -20 and 50: a return of 20 is three quarters of the way."""
    scale = scale_of(RANDOM, of_seeds([30.0, 30.0, 110.0, 30.0], [30.0, 110.0, 30.0, 30.0]))
    assert scale is not None
    assert scale.unit.value == 40
    found = score(of_seeds([20.0] * 4, [20.0] * 4), scale)
    assert found.iqm == 0.75
    assert found.points == (0.75, 0.75)
    assert score(RANDOM, scale).iqm == 0.0
    assert score(of_seeds([30.0] * 4), scale).iqm == 1.0


def test_an_oracle_that_is_no_better_than_random_actions_gives_no_scale() -> None:
    assert scale_of(RANDOM, of_seeds([-10.0] * 4)) is None


def test_a_score_pools_seeds_and_tasks() -> None:
    """0 to 7 over two seeds: the middle half is 2, 3, 4, 5, the worst tenth of eight values is the lowest."""
    result = score(of_seeds([0.0, 2.0, 4.0, 6.0], [1.0, 3.0, 5.0, 7.0]))
    assert (result.iqm, result.worst10, result.points) == (3.5, 0.0, (3.0, 4.0))


@pytest.mark.parametrize(("num_seeds", "there"), [(1, False), (2, False), (3, True)])
def test_two_seeds_have_points_and_no_interval(num_seeds: int, there: bool) -> None:
    rows = [[1.0 + seed, 2.0, 3.0, 4.0] for seed in range(num_seeds)]
    found, ahead = score(of_seeds(*rows)), lead(of_seeds(*rows), of_seeds(*[[0.0] * 4] * num_seeds))
    assert (found.ci95 is not None, ahead.ci95 is not None) == (there, there)
    assert len(found.points) == len(ahead.points) == num_seeds


def test_what_is_not_trained_needs_no_seeds() -> None:
    assert score(SeedReturns((), np.array([[1.0, 2.0, 3.0, 5.0]]))).ci95 is not None


def test_an_oracle_that_is_not_surely_better_leaves_scores_without_an_interval() -> None:
    """Its two seeds return 0 and 40: IQM 20, but by other seeds it may be no better than random actions."""
    scale = scale_of(RANDOM, of_seeds([0.0] * 4, [40.0] * 4))
    assert scale is not None
    ours = of_seeds([5.0] * 4, [6.0] * 4, [7.0] * 4)
    assert score(ours).ci95 is not None
    assert score(ours, scale).ci95 is None
    assert score(ours, scale).iqm == pytest.approx(16 / 30)


def test_a_lead_is_by_the_same_seed_where_both_have_it() -> None:
    """Seeds that do well with one method do so with the other, by 1, 2 and 3 more: 2 in the middle."""
    other = np.array([[0.0] * 4, [50.0] * 4, [100.0] * 4])
    one = other + np.array([[1.0], [2.0], [3.0]])
    paired = lead(SeedReturns((0, 1, 2), one), SeedReturns((0, 1, 2), other))
    assert (paired.value, paired.points) == (2.0, (1.0, 2.0, 3.0))
    apart = lead(SeedReturns((0, 1, 2), one), SeedReturns((3, 4, 5), other))
    assert (apart.value, apart.points) == (2.0, ())
    assert lead(SeedReturns((0, 1, 2), one), SeedReturns((2, 7), other[:2])).points == (103.0,)
    assert paired.ci95
    assert apart.ci95
    assert paired.ci95[1] - paired.ci95[0] < 0.1 * (apart.ci95[1] - apart.ci95[0])


def test_a_lead_in_scores() -> None:
    scale = scale_of(RANDOM, of_seeds([30.0] * 4, [30.0] * 4))
    assert lead(of_seeds([20.0] * 4), of_seeds([0.0] * 4), scale).value == 0.5
