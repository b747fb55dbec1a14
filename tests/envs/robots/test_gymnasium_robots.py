"""Robots of Gymnasium, step for step; what of theirs ours do otherwise is said here."""

import math
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from limbshift.envs.catalogue import make_family
from limbshift.envs.family import TaskFamily
from limbshift.envs.physics.mujoco_batch import MujocoPhysics
from limbshift.envs.task_env import TaskEnv

STEPS = 50


# What ours do not observe: contact forces, and inertias, which would tell the task.
WITHOUT_CONTACTS = {"include_cfrc_ext_in_observation": False}


WITHOUT_INERTIAS = {**WITHOUT_CONTACTS, "include_cinert_in_observation": False}


def goal_as_theirs(family: TaskFamily, robot: Any) -> dict[str, float]:
    """What Gymnasium's robot is paid for, as a task."""
    goals = {"direction": 1.0, **dict(zip(("goal_x", "goal_y"), getattr(robot, "goal", (0.0, 0.0)), strict=True))}
    return {name: goal for name, goal in goals.items() if name in family.task_space.names}


def shared(name: str, obs: np.ndarray) -> np.ndarray:
    """What ours observe too, in our order: of Reacher's, all but what tells its hidden target or fingertip."""
    if "Reacher" in name:
        angles, target, velocity, to_fingertip = np.split(obs, [4, 6, 8])
        goal = name == "ReacherGoal"
        obs = np.concatenate([angles, velocity, target + to_fingertip] if goal else [angles, target, velocity])
    return obs.astype(np.float32)


@pytest.mark.filterwarnings("ignore:MuJoCo.*settotalmass")  # half-cheetah's XML uses this deprecated attribute
@pytest.mark.parametrize(
    ("name", "theirs", "options"),
    [
        ("HalfCheetahLimbsDir", "HalfCheetah-v5", {}),
        ("HalfCheetahWiring", "HalfCheetah-v5", {}),
        ("AntDir", "Ant-v5", WITHOUT_CONTACTS),
        ("AntLimbsDir", "Ant-v5", WITHOUT_CONTACTS),
        ("HopperRandParams", "Hopper-v5", {}),
        ("Walker2dRandParams", "Walker2d-v5", {}),
        ("HumanoidDir", "Humanoid-v5", WITHOUT_INERTIAS),
        ("SwimmerViscosity", "Swimmer-v5", {}),
        ("InvertedPendulumBody", "InvertedPendulum-v5", {}),
        ("ReacherGoal", "Reacher-v5", {}),
        ("ReacherLimbs", "Reacher-v5", {}),
    ],
)
def test_the_gymnasium_variant_is_gymnasiums_robot(name: str, theirs: str, options: Mapping[str, Any]) -> None:
    robot: Any = gym.make(theirs, **options).unwrapped
    robot.reset(seed=0)
    env = TaskEnv(make_family(name, "gymnasium"), 1)
    env.set_tasks([goal_as_theirs(env.family, robot)], env.all_envs)
    env.begin_episodes(env.all_envs)
    for field in ("qpos", "qvel"):
        env.physics.state(field)[0] = torch.from_numpy(getattr(robot.data, field))
    env.physics.forward(env.all_envs)
    for action in np.random.default_rng(0).uniform(
        robot.action_space.low, robot.action_space.high, (STEPS, robot.model.nu)
    ):
        obs, reward, terminated, _, _ = robot.step(action)
        step = env.step(torch.from_numpy(action).unsqueeze(0))
        np.testing.assert_allclose(env.observe()[0], shared(name, obs), rtol=1e-6, atol=1e-6)
        assert step.reward.item() == pytest.approx(reward, abs=1e-9)
        assert step.terminated.item() == terminated
    robot.close()


def test_initial_states_are_gymnasiums() -> None:
    env = TaskEnv(make_family("HalfCheetahDir"), 1000)
    env.begin_tasks(env.all_envs)
    env.begin_episodes(env.all_envs)
    qpos, qvel = env.physics.state("qpos"), env.physics.state("qvel")
    assert qpos.abs().max() <= 0.1
    # Deviations of uniform and normal numbers; five standard errors of 9000 are 2.5 and 4 per cent.
    assert qpos.std() == pytest.approx(0.1 / math.sqrt(3), rel=0.03)
    assert qvel.std() == pytest.approx(0.1, rel=0.04)
    reacher = TaskEnv(make_family("ReacherGoal"), 500)
    reacher.begin_tasks(reacher.all_envs)
    reacher.begin_episodes(reacher.all_envs)
    assert reacher.physics.state("qpos")[:, :2].abs().max() <= 0.1
    assert reacher.physics.state("qvel")[:, :2].abs().max() <= 0.005
    assert not reacher.physics.state("qvel")[:, 2:].any()


@pytest.mark.parametrize(("variant", "falls"), [("default", [False, False, True]), ("gymnasium", [False, True, False])])
def test_an_ant_falls_when_it_is_turned_over(variant: str, falls: list[bool]) -> None:
    family = make_family("AntLimbs", variant)
    physics = MujocoPhysics(family.robot.model, 3, computed_fields=family.robot.computed_fields)
    qpos = physics.state("qpos")
    half = torch.tensor([80.0, 80.0, 100.0]).double().deg2rad() / 2  # tilted by twice that about y
    qpos[:, 3], qpos[:, 5] = half.cos(), half.sin()
    qpos[:, 2] = torch.tensor([0.5, 1.1, 0.3])
    fallen = family.robot.fallen(physics)
    assert fallen is not None
    assert fallen.tolist() == falls


def test_a_hopper_jumps_as_high_on_rough_ground_as_on_smooth() -> None:
    """Friction does not lift or hold down; pyramids of it do, of which the gymnasium variant is made."""

    def jumps(variant: str) -> list[float]:
        env = TaskEnv(make_family("HopperRandParams", variant), 2)
        env.set_tasks([{"friction": 1.0}, {"friction": 2.0}], env.all_envs)
        env.begin_episodes(env.all_envs)
        lift = []
        for action in [[0.0, 0.0, 0.5]] * 8 + [[0.2, 0.6, -1.0]] * 22 + [[0.0, -0.2, 1.0]] * 20:
            env.step(torch.tensor([action, action]))
            lift.append(env.physics.state("qvel")[:, 1].clone())
        return torch.stack(lift).amax(dim=0).tolist()

    smooth, rough = jumps("default")
    assert rough == pytest.approx(smooth, rel=0.15)
    smooth, rough = jumps("gymnasium")
    assert rough < 0.6 * smooth
