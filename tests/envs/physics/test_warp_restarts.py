"""On MuJoCo Warp, where who restarts is unseen: what steps draw, and where a robot that diverged begins anew."""

from functools import cached_property

import mujoco
import pytest
import torch
from torch import Tensor

from limbshift.envs.family import Robot
from limbshift.envs.physics.engine import CPU, Engine
from limbshift.envs.task_env import TaskEnv
from limbshift.envs.tasks.streams import RandomStream
from limbshift.envs.trial_env import TrialEnv
from tests.envs.sled import MJCF, Sled, Sledding

WARP = Engine("warp")


class RailedSled(Sled):
    """A sled that cannot fall."""

    name = "RailedSled"

    @cached_property
    def model(self) -> mujoco.MjModel:
        return mujoco.MjModel.from_xml_string(MJCF)

    fallen = Robot.fallen  # type: ignore[assignment]


class Railed(Sledding):
    robot = RailedSled()


def begun(family: Sledding, engine: Engine) -> TrialEnv:
    env = TrialEnv(family, 2, engine=engine)
    env.task_env.set_tasks([{"price": 1.0}] * 2, env.task_env.all_envs)
    env.begin_trials()
    return env


def diverged(env: TrialEnv) -> Tensor:
    """The (N, trial_obs_dim) observation after a step in which the second of two robots diverges."""
    env.task_env.physics.state("qvel")[1, 0] = 1e15
    step = env.step(torch.zeros(2, 1))
    assert step.terminated.tolist() == [False, True]
    return step.obs


@pytest.mark.parametrize(
    ("family", "expected"),
    [(Railed(), 2 + 3), (Sledding(), 2 + 9)],
    ids=["a robot that cannot fall", "a robot that can"],
)
def test_no_more_is_drawn_than_may_be_needed(family: Sledding, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three episodes of four steps: two begin after steps, and the last step of all is followed by nothing.

    Of the nine other steps each draws for falls; for divergences alone, the first of an episode does.
    """
    env = begun(family, WARP)
    count, uniform = 0, RandomStream.uniform

    def counted(stream: RandomStream, index: Tensor, epoch: Tensor, size: int) -> Tensor:
        nonlocal count
        count += 1
        return uniform(stream, index, epoch, size)

    monkeypatch.setattr(RandomStream, "uniform", counted)
    for _ in range(env.steps_per_trial):
        env.step(torch.zeros(2, 1))
    assert count == expected


def test_a_robot_that_cannot_fall_begins_anew_where_it_diverges() -> None:
    """Its first restart of an episode is that of MuJoCo's own engine; so are those of later episodes."""
    on_host, on_device = (begun(Railed(), engine) for engine in (CPU, WARP))
    first, later = [], []
    for env in (on_host, on_device):
        first.append(diverged(env))
        for _ in range(3):  # the rest of the episode
            env.step(torch.zeros(2, 1))
        later.append(diverged(env))
    torch.testing.assert_close(first[1], first[0], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(later[1], later[0], rtol=1e-5, atol=1e-6)
    place, boundary = first[1][1, 0], first[1][:, -1]
    assert 0 < abs(place) <= 0.1
    assert later[1][1, 0] != place
    assert boundary.tolist() == [0.0, 1.0]


def test_a_second_divergence_of_an_episode_begins_where_the_first_did() -> None:
    env = begun(Railed(), WARP)
    assert torch.equal(diverged(env)[1], diverged(env)[1])


def test_a_task_changes_at_its_step_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the step is one for all trials, the host knows it: no other draws tasks."""
    env = TrialEnv(Railed(), 2, shift_at=5, engine=WARP)
    env.reset()
    changes, shift = [], TaskEnv.shift_tasks

    def noted(tasks: TaskEnv, mask: Tensor) -> None:
        changes.append(env._steps)
        shift(tasks, mask)

    monkeypatch.setattr(TaskEnv, "shift_tasks", noted)
    for _ in range(env.steps_per_trial):
        env.step(torch.zeros(2, 1))
    assert changes == [5]
