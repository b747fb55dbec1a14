"""PPO's loss and its minibatches."""

import pytest
import torch

from limbshift.agents.recurrent import PolicySpec, RecurrentActorCritic
from limbshift.meta.rl2.config import PPOConfig
from limbshift.meta.rl2.experience.storage import RolloutStorage
from limbshift.meta.rl2.minibatches import Minibatch, minibatches
from limbshift.meta.rl2.ppo import PPO

SPEC = PolicySpec(obs_dim=2, action_dim=1, hidden_size=4)
TASK_DIM = 2
STEPS, TRIALS = 3, 8
CPU = torch.device("cpu")


def make_policy() -> RecurrentActorCritic:
    torch.manual_seed(0)
    return RecurrentActorCritic(SPEC)


def make_batch(policy: RecurrentActorCritic, log_ratio: float, advantage: float) -> Minibatch:
    """Two trials whose actions are exp(log_ratio) times as likely as when they were taken."""
    obs = torch.randn(STEPS, 2, SPEC.trial_obs_dim, generator=torch.Generator().manual_seed(1))
    features, _ = policy.unroll(obs, policy.initial_state(2))
    action = torch.zeros(STEPS, 2, 1)
    log_prob = policy.actions(features).log_prob(action).detach() - log_ratio
    values = policy.values(features).detach()
    task = torch.tensor([3.0, 0.0]).expand(STEPS, 2, TASK_DIM)
    state = policy.initial_state(2)
    told = torch.zeros(STEPS, 2, 0)
    return Minibatch(obs, action, log_prob, torch.full((STEPS, 2), advantage), values + 2.0, task, told, state)


def test_the_loss_by_hand() -> None:
    """Ratio 1: -A. Ratio 2, clipped at 1.2: -1.2 A for A > 0, -2 A for A < 0. Value off by 2: 0.5 * 4 = 2.

    Both task parameters are guessed to be 1 and are 3 and 0: 0.5 * (4 + 1) = 2.5.
    """
    policy, config = make_policy(), PPOConfig(clip_coef=0.2, vf_coef=0.5, ent_coef=0.01)
    ppo = PPO(policy, config, torch.Generator(), task_dim=TASK_DIM)
    torch.nn.init.ones_(ppo.task_head.bias)
    log_2 = float(torch.tensor(2.0).log())
    for log_ratio, advantage, expected in ((0.0, 3.0, -3.0), (log_2, 3.0, -3.6), (log_2, -3.0, 6.0)):
        batch = make_batch(policy, log_ratio, advantage)
        losses = ppo.loss(batch, task_coef=0.2)
        torch.testing.assert_close(losses.policy, torch.tensor(expected))
        torch.testing.assert_close(losses.value, torch.tensor(2.0))
        torch.testing.assert_close(losses.task, torch.tensor(2.5))
        torch.testing.assert_close(losses.total, losses.policy + 1.0 - 0.01 * losses.entropy + 0.5)
        assert losses.clip_fraction.item() == float(log_ratio > 0)


def make_storage() -> RolloutStorage:
    task = slice(SPEC.trial_obs_dim, SPEC.trial_obs_dim + TASK_DIM)
    return RolloutStorage(SPEC, num_steps=STEPS, num_envs=TRIALS, task=task, device=CPU, env_device=CPU)


def identifiable_storage() -> RolloutStorage:
    """Action = step, value = 10 step, log_prob = trial, task = (trial, step), advantage = 8 step + trial."""
    storage = make_storage()
    steps = torch.arange(STEPS + 1.0).unsqueeze(-1).expand(STEPS + 1, TRIALS)
    trials = torch.arange(float(TRIALS)).expand(STEPS, TRIALS)
    storage.action[:] = steps[:-1].unsqueeze(-1)
    storage.value = 10 * steps
    storage.log_prob[:] = storage.proximal_log_prob[:] = trials
    storage.task[:] = torch.stack([trials, steps[:-1]], dim=-1)
    storage.advantage = 8 * steps[:-1] + trials
    storage.value_target = storage.advantage + storage.value[:-1]
    return storage


def test_minibatches_hold_whole_trials_and_each_trial_once() -> None:
    batches = list(minibatches(identifiable_storage(), 4, torch.Generator().manual_seed(0)))
    assert [batch.obs.shape for batch in batches] == [(STEPS, 2, SPEC.trial_obs_dim)] * 4
    for batch in batches:
        step, trial = batch.action[..., 0], batch.log_prob
        assert torch.equal(step, torch.arange(3.0).unsqueeze(-1).expand(3, 2))
        assert (trial == trial[0]).all()
        assert torch.equal(batch.value_target, 18 * step + trial)
        assert torch.equal(batch.task, torch.stack([trial, step], dim=-1))
    together = torch.cat([batch.advantage for batch in batches], dim=1)
    torch.testing.assert_close(together.mean(), torch.tensor(0.0))
    torch.testing.assert_close(together.std(), torch.tensor(1.0))
    assert sorted(torch.cat([batch.log_prob[0] for batch in batches]).tolist()) == list(range(TRIALS))


def test_minibatches_hold_each_piece_once_with_its_own_state() -> None:
    """Six steps of eight trials in pieces of two: state = 10 piece + trial."""
    task = slice(SPEC.trial_obs_dim, SPEC.trial_obs_dim)
    storage = RolloutStorage(
        SPEC, num_steps=6, num_envs=TRIALS, task=task, device=CPU, env_device=CPU, sequence_length=2
    )
    trials = torch.arange(float(TRIALS))
    for t in range(6):
        storage.action[t] = t
        storage.log_prob[t] = storage.proximal_log_prob[t] = trials
        state = (10.0 * (t // 2) + trials).unsqueeze(-1).expand(TRIALS, 4)
        storage.remember(t, (state, -state))
    batches = list(minibatches(storage, 4, torch.Generator().manual_seed(0)))
    assert [batch.obs.shape for batch in batches] == [(2, 6, SPEC.trial_obs_dim)] * 4
    met = []
    for batch in batches:
        step, trial = batch.action[..., 0], batch.log_prob
        assert torch.equal(step[1], step[0] + 1)
        assert torch.equal(trial[1], trial[0])
        hidden, cell = batch.state
        assert torch.equal(hidden[:, 0], 10 * (step[0] // 2) + trial[0])
        assert torch.equal(cell, -hidden)
        met += hidden[:, 0].tolist()
    assert sorted(met) == [10 * piece + trial for piece in range(3) for trial in range(TRIALS)]


def test_what_an_older_policy_chose_more_readily_counts_for_less() -> None:
    """Of two trials one was chosen with probability 0.5, and would be with 0.25 now; the other the other way round."""
    storage = identifiable_storage()
    less = torch.arange(TRIALS) % 2 == 0
    storage.log_prob = torch.where(less, 0.5, 0.25).log().expand(STEPS, TRIALS)
    storage.proximal_log_prob = torch.where(less, 0.25, 0.5).log().expand(STEPS, TRIALS)
    torch.testing.assert_close(storage.importance, torch.where(less, 0.5, 1.0).expand(STEPS, TRIALS))
    (batch,) = minibatches(storage, 1, torch.Generator().manual_seed(0))
    normalised = (storage.advantage - storage.advantage.mean()) / storage.advantage.std()
    torch.testing.assert_close(batch.advantage.sum(), (normalised * storage.importance).sum())
    assert sorted(batch.log_prob[0].exp().tolist()) == pytest.approx([0.25] * 4 + [0.5] * 4)


def test_the_learning_rate_falls_with_the_budget() -> None:
    ppo = PPO(
        make_policy(), PPOConfig(learning_rate=1e-3, final_learning_rate=1e-4), torch.Generator(), task_dim=TASK_DIM
    )
    storage = identifiable_storage()
    for spent, expected in ((0.0, 1e-3), (0.5, 5.5e-4), (1.0, 1e-4), (3.0, 1e-4)):
        ppo.update(storage, spent)
        assert abs(ppo.optimizer.param_groups[0]["lr"] - expected) < 1e-12


def test_an_update_makes_good_actions_likelier() -> None:
    policy = make_policy()
    ppo = PPO(policy, PPOConfig(update_epochs=10), torch.Generator(), task_dim=TASK_DIM)
    storage = make_storage()
    good = torch.arange(TRIALS) % 2 == 0
    storage.action[:] = torch.where(good, 1.0, -1.0).expand(STEPS, TRIALS).unsqueeze(-1)
    features, _ = policy.unroll(storage.obs[:-1], policy.initial_state(TRIALS))
    storage.log_prob[:] = storage.proximal_log_prob[:] = policy.actions(features).log_prob(storage.action).detach()
    storage.advantage = torch.where(good, 1.0, -1.0).expand(STEPS, TRIALS)
    ppo.update(storage, 0.0)
    features, _ = policy.unroll(storage.obs[:-1], policy.initial_state(TRIALS))
    assert policy.actions(features).mean.mean() > 0.01


@pytest.mark.parametrize(("device", "threads"), [("cpu", 4), ("meta", 1)])
def test_threads_share_a_minibatch_on_a_cpu_alone(device: str, threads: int) -> None:
    """A GPU does its rows at once; device "meta" stands for it."""
    policy = RecurrentActorCritic(SPEC).to(device)
    ppo = PPO(policy, PPOConfig(), torch.Generator(), task_dim=1, num_threads=4)
    assert ppo.gradients.num_threads == threads
