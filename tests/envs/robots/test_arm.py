"""The arm and the reference that it follows."""

import math

import pytest
import torch

from limbshift.envs.catalogue import make_family
from limbshift.envs.task_env import TaskEnv


def begun(name: str, *tasks: dict[str, float]) -> TaskEnv:
    env = TaskEnv(make_family(name), len(tasks))
    env.set_tasks(tasks, env.all_envs)
    env.begin_episodes(env.all_envs)
    return env


def test_the_reference_swings_as_said() -> None:
    env = begun("ArmPayload", {})
    assert env.observe()[0, 12:18].tolist() == pytest.approx([0.0, 0.6, 0.9, 0.0, 0.5, 0.0])
    for _ in range(50):
        env.step(torch.zeros(1, 6))
    # After 1 s: a quarter of the shoulder's period of 4 s, and 1 / 2.6 of the elbow's.
    obs = env.observe()[0]
    assert obs[12] == pytest.approx(0.6, abs=1e-6)
    assert obs[14] == pytest.approx(0.9 + 0.4 * math.sin(2 * math.pi / 2.6), abs=1e-6)
    assert obs[18] == pytest.approx(0.0, abs=1e-6)
    env.begin_episodes(env.all_envs)
    assert env.observe()[0, 12] == 0.0, "an episode goes on with the reference of the last"


def error_of_blind_servos(env: TaskEnv) -> list[float]:
    """Mean joint errors (rad) after 2 s of servos that are told the reference, and nothing of the load."""
    for _ in range(100):
        reference = env.observe()[:, 12:18]
        step = env.step(reference / 1.5)
    error = (env.observe()[:, :6] - env.observe()[:, 12:18]).abs().mean(dim=-1).double()
    paid = -error / 0.1 - 0.01 * (reference / 1.5).square().sum(dim=-1)
    torch.testing.assert_close(step.reward, paid, rtol=0, atol=1e-6)
    return error.tolist()


def test_what_is_unknown_costs() -> None:
    free, loaded, heavy = error_of_blind_servos(begun("ArmPayload", {}, {"payload_mass": 2.0}, {"payload_mass": 4.0}))
    assert free < loaded / 1.2 < heavy / 1.3
    loose, stuck = error_of_blind_servos(
        begun("ArmJointFriction", {}, {"shoulder_yaw_friction": 20.0, "wrist_roll_friction": 20.0})
    )
    assert loose < stuck / 1.02
