"""PPO's loss and its minibatches."""

import torch

from limbshift.agents.recurrent import PolicySpec, RecurrentActorCritic
from limbshift.meta.rl2.config import PPOConfig
from limbshift.meta.rl2.ppo import PPO, Minibatch, minibatches, ppo_loss
from limbshift.meta.rl2.storage import RolloutStorage
from limbshift.meta.rl2.task_head import TaskHead

SPEC = PolicySpec(obs_dim=2, action_dim=1, hidden_size=4)
TASK = slice(SPEC.trial_obs_dim, SPEC.trial_obs_dim + 2)
STEPS, TRIALS = 3, 8


def make_policy() -> RecurrentActorCritic:
    torch.manual_seed(0)
    return RecurrentActorCritic(SPEC)


def make_batch(policy: RecurrentActorCritic, log_ratio: float, advantage: float) -> Minibatch:
    """Two trials whose actions are exp(log_ratio) times as likely as when they were taken."""
    obs = torch.randn(STEPS, 2, TASK.stop, generator=torch.Generator().manual_seed(1))
    features, _ = policy.unroll(obs, policy.initial_state(2))
    action = torch.zeros(STEPS, 2, 1)
    log_prob = policy.actions(features).log_prob(action).detach() - log_ratio
    values = policy.values(features).detach()
    return Minibatch(obs, action, log_prob, torch.full((STEPS, 2), advantage), values + 2.0)


def test_the_loss_by_hand() -> None:
    """Ratio 1: -A. Ratio 2, clipped at 1.2: -1.2 A for A > 0, -2 A for A < 0. Value off by 2: 0.5 * 4 = 2.

    Both task parameters are guessed to be 1 and are 3 and 0: 0.5 * (4 + 1) = 2.5.
    """
    policy, config = make_policy(), PPOConfig(clip_coef=0.2, vf_coef=0.5, ent_coef=0.01, task_coef=0.2)
    task_head = TaskHead(SPEC, TASK)
    torch.nn.init.ones_(task_head.bias)
    log_2 = float(torch.tensor(2.0).log())
    for log_ratio, advantage, expected in ((0.0, 3.0, -3.0), (log_2, 3.0, -3.6), (log_2, -3.0, 6.0)):
        batch = make_batch(policy, log_ratio, advantage)
        batch.obs[..., TASK] = torch.tensor([3.0, 0.0])
        losses = ppo_loss(policy, task_head, batch, config)
        torch.testing.assert_close(losses.policy, torch.tensor(expected))
        torch.testing.assert_close(losses.value, torch.tensor(2.0))
        torch.testing.assert_close(losses.task, torch.tensor(2.5))
        torch.testing.assert_close(losses.total, losses.policy + 1.0 - 0.01 * losses.entropy + 0.5)
        assert losses.clip_fraction.item() == float(log_ratio > 0)


def identifiable_storage() -> RolloutStorage:
    """Action = step, value = 10 step, reward = trial."""
    storage = RolloutStorage(STEPS, TRIALS, TASK.stop, SPEC.feature_dim, 1, torch.device("cpu"))
    steps = torch.arange(STEPS + 1.0).unsqueeze(-1).expand(STEPS + 1, TRIALS)
    storage.action[:] = steps[:-1].unsqueeze(-1)
    storage.value = 10 * steps
    storage.log_prob[:] = torch.arange(float(TRIALS))
    return storage


def test_minibatches_hold_whole_trials_and_each_trial_once() -> None:
    storage = identifiable_storage()
    advantage = torch.arange(float(STEPS * TRIALS)).view(STEPS, TRIALS)
    batches = list(minibatches(storage, advantage, 4, torch.Generator().manual_seed(0)))
    assert [batch.obs.shape for batch in batches] == [(STEPS, 2, TASK.stop)] * 4
    for batch in batches:
        assert torch.equal(batch.action[..., 0], torch.arange(3.0).unsqueeze(-1).expand(3, 2))
        assert (batch.log_prob == batch.log_prob[0]).all()
        assert torch.equal(batch.returns, 10 * batch.action[..., 0] + advantage[:, batch.log_prob[0].long()])
    assert sorted(torch.cat([batch.log_prob[0] for batch in batches]).tolist()) == list(range(TRIALS))


def test_the_learning_rate_falls_with_the_budget() -> None:
    ppo = PPO(make_policy(), PPOConfig(learning_rate=1e-3, final_learning_rate=1e-4), torch.Generator(), TASK)
    storage = identifiable_storage()
    for spent, expected in ((0.0, 1e-3), (0.5, 5.5e-4), (1.0, 1e-4), (3.0, 1e-4)):
        ppo.update(storage, torch.randn(STEPS, TRIALS), spent)
        assert abs(ppo.optimizer.param_groups[0]["lr"] - expected) < 1e-12


def test_an_update_makes_good_actions_likelier() -> None:
    policy = make_policy()
    ppo = PPO(policy, PPOConfig(update_epochs=10), torch.Generator(), TASK)
    storage = RolloutStorage(STEPS, TRIALS, TASK.stop, SPEC.feature_dim, 1, torch.device("cpu"))
    good = torch.arange(TRIALS) % 2 == 0
    storage.action[:] = torch.where(good, 1.0, -1.0).expand(STEPS, TRIALS).unsqueeze(-1)
    features, _ = policy.unroll(storage.obs[:-1], policy.initial_state(TRIALS))
    storage.log_prob = policy.actions(features).log_prob(storage.action).detach()
    ppo.update(storage, torch.where(good, 1.0, -1.0).expand(STEPS, TRIALS), 0.0)
    features, _ = policy.unroll(storage.obs[:-1], policy.initial_state(TRIALS))
    assert policy.actions(features).mean.mean() > 0.01
