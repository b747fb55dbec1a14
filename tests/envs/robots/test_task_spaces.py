"""The tasks that families draw: where each split's lie, how evenly, and what is held out."""

import itertools

import pytest
import torch
from torch import Tensor

from limbshift.envs.catalogue import families, make_family
from limbshift.envs.family import TaskFamily
from limbshift.envs.robots.half_cheetah import HELDOUT_WIRINGS
from limbshift.envs.task_env import TaskEnv
from limbshift.envs.tasks.common import wirings
from tests.envs.robots.suite import every_family, sample, trained


def inside(values: Tensor, low: float, high: float) -> Tensor:
    slack = 1e-12 * max(abs(low), abs(high))
    return (values >= low - slack) & (values <= high + slack)


@every_family
def test_splits_lie_where_they_should(family: TaskFamily) -> None:
    for split in family.task_space.splits:
        task = sample(family, split)
        for parameter in family.parameters:
            values = task[parameter.name]
            if parameter.choices:
                assert torch.isin(values, torch.tensor(parameter.choices, dtype=values.dtype)).all()
            elif split == "extrapolation" and parameter.extrapolation:
                found = torch.stack([inside(values, *interval) for interval in parameter.extrapolation])
                assert found.any(dim=0).all()
                assert found.any(dim=1).all(), "an interval is never drawn from"
                assert not (parameter.to_unit(values).abs() < 1 - 1e-9).any() or parameter.low == parameter.high
            else:
                assert inside(values, parameter.low, parameter.high).all()


@every_family
def test_extrapolation_lies_outside_training(family: TaskFamily) -> None:
    for parameter in family.parameters:
        for low, high in parameter.extrapolation:
            assert low < high
            assert high <= parameter.low or low >= parameter.high


@every_family
def test_values_fill_their_range_evenly(family: TaskFamily) -> None:
    task = sample(family, "train", 2000)
    for parameter in family.parameters:
        if not trained(family, parameter):
            assert (task[parameter.name] == parameter.nominal).all()
            continue
        if family.listed_tasks and parameter.choices:  # as evenly as some chosen tasks can be
            assert set(task[parameter.name].tolist()) == set(parameter.choices)
            continue
        count = len(family.listed_tasks.get("train", task[parameter.name]))
        units = parameter.to_unit(task[parameter.name])
        # A mean over 2000 of numbers that lie within [-1, 1] has a deviation of at most 0.022, over 40 of 0.16.
        assert abs(units.mean()) < 4 / count**0.5, parameter.name
        assert units.min() < -0.9 or (count < 100 and units.min() < -0.7)
        assert units.max() > 0.9 or (count < 100 and units.max() > 0.7)


@every_family
def test_train_and_heldout_are_disjoint_unless_nothing_can_be_held_out(family: TaskFamily) -> None:
    rows = [torch.stack(tuple(sample(family, split).values()), dim=-1).tolist() for split in ("train", "heldout")]
    train, heldout = ({tuple(row) for row in each} for each in rows)
    if family.task_space.unseen("heldout"):
        assert not train & heldout
    else:
        assert train == heldout


@every_family
def test_validation_tasks_are_not_those_that_judge(family: TaskFamily) -> None:
    """A stream of their own; those of a family of few tasks are trained on, in another order."""
    space = family.task_space
    rows = {split: TaskEnv(family, 40, split) for split in ("train", "heldout", "validation")}
    drawn = {}
    for split, env in rows.items():
        env.begin_tasks(env.all_envs)
        drawn[split] = [tuple(row) for row in torch.stack(tuple(env.task.values()), dim=-1).tolist()]
        env.close()
    assert drawn["validation"] not in (drawn["train"], drawn["heldout"])
    if space.unseen("heldout"):
        assert not set(drawn["validation"]) & set(drawn["heldout"])
    if space.listed("validation"):
        assert set(drawn["validation"]) <= set(space.listed("train") or ())
    else:
        assert not set(drawn["validation"]) & set(drawn["train"])


def test_what_can_be_held_out() -> None:
    seen = {name for name in families() if not make_family(name).task_space.unseen("heldout")}
    assert seen == {"HalfCheetahDir", "AntDirForwardBack"}
    bounded = {name for name in families() if "extrapolation" not in make_family(name).task_space.splits}
    finite = {
        "HalfCheetahDir",
        "HalfCheetahWiring",
        "HalfCheetahCrippled",
        "AntWiring",
        "AntCrippled",
        "AntDirForwardBack",
    }
    assert bounded == {
        *finite,
        "ReacherGoal",
        "AntGoal",
        "AntDir",
        "HumanoidDir",
        "InvertedPendulumBody",
        "HalfCheetahHardware",
    }


@pytest.mark.parametrize(
    ("name", "train", "heldout"),
    [("HalfCheetahVel", 100, 30), ("AntGoal", 150, 30), ("HopperRandParams", 40, 10), ("Walker2dRandParams", 40, 10)],
)
def test_pearls_tasks_are_so_many(name: str, train: int, heldout: int) -> None:
    tasks = make_family(name, "pearl").task_space
    assert {split: len(set(rows)) for split, rows in tasks.listed_tasks.items()} == {"train": train, "heldout": heldout}
    assert tasks.unseen("heldout")


def test_ranges_are_those_promised() -> None:
    limbs, mild = make_family("HalfCheetahLimbs").parameters, make_family("HalfCheetahLimbs", "mild").parameters
    both = make_family("HalfCheetahLimbsDir").parameters
    assert [len(parameters) for parameters in (limbs, mild, both)] == [8, 7, 8]
    assert limbs[:7] == mild
    for parameter in mild:
        assert (parameter.low, parameter.high) == pytest.approx((8 / 27, 27 / 8))
    for parameter in both[:7]:
        assert (parameter.low, parameter.high) == pytest.approx((4 / 9, 9 / 4))
        assert parameter.extrapolation[0] == pytest.approx((8 / 27, 4 / 9))
        assert parameter.extrapolation[1] == pytest.approx((9 / 4, 27 / 8))
    (speed,) = make_family("HalfCheetahVel").parameters
    assert (speed.low, speed.high, speed.unit) == (0.0, 3.0, "m/s")


def test_reacher_targets_lie_in_a_disc_within_reach() -> None:
    task = sample(make_family("ReacherGoal"), "train", 2000)
    radius = torch.hypot(task["goal_x"], task["goal_y"])
    assert 0.19 < radius.max() <= 0.2


@pytest.mark.parametrize("name", ["HalfCheetahWiring", "AntWiring"])
def test_heldout_wirings_are_a_fair_quarter(name: str) -> None:
    family = make_family(name)
    train, heldout = family.task_space.listed_tasks["train"], family.task_space.listed_tasks["heldout"]
    motors = len(family.parameters)
    assert (len(set(train)), len(set(heldout))) == (3 * 2**motors // 4, 2**motors // 4)
    assert {*train, *heldout} == set(itertools.product((-1.0, 1.0), repeat=motors))
    signs = torch.tensor(heldout)
    assert not signs.sum(dim=0).any(), "a motor is reversed more often than not, or less"
    for first, second in itertools.combinations(range(motors), 2):
        assert not (signs[:, first] * signs[:, second]).sum(), f"motors {first} and {second} tell of each other"


def test_a_wiring_is_named_by_its_motors_in_order() -> None:
    assert wirings(["+-++-+"]) == ((1.0, -1.0, 1.0, 1.0, -1.0, 1.0),)
    assert wirings(HELDOUT_WIRINGS) == make_family("HalfCheetahWiring").task_space.listed_tasks["heldout"]


def test_a_crippled_robot_has_one_or_two_dead_motors_or_one_dead_leg() -> None:
    cheetah, ants = (
        make_family("HalfCheetahCrippled").task_space.listed_tasks,
        make_family("AntCrippled").task_space.listed_tasks,
    )
    assert (len(cheetah["train"]), len(cheetah["heldout"])) == (6 + 15 - 5, 5)
    assert {sum(row) for row in (*cheetah["train"], *cheetah["heldout"])} == {4.0, 5.0}
    assert ants == {
        "train": ((0.0, 1.0, 1.0, 1.0), (1.0, 0.0, 1.0, 1.0), (1.0, 1.0, 0.0, 1.0)),
        "heldout": ((1.0, 1.0, 1.0, 0.0),),
    }
