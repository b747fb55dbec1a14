"""A reward may be read straight off the simulator: what a step hands out is still its own."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

from limbshift.envs.adapters.gym_env import TaskFamilyEnv
from limbshift.envs.adapters.gym_trials import TrialVectorEnv
from limbshift.envs.adapters.gym_vector import TaskFamilyVectorEnv
from limbshift.envs.family import Motion
from limbshift.envs.robots.hopper import HopperRandParams
from limbshift.envs.task_env import TaskEnv
from limbshift.envs.trial_env import TrialEnv
from tests.envs.sled import Sledding

PUSH = torch.tensor([[1.0], [0.5]], dtype=torch.float64)


class Placed(Sledding):
    """Pays the place along the rail: a view of the simulator's positions, as its only term."""

    def reward(self, motion: Motion, task: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """x"""
        return {"place": motion.physics.state("qpos")[:, 0]}


class PlacedAndFast(Sledding):
    """Pays two views, of positions and of velocities."""

    def reward(self, motion: Motion, task: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """x + v_x"""
        return {"place": motion.physics.state("qpos")[:, 0], "speed": motion.physics.state("qvel")[:, 0]}


PAID = (Placed(), PlacedAndFast())
every_pay = pytest.mark.parametrize("family", PAID, ids=lambda family: family.name)


def begun(family: Sledding) -> TaskEnv:
    """Two sleds of 2 kg, at 0 m and at 0.5 m, at rest."""
    env = TaskEnv(family, 2)
    env.set_tasks([{}, {}], env.all_envs)
    env.begin_episodes(env.all_envs)
    env.physics.state("qpos")[:, 0] = torch.tensor([0.0, 0.5])
    return env


@every_pay
def test_a_kept_step_never_changes(family: Sledding) -> None:
    env = begun(family)
    step = env.step(PUSH)
    # From rest, v' = 0.2 a and x' = x + 0.015 a.
    place, speed = [0.015, 0.5075], [0.2, 0.1]
    expected = {"place": place, "speed": speed} if len(step.terms) == 2 else {"place": place}
    env.step(-PUSH)
    env.begin_episodes(env.all_envs)
    assert {name: value.tolist() for name, value in step.terms.items()} == {
        name: pytest.approx(value) for name, value in expected.items()
    }
    assert step.reward.tolist() == pytest.approx(np.sum(list(expected.values()), axis=0).tolist())


@every_pay
def test_what_is_written_to_a_step_stays_out_of_the_simulator(family: Sledding) -> None:
    env = begun(family)
    step = env.step(PUSH)
    for kept in (step.reward, *step.terms.values()):
        kept.fill_(0.25)
    assert env.physics.state("qpos")[:, 0].tolist() == pytest.approx([0.015, 0.5075])
    assert env.physics.state("qvel")[:, 0].tolist() == pytest.approx([0.2, 0.1])


class Height(HopperRandParams):
    """Pays the height of a hopper's torso, which stands at 1.25 m by default."""

    def reward(self, motion: Motion, task: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """height"""
        return {"height": motion.physics.state("qpos")[:, 1]}


def test_a_divergence_writes_nothing_into_the_simulator() -> None:
    env = TaskEnv(Height(), 2)
    env.begin_episodes(env.all_envs)
    env.physics.state("qvel")[0] = 1e11
    step = env.step(torch.zeros(2, 3))
    assert step.diverged.tolist() == [True, False]
    assert step.reward[0] == 0
    assert env.physics.state("qpos")[0, 1].item() == pytest.approx(1.25, abs=0.001)


def test_the_last_reward_of_a_slot_is_not_of_the_next_episode() -> None:
    trials = TrialEnv(Placed(), 2, episodes_per_trial=2, horizon=1)
    trials.task_env.set_tasks([{}, {}], trials.task_env.all_envs)
    trials.begin_trials()
    trials.task_env.physics.state("qpos")[:, 0] = torch.tensor([0.0, 0.5])
    step = trials.step(PUSH)
    assert step.reward.tolist() == pytest.approx([0.015, 0.5075])
    seen = step.obs[:, trials.layout.previous_reward].flatten()
    assert seen.tolist() == pytest.approx([0.015, 0.5075])


@every_pay
def test_gym_envs_hand_out_their_own(family: Sledding) -> None:
    single = TaskFamilyEnv(family, horizon=2, seed=0)
    vector = TaskFamilyVectorEnv(family, 1, horizon=2, seed=0)
    trials = TrialVectorEnv(family, 1, episodes_per_trial=2, horizon=1, seed=0)
    for env in (single, vector, trials):
        env.reset(options={"task": {}})
    push = PUSH[:1].numpy()
    _, paid, _, _, told = single.step(push[0])
    rewards, terms = [], []
    for _ in range(2):  # the second ends the episode, whose place the next one's start takes
        _, reward, _, _, infos = vector.step(push)
        rewards.append(reward)
        terms.append(infos["reward_terms"])
    _, trial_reward, _, _, _ = trials.step(push)
    assert rewards[0].tolist() == [paid]
    assert {name: value.tolist() for name, value in terms[0].items()} == {
        name: [value] for name, value in told["reward_terms"].items()
    }
    assert rewards[1].tolist() == [pytest.approx(single.step(push[0])[1])]
    assert trial_reward.shape == (1,)
    for kept in (*rewards, *terms[0].values(), *terms[1].values(), trial_reward):
        before = vector.task_env.physics.state("qpos").clone(), trials.trials.task_env.physics.state("qpos").clone()
        kept += 5
        assert torch.equal(vector.task_env.physics.state("qpos"), before[0])
        assert torch.equal(trials.trials.task_env.physics.state("qpos"), before[1])


class Mixed(Sledding):
    """Pays terms of several kinds of numbers."""

    def reward(self, motion: Motion, task: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """1 + 0.1"""
        count = torch.ones(len(motion.fallen), dtype=torch.int64)
        return {"whole": count, "short": 0.1 * count.float()}


def test_terms_of_other_kinds_are_added_as_pytorch_adds_them() -> None:
    """In float32, where 1.1 is 1.10000002384; added by Python the two would be 1.10000000149."""
    single, vector = TaskFamilyEnv(Mixed(), seed=0), TaskFamilyVectorEnv(Mixed(), 2, seed=0)
    single.reset()
    vector.reset()
    assert single.step(PUSH[0].numpy())[1] == np.float32(1.1)
    assert vector.step(PUSH.numpy())[1].tolist() == [np.float32(1.1)] * 2
