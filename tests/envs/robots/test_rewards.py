"""What families pay, against numbers worked by hand."""

import math
from collections.abc import Mapping

import pytest
import torch

from limbshift.envs.catalogue import make_family
from limbshift.envs.family import Motion, TaskFamily
from limbshift.envs.physics.mujoco_batch import MujocoPhysics


def worked_motion(family: TaskFamily, velocity: float, action: float) -> Motion:
    """A motion at this speed, under the same action on every motor."""
    physics = MujocoPhysics(family.robot.model, 1, computed_fields=family.robot.computed_fields)
    everyone = torch.ones(1, dtype=torch.bool)
    physics.reset(everyone)
    physics.forward(everyone)
    actions = torch.full((1, family.robot.model.nu), action, dtype=torch.float64)
    return Motion(physics, torch.tensor([velocity], dtype=torch.float64), actions, ~everyone)


# The control cost of six actions of 0.5 is 0.05 * 6 * 0.25 = 0.075.
@pytest.mark.parametrize(
    ("name", "task", "velocity", "terms"),
    [
        ("HalfCheetahDir", {"direction": 1.0}, 2.0, {"run": 2.0, "control": -0.075}),
        ("HalfCheetahDir", {"direction": -1.0}, 2.0, {"run": -2.0, "control": -0.075}),
        ("HalfCheetahVel", {"target_velocity": 1.5}, 2.0, {"speed": -0.5, "control": -0.075}),
        ("HalfCheetahVel", {"target_velocity": 3.0}, -1.0, {"speed": -4.0, "control": -0.075}),
        ("HalfCheetahLimbs", {"torso_mass": 3.0}, 2.0, {"run": 2.0, "control": -0.075}),
        ("HalfCheetahLimbsDir", {"direction": -1.0}, -3.0, {"run": 3.0, "control": -0.075}),
        ("HalfCheetahWiring", {"bfoot_sign": -1.0}, -0.5, {"run": -0.5, "control": -0.075}),
    ],
)
def test_cheetahs_are_paid_by_their_equation(
    name: str, task: Mapping[str, float], velocity: float, terms: Mapping[str, float]
) -> None:
    family = make_family(name)
    values = {each: torch.tensor([value], dtype=torch.float64) for each, value in {**family.nominal, **task}.items()}
    reward = family.reward(worked_motion(family, velocity, action=0.5), values)
    assert {term: value.tolist() for term, value in reward.items()} == {
        term: [pytest.approx(value)] for term, value in terms.items()
    }


# With both joints straight the fingertip is at 0.1 + 0.11 = 0.21 m along x.
@pytest.mark.parametrize(
    ("goal_x", "goal_y", "distance", "found"),
    [(0.2, 0.0, 0.01, 1.0), (0.17, -0.02, math.hypot(0.04, 0.02), 1.0), (0.17, 0.04, 0.04 * 2**0.5, 0.0)],
)
def test_the_reacher_is_paid_by_its_distance(goal_x: float, goal_y: float, distance: float, found: float) -> None:
    task = {"goal_x": torch.tensor([goal_x]).double(), "goal_y": torch.tensor([goal_y]).double()}
    sparse, dense = make_family("ReacherGoal"), make_family("ReacherGoal", "dense")
    assert sparse.reward(worked_motion(sparse, 0.0, 0.0), task)["found"].tolist() == [found]
    near = dense.reward(worked_motion(dense, 0.0, 0.0), task)
    assert near["distance"].tolist() == [pytest.approx(-distance, abs=1e-7)]


def test_an_ant_is_paid_for_being_near_its_goal_and_for_coming_nearer() -> None:
    """From the origin to (1.5, -2) it is 2.5 m; at (3, 4) m/s it comes nearer by (3 * 1.5 - 4 * 2) / 2.5 = -1.4 m/s."""
    task = {"goal_x": torch.tensor([1.5]).double(), "goal_y": torch.tensor([-2.0]).double()}
    dense, sparse = make_family("AntGoal"), make_family("AntGoal", "sparse")
    motion = worked_motion(dense, 0.0, action=0.5)._replace(velocity=torch.tensor([[3.0, 4.0]]).double())
    terms = {name: value.item() for name, value in dense.reward(motion, task).items()}
    assert terms == pytest.approx({"run": -1.4, "near": 1 - 2.5 / 4, "alive": 0.2, "control": -0.01 * 8 * 0.25})
    there = {"goal_x": torch.tensor([0.3]).double(), "goal_y": torch.tensor([-0.39]).double()}
    assert [sparse.reward(motion, at)["run"].item() for at in (task, there)] == [0.0, 1.0]


def test_a_reacher_that_sees_its_target_is_paid_for_touching_it() -> None:
    family = make_family("ReacherLimbs")
    physics = MujocoPhysics(family.robot.model, 1, computed_fields=family.robot.computed_fields)
    physics.forward(torch.ones(1, dtype=torch.bool))
    physics.state("qpos")[0, 2:] = torch.tensor([0.21, 0.04])  # both joints straight: 4 cm beside the fingertip
    action = torch.tensor([[0.5, -1.0]], dtype=torch.float64)
    terms = family.reward(Motion(physics, torch.zeros(1, 2), action, torch.zeros(1, dtype=torch.bool)), {})
    assert terms["near"].item() == pytest.approx(math.exp(-2))
    assert terms["control"].item() == pytest.approx(-0.0125)
