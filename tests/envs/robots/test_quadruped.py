"""The quadruped, against MuJoCo's own rotations and against its scales."""

import mujoco
import numpy as np
import pytest
import torch

from limbshift.envs.catalogue import make_family
from limbshift.envs.robots.quadruped import down, into_frame
from limbshift.envs.task_env import TaskEnv


def standing(name: str, *tasks: dict[str, float], steps: int = 40) -> TaskEnv:
    """Robots that have stood for two seconds, or for so many steps of 0.05 s."""
    env = TaskEnv(make_family(name), len(tasks))
    env.set_tasks(tasks, env.all_envs)
    env.begin_episodes(env.all_envs)
    for _ in range(steps):
        assert not env.step(torch.zeros(len(tasks), 12)).terminated.any(), "it fell"
    return env


def test_vectors_are_turned_as_mujoco_turns_them() -> None:
    generator = np.random.default_rng(0)
    quaternions = generator.normal(size=(20, 4))
    quaternions /= np.linalg.norm(quaternions, axis=1, keepdims=True)
    vectors = generator.normal(size=(20, 3))
    for quaternion, vector in zip(quaternions, vectors, strict=True):
        inverse, turned, below = np.zeros(4), np.zeros(3), np.zeros(3)
        mujoco.mju_negQuat(inverse, quaternion)
        mujoco.mju_rotVecQuat(turned, vector, inverse)
        mujoco.mju_rotVecQuat(below, np.array([0.0, 0.0, -1.0]), inverse)
        one = torch.from_numpy(quaternion)[None]
        np.testing.assert_allclose(into_frame(one, torch.from_numpy(vector)[None])[0], turned, atol=1e-12)
        np.testing.assert_allclose(down(one)[0], below, atol=1e-12)


def test_it_weighs_twelve_kilograms_and_stands() -> None:
    env = standing("QuadrupedVel", {})
    assert 12 < env.robot.model.body_subtreemass[0] < 13
    assert env.physics.state("qpos")[0, 2] == pytest.approx(0.27, abs=0.02)
    obs = env.observe()[0]
    assert obs[:3].tolist() == pytest.approx([0.0, 0.0, -1.0], abs=0.06)
    assert obs[3:9].abs().max() < 0.02


def test_to_stand_still_is_worth_what_it_should_be() -> None:
    env = standing("QuadrupedVel", {"target_velocity": 0.0}, {"target_velocity": 0.5})
    reward = env.step(torch.zeros(2, 12)).reward.tolist()
    # 1.5 + 0.5 exp(0), and 0.5 less where it is to walk at 0.5 m/s; a little less for leaning.
    assert reward == pytest.approx([2.0, 1.5], abs=0.01)


def test_a_load_presses_it_down_where_it_lies() -> None:
    loads: tuple[dict[str, float], ...] = (
        {},
        {"payload_mass": 6.0},
        {"payload_mass": 6.0, "payload_x": 0.15},
        {"payload_x": 0.15},
    )
    env = standing("QuadrupedPayload", *loads, steps=100)
    height, pitch = env.physics.state("qpos")[:, 2], env.observe()[:, 0]
    assert height[1] < height[0] - 0.01
    assert pitch[2] > pitch[1] + 0.02  # the nose is lower
    assert height[3] == pytest.approx(float(height[0]), abs=1e-3)  # no load, wherever it lies
    assert env.physics.snapshot(1)[0].body_subtreemass[0] == pytest.approx(env.robot.model.body_subtreemass[0] + 6)


def test_weak_and_dead_motors_give_way() -> None:
    env = standing("QuadrupedMotors", {}, {"motor_strength": 0.6})
    knees = env.physics.state("qpos")[:, 9]  # of the front left leg, which the stance bends to -1.6
    assert knees[1] < knees[0] - 0.005
    env.set_tasks([{}, {"dead_motor": 3}], env.all_envs)
    for name in ("actuator_gainprm", "actuator_biasprm"):
        intact, crippled = env.physics.model_field(name)
        assert not crippled[2].any(), "the third motor, the front left leg's knee, still works"
        assert torch.equal(crippled[[0, 1, *range(3, 12)]], intact[[0, 1, *range(3, 12)]])
