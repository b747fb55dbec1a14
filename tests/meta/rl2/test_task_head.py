"""What is remembered learns to tell the task, and the policy never sees it."""

import dataclasses

import pytest
import torch

from limbshift.agents.heads import TaskHead
from limbshift.agents.recurrent import PolicySpec, RecurrentActorCritic
from limbshift.envs.trial_env import TrialStep, trial_layout
from limbshift.meta.rl2.config import PPOConfig
from limbshift.meta.rl2.experience.storage import RolloutStorage
from limbshift.meta.rl2.ppo import PPO

SPEC = PolicySpec(obs_dim=1, action_dim=1, hidden_size=16)
STEPS, TRIALS = 6, 32
CPU = torch.device("cpu")


def seen_once() -> RolloutStorage:
    """The task, 1 or -1, shows in the first observation and never again; nothing is gained by any action."""
    shown = slice(SPEC.trial_obs_dim, SPEC.trial_obs_dim + 1)
    storage = RolloutStorage(SPEC, num_steps=STEPS, num_envs=TRIALS, task=shown, device=CPU, env_device=CPU)
    task = torch.where(torch.arange(TRIALS) % 2 == 0, 1.0, -1.0)
    storage.task[:] = task.unsqueeze(-1)
    storage.obs[0, :, 0] = task
    return storage


def guess_at_the_end(task_coef: float, spent: float = 0.0) -> float:
    """Mean squared error after 50 updates of what was 1 before, at the last step."""
    torch.manual_seed(0)
    policy, storage = RecurrentActorCritic(SPEC), seen_once()
    config = PPOConfig(learning_rate=1e-2, task_coef=task_coef, num_minibatches=1)
    ppo = PPO(policy, config, torch.Generator().manual_seed(0), task_dim=1)
    for _ in range(50):
        ppo.update(storage, spent)
    with torch.no_grad():
        features, _ = policy.unroll(storage.obs[:-1], policy.initial_state(TRIALS))
        return float((ppo.task_head(features[-1]) - storage.task[-1]).square().mean())


def test_a_task_that_was_seen_once_is_remembered() -> None:
    # Over ten seeds less than 0.0003 is left.
    assert guess_at_the_end(task_coef=0.25) < 0.05
    assert guess_at_the_end(task_coef=0.0) == 1.0


def test_telling_the_task_ends_with_the_budget() -> None:
    assert guess_at_the_end(task_coef=0.25, spent=0.5) < 0.05
    assert guess_at_the_end(task_coef=0.25, spent=1.0) == 1.0


@pytest.mark.parametrize("sees_task", [False, True])
def test_the_oracle_alone_sees_the_task(sees_task: bool) -> None:
    spec = dataclasses.replace(SPEC, task_dim=2 * sees_task)
    layout = trial_layout(spec.obs_dim, spec.action_dim, task_dim=2)
    storage = RolloutStorage(spec, num_steps=2, num_envs=1, task=layout.task, device=CPU, env_device=CPU)
    shown = torch.arange(18.0).view(3, 1, 6)  # physical, action, reward, boundary, then the task
    one = torch.ones(1)
    storage.begin(shown[0])
    for t in range(2):
        storage.write(t, TrialStep(shown[t + 1], one * t, one > t, one > 2, False))
    seen = shown if sees_task else shown[..., :4]
    assert torch.equal(storage.obs, seen)
    assert torch.equal(storage.task, shown[:-1, :, 4:])
    assert storage.reward.tolist() == [[0.0], [1.0]]
    assert storage.terminated.tolist() == [[True], [False]]


def test_where_no_task_is_shown_there_is_nothing_to_tell() -> None:
    loss = TaskHead(SPEC.hidden_size, 0).loss(torch.randn(3, 2, SPEC.feature_dim), torch.zeros(3, 2, 0))
    assert loss.item() == 0.0
