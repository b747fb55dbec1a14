"""What is remembered learns to tell the task, and the policy never sees it."""

import torch

from limbshift.agents.recurrent import PolicySpec, RecurrentActorCritic
from limbshift.meta.rl2.config import PPOConfig
from limbshift.meta.rl2.ppo import PPO
from limbshift.meta.rl2.storage import RolloutStorage
from limbshift.meta.rl2.task_head import TaskHead

SPEC = PolicySpec(obs_dim=1, action_dim=1, hidden_size=16)
TASK = slice(SPEC.trial_obs_dim, SPEC.trial_obs_dim + 1)
STEPS, TRIALS = 6, 32


def seen_once() -> RolloutStorage:
    """The task, 1 or -1, shows in the first observation and never again; nothing is gained by any action."""
    storage = RolloutStorage(STEPS, TRIALS, TASK.stop, SPEC.feature_dim, 1, torch.device("cpu"))
    task = torch.where(torch.arange(TRIALS) % 2 == 0, 1.0, -1.0)
    storage.obs[..., TASK] = task.unsqueeze(-1)
    storage.obs[0, :, 0] = task
    return storage


def guess_at_the_end(task_coef: float, spent: float = 0.0) -> float:
    """Mean squared error after 50 updates of what was 1 before, at the last step."""
    torch.manual_seed(0)
    policy, storage = RecurrentActorCritic(SPEC), seen_once()
    ppo = PPO(policy, PPOConfig(learning_rate=3e-3, task_coef=task_coef), torch.Generator().manual_seed(0), TASK)
    for _ in range(50):
        ppo.update(storage, torch.zeros(STEPS, TRIALS), spent)
    with torch.no_grad():
        features, _ = policy.unroll(storage.obs, policy.initial_state(TRIALS))
        return float((ppo.task_head(features[-1]) - storage.obs[-1][..., TASK]).square().mean())


def test_a_task_that_was_seen_once_is_remembered() -> None:
    assert guess_at_the_end(task_coef=0.25) < 0.05
    assert guess_at_the_end(task_coef=0.0) == 1.0


def test_telling_the_task_ends_with_the_budget() -> None:
    assert guess_at_the_end(task_coef=0.25, spent=0.5) < 0.05
    assert guess_at_the_end(task_coef=0.25, spent=1.0) == 1.0


def test_the_policy_does_not_see_the_task() -> None:
    policy, obs = RecurrentActorCritic(SPEC), torch.randn(3, 2, TASK.stop)
    features, state = policy.unroll(obs, policy.initial_state(2))
    obs[..., TASK] += 1
    again, state_again = policy.unroll(obs, policy.initial_state(2))
    assert torch.equal(features, again)
    assert all(torch.equal(a, b) for a, b in zip(state, state_again, strict=True))


def test_where_no_task_is_shown_there_is_nothing_to_tell() -> None:
    head = TaskHead(SPEC, slice(SPEC.trial_obs_dim, SPEC.trial_obs_dim))
    loss = head.loss(torch.randn(3, 2, SPEC.feature_dim), torch.randn(3, 2, SPEC.trial_obs_dim))
    assert loss.item() == 0.0
