"""Scores by task parameter: the right tasks, in the right bins."""

from dataclasses import replace

import numpy as np
import pytest

from limbshift.envs.catalogue import make_family
from limbshift.envs.trial_env import TrialEnv
from limbshift.experiments.comparison.by_parameter import by_parameter, edges_of, tasks_of
from limbshift.experiments.comparison.timed_training import TASK_SEED, HeldoutCurvePoint
from limbshift.experiments.comparison.training_run import TrainingRun
from limbshift.meta.evaluation.trials import first_tasks

COUNT = 40


@pytest.mark.parametrize("split", ["heldout", "extrapolation"])
@pytest.mark.parametrize(("name", "variant"), [("HalfCheetahVel", "default"), ("Walker2dRandParams", "default")])
def test_tasks_are_those_that_methods_meet(name: str, variant: str, split: str) -> None:
    family = make_family(name, variant)
    env = TrialEnv(family, 4, 1, horizon=1, split=split, seed=TASK_SEED)
    met = [list(task.values()) for task in first_tasks(env, 6, TASK_SEED)]
    env.close()
    np.testing.assert_array_equal(tasks_of(family, split, 6), met)


def run(method: str, seed: int, slope: float) -> TrainingRun:
    """Returns a multiple of the speed asked for on each task, and twice that outside."""
    family = make_family("HalfCheetahVel")
    splits = {
        split: [[0.0, factor * slope * speed] for (speed,) in tasks_of(family, split, COUNT).tolist()]
        for split, factor in (("heldout", 1.0), ("extrapolation", 2.0))
    }
    look = HeldoutCurvePoint(1.0, 100 * (method != "random"), splits["heldout"])
    return TrainingRun(method, seed, "a CPU", [look], splits)


def test_scores_are_by_the_same_tasks() -> None:
    """Half of the oracle's return on each task is half of its score in each bin, whatever the tasks are worth."""
    runs = [run("limbshift", 0, 5.0), run("oracle", 0, 10.0), run("random", 0, 0.0)]
    bins = by_parameter(runs, make_family("HalfCheetahVel"))
    inside = [each for each in bins if each.inside]
    assert [(each.low, each.high) for each in inside] == [(0.0, 0.75), (0.75, 1.5), (1.5, 2.25), (2.25, 3.0)]
    assert sum(each.num_tasks for each in inside) == COUNT
    assert [each.num_tasks for each in bins if not each.inside] == [COUNT]
    for each in bins:
        assert each.values == pytest.approx({"limbshift": 0.5, "oracle": 1.0, "random": 0.0})


def test_without_an_oracle_it_is_returns() -> None:
    runs = [run("limbshift", 0, 5.0), run("random", 0, 0.0)]
    *_, outside = by_parameter(runs, make_family("HalfCheetahVel"))
    speeds = tasks_of(make_family("HalfCheetahVel"), "extrapolation", COUNT)[:, 0]
    assert outside.values["limbshift"] == pytest.approx(10 * np.sort(speeds)[10:30].mean())


def test_an_oracle_that_returns_no_more_gives_no_score() -> None:
    """Over all tasks: there are returns, as where there is no oracle."""
    ours, random = run("limbshift", 0, 5.0), run("random", 0, 0.0)
    bins = [
        by_parameter(runs, make_family("HalfCheetahVel"))
        for runs in ([ours, run("oracle", 0, -1.0), random], [ours, random])
    ]
    for with_oracle, without in zip(*bins, strict=True):
        assert with_oracle.values["limbshift"] == without.values["limbshift"]


def test_a_bin_in_which_the_oracle_returns_no_more_has_no_score() -> None:
    oracle = run("oracle", 0, 10.0)
    speeds = tasks_of(make_family("HalfCheetahVel"), "heldout", COUNT)[:, 0]
    returns = [[0.0, float(speed if speed > 0.75 else -speed)] for speed in speeds]
    bins = by_parameter(
        [
            run("limbshift", 0, 5.0),
            replace(oracle, splits={**oracle.splits, "heldout": returns}),
            run("random", 0, 0.0),
        ],
        make_family("HalfCheetahVel"),
    )
    assert set(bins[0].values.values()) == {None}
    assert all(None not in each.values.values() for each in bins[1:])


def test_a_bin_in_which_the_oracle_fails_has_no_scores() -> None:
    """Outside the range the oracle returns a fiftieth of what it does inside, and all scores would be large."""
    ours, oracle, random = run("limbshift", 0, 5.0), run("oracle", 0, 10.0), run("random", 0, 0.0)
    failed = replace(oracle, splits={**oracle.splits, "extrapolation": [[0.0, 0.4]] * COUNT})
    *inside, outside = by_parameter([ours, failed, random], make_family("HalfCheetahVel"))
    assert set(outside.values.values()) == {None}
    assert inside[0].values["limbshift"] == pytest.approx(0.5)


def test_choices_outside_the_range_are_choices_still() -> None:
    (lost,) = (each for each in make_family("QuadrupedBodies").parameters if each.name == "lost_leg")
    assert edges_of(lost, "heldout") == [(0.0, 0.0)]
    assert edges_of(lost, "extrapolation") == [(1.0, 1.0), (2.0, 2.0), (3.0, 3.0), (4.0, 4.0)]
