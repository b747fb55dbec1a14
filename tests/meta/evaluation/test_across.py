"""Methods over several families, by hand; and how often their intervals hold."""

from collections.abc import Mapping

import numpy as np
import pytest

from limbshift.meta.evaluation import across
from limbshift.meta.evaluation.across import FamilyReturns, Figure, across_families, share, weighted_iqm
from limbshift.meta.evaluation.intervals import pooled_iqm
from limbshift.meta.evaluation.scores import SeedReturns

TASKS = 8


def trained(*scores: float, unit: float = 10.0) -> SeedReturns:
    """Trainings of seeds 0, 1, ... that return the same on each task."""
    return SeedReturns(tuple(range(len(scores))), unit * np.repeat([[score] for score in scores], TASKS, axis=1))


def family(ours: SeedReturns, theirs: SeedReturns, unit: float = 10.0) -> FamilyReturns:
    nothing = SeedReturns((), np.zeros((1, TASKS)))
    return FamilyReturns(nothing, trained(1.0, 1.0, unit=unit), {"ours": ours, "theirs": theirs})


def test_four_figures_by_hand() -> None:
    """Two families of other units, in which ours scores 1, 0.8 and 0.4, 1.2, 0.6, 0.5: theirs 0.5 and 0.6, 0.4.

    Ours: 1 and 0.8 weigh 1/4 each, the others 1/8. In order 0.4 0.5 0.6 0.8 1 1.2, by ends at 1/8 1/4 3/8 5/8 7/8 1: of
    the middle half 0.6 has 1/8, 0.8 has 1/4 and 1 has 1/8, so that the IQM is 0.15 + 0.4 + 0.25 = 0.8. Its gap: 0.2 / 4
    + (0.6 + 0 + 0.4 + 0.5) / 8 = 0.2375. Above 0.8 are 1 and 1.2: 3/8. Theirs in the second family, 0.6 and 0.4: of
    eight pairs ours is above in 1.2 twice, 0.6 once and drawn once, 0.5 once, 0.4 drawn once: (4 + 1) / 8, and 1 in the
    first family.
    """
    families = [
        family(trained(1.0, 0.8), trained(0.5)),
        family(trained(0.4, 1.2, 0.6, 0.5, unit=3.0), trained(0.6, 0.4, unit=3.0), unit=3.0),
    ]
    found = across_families(families)
    assert found.iqm["ours"].value == pytest.approx(0.8)
    assert found.optimality_gap["ours"].value == pytest.approx(0.2375)
    assert found.profile["ours"][across.LEVELS.index(0.7)].value == pytest.approx(0.625)
    assert found.improvement["ours", "theirs"].value == pytest.approx((1 + 5 / 8) / 2)
    assert found.improvement["theirs", "ours"].value == pytest.approx((0 + 3 / 8) / 2)
    assert found.iqm["ours"].ci95 is None, "a single seed of theirs in the first family"


def test_with_equal_weights_it_is_the_iqm() -> None:
    values = np.random.default_rng(0).normal(size=20)
    assert weighted_iqm(values, np.ones(20)) == pytest.approx(pooled_iqm(values[None], ()).value)


def test_families_weigh_the_same_however_often_they_were_trained() -> None:
    families = [family(trained(0.2, 0.2), trained(0.5, 0.5)), family(trained(*[0.6] * 8), trained(*[0.5] * 8))]
    assert across_families(families).optimality_gap["ours"].value == pytest.approx(0.6)


def test_a_share_of_few_trainings_that_agree_is_not_sure() -> None:
    """Of 5 trainings all: 0.025^(1/5) = 0.478. All of one family and none of the other, 10 in all: 0.239 to 0.761."""
    assert share(Figure(1.0, (1.0, 1.0)), 5).ci95 == pytest.approx((0.478, 1.0), abs=1e-3)
    assert share(Figure(0.0, (0.0, 0.0)), 5).ci95 == pytest.approx((0.0, 0.522), abs=1e-3)
    assert share(Figure(0.5, (0.5, 0.5)), 10).ci95 == pytest.approx((0.239, 0.761), abs=1e-3)
    assert share(Figure(0.9, (0.7, 1.1)), 10).ci95 == (0.7, 1.0)


def test_an_oracle_that_is_no_better_than_random_actions_is_refused() -> None:
    one = family(trained(0.5), trained(0.5))
    with pytest.raises(ValueError, match="there are no scores"):
        across_families([one._replace(random=SeedReturns((), np.full((1, TASKS), 99.0)))])


def test_where_an_oracles_lead_hangs_on_one_task_there_are_no_intervals() -> None:
    """The middle half of these is 0, 0, 8; without one of those that it leads by 0, 0, as random actions return."""
    few = SeedReturns((0, 1), np.array([[0.0, 0.0, 0.0, 8.0, 8.0]] * 2))
    one = FamilyReturns(SeedReturns((), np.zeros((1, 5))), few, {"ours": few, "theirs": few})
    found = across_families([one, one])
    assert found.iqm["ours"] == Figure(1.0, None)
    assert {figure.ci95 for figure in found.optimality_gap.values()} == {None}


def world(number: int, means: Mapping[str, tuple[float, ...]]) -> list[FamilyReturns]:
    """Families of known means, all else of which is even about them; the last one has two seeds."""
    rng = np.random.default_rng(number)
    families = []
    for place, counts in enumerate((5, 5, 2)):
        tasks = 0.1 * rng.normal(size=16)

        def returns(mean: float, seeds: int, load: float = 1.0, tasks: np.ndarray = tasks) -> SeedReturns:
            rows = max(seeds, 1)
            of_seeds = 0.06 * rng.normal(size=(rows, 1)) * bool(seeds)
            return SeedReturns(tuple(range(seeds)), mean + of_seeds + load * tasks + 0.15 * rng.normal(size=(rows, 16)))

        methods = {name: returns(own[place], counts) for name, own in means.items()}
        families.append(FamilyReturns(returns(0.0, 0, 0.3), returns(1.0, counts), methods))
    return families


def test_intervals_hold_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    """All trainings of a family lie around its mean, so evenly that the IQM of three families is the middle one's."""
    monkeypatch.setattr(across, "LEVELS", (0.5,))
    means = {"ours": (0.6, 0.8, 1.0), "theirs": (0.6, 0.8, 1.0)}
    iqm, better = [], []
    for number in range(120):
        found = across_families(world(number, means))
        iqm.append(found.iqm["ours"].ci95)
        better.append(found.improvement["ours", "theirs"].ci95)
    assert np.mean([low <= 0.8 <= high for low, high in filter(None, iqm)]) >= 0.93
    assert np.mean([low <= 0.5 <= high for low, high in filter(None, better)]) >= 0.93
    assert np.median([high - low for low, high in filter(None, iqm)]) < 0.35
