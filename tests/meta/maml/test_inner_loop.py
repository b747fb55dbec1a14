"""Gradient steps: what they learn from, what they do, and for whom."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from limbshift.agents.feedforward import FeedforwardActorCritic, Weights
from limbshift.agents.normaliser import InputNormaliser
from limbshift.envs.trial_env import TrialEnv, trial_layout
from limbshift.meta.maml.inner_loop import AdaptingActor, Episode, GradientSteps, copies, episode_of
from tests.envs.sled import Sledding

LAYOUT = trial_layout(obs_dim=1, action_dim=1)
ONE = torch.tensor(1.0)


def one_weight(value: float, worth: float = 0.0) -> FeedforwardActorCritic:
    """Acts by value * obs with a standard deviation of 1; to it every state is worth the same."""
    mean, baseline = nn.Linear(1, 1, bias=False), nn.Linear(1, 1)
    nn.init.constant_(mean.weight, value)
    nn.init.zeros_(baseline.weight)
    nn.init.constant_(baseline.bias, worth)
    return FeedforwardActorCritic(InputNormaliser(1, torch.empty(0)), mean, baseline, log_std=torch.zeros(1))


def slot(rewards: list[float], boundaries: list[float]) -> Tensor:
    """(H, 1, 4) observations: physical 0, 1, 2, ..., previous action 0, previous reward, boundary."""
    rows = [[float(step), 0.0, *pair] for step, pair in enumerate(zip(rewards, boundaries, strict=True))]
    return torch.tensor(rows).unsqueeze(1)


def learnt(obs: Tensor, worth: float, gamma: float) -> Episode:
    zeros = torch.zeros(len(obs), 1)
    return episode_of(
        one_weight(0.0, worth),
        obs,
        zeros.unsqueeze(-1),
        log_prob=zeros,
        layout=LAYOUT,
        reward_scale=torch.tensor(0.5),
        gamma=gamma,
        gae_lambda=1.0,
    )


def test_an_episode_is_credited_with_its_own_rewards() -> None:
    """Rewards 4, 6, 2, halved; then a state worth 8: by backward sums 3 + (1 + 8 / 2) / 2 = 5.5 and so on, gamma 0.5.

    The first observation's reward, 100, is of the episode before.
    """
    episode = learnt(slot([100.0, 4.0, 6.0, 2.0], [1.0, 0.0, 0.0, 0.0]), worth=8.0, gamma=0.5)
    assert episode.obs.flatten().tolist() == [0.0, 1.0, 2.0]
    assert episode.value_target.flatten().tolist() == [4.75, 5.5, 5.0]
    # Less 8 they are -3.25, -2.5, -3: mean -35 / 12, squares about it 1 / 9, 25 / 144, 1 / 144 sum to 7 / 24.
    std = (7 / 24 / 2) ** 0.5
    expected = torch.tensor([-1 / 3, 5 / 12, -1 / 12]) / std
    torch.testing.assert_close(episode.advantage.flatten(), expected)


def test_credit_ends_at_a_fall() -> None:
    """The second step ended in one: the third observation begins anew, and its 2 is nobody's of before."""
    episode = learnt(slot([0.0, 4.0, 6.0, 2.0], [1.0, 0.0, 1.0, 0.0]), worth=0.0, gamma=1.0)
    assert episode.value_target.flatten().tolist() == [5.0, 3.0, 1.0]


def hand_worked() -> tuple[FeedforwardActorCritic, Episode]:
    """Mean 0.5 x at x = 2, action 3, advantage 1.5."""
    policy = one_weight(0.5)
    obs, action = torch.tensor([[[2.0]]]), torch.tensor([[[3.0]]])
    log_prob = policy.actions(policy.weights, obs).log_prob(action).detach()
    return policy, Episode(obs, action, log_prob, torch.tensor([[1.5]]), torch.tensor([[0.0]]))


def test_a_step_worked_by_hand() -> None:
    """The log probability's slope in the weight is (3 - 1) 2 = 4.

    The weight goes to 0.5 + 0.1 * 1.5 * 4 = 1.1, log_std to 0.1 * 1.5 * (2² - 1) = 0.45.
    """
    policy, episode = hand_worked()
    adapted, approx_kl = GradientSteps(policy, inner_lr=0.1).descend(copies(policy.weights, 1), episode)
    assert adapted["weight"].item() == pytest.approx(1.1)
    assert adapted["log_std"].item() == pytest.approx(0.45)
    assert approx_kl.item() == pytest.approx(0.0, abs=1e-7)


def test_a_step_of_adam_worked_by_hand() -> None:
    """Adam's first step is the rate in the slope's direction, however steep it is: 0.5 + 0.1, and 0 + 0.1."""
    policy, episode = hand_worked()
    adapted = GradientSteps(policy, inner_lr=0.1).adapt_by_adam(copies(policy.weights, 1), episode)
    assert adapted["weight"].item() == pytest.approx(0.6)
    assert adapted["log_std"].item() == pytest.approx(0.1)


def random_episode(policy: FeedforwardActorCritic, steps: int, tasks: int) -> Episode:
    generator = torch.Generator().manual_seed(0)
    obs = torch.randn(steps, tasks, 3, generator=generator)
    action, advantage = (
        torch.randn(steps, tasks, 2, generator=generator),
        torch.randn(steps, tasks, generator=generator),
    )
    log_prob = policy.actions(policy.weights, obs).log_prob(action).detach()
    return Episode(obs, action, log_prob, advantage, torch.zeros(steps, tasks))


@pytest.mark.parametrize("how", [GradientSteps.adapt, GradientSteps.adapt_by_adam])
def test_each_task_adapts_by_itself(how: Callable[[GradientSteps, Weights, Episode], Weights]) -> None:
    """What a batch of tasks makes of its weights, each makes of them alone; two steps are not one of twice the size."""
    torch.manual_seed(0)
    policy = FeedforwardActorCritic.of_size(3, 2, 8)
    episode = random_episode(policy, 5, 4)
    steps = GradientSteps(policy, inner_lr=0.3, num_steps=2)
    together = how(steps, copies(policy.weights, 4), episode)
    for task in range(4):
        own = Episode(*(part[:, [task]] for part in episode))
        alone = how(steps, copies(policy.weights, 1), own)
        torch.testing.assert_close({name: weight[[task]] for name, weight in together.items()}, alone)
    once = how(GradientSteps(policy, inner_lr=0.6), copies(policy.weights, 4), episode)
    assert not torch.allclose(once["0.weight"], together["0.weight"])


def played(inner_lr: float, episodes: int, explore_last: bool = False) -> tuple[AdaptingActor, Weights, list[Tensor]]:
    """After whole trials: the actor, what it started from, and its actions."""
    torch.manual_seed(0)
    env, policy = TrialEnv(Sledding("free"), 3, episodes, horizon=4), FeedforwardActorCritic.of_size(2, 1, 8)
    steps = GradientSteps(policy, inner_lr)
    actor = AdaptingActor(
        policy,
        steps.adapt,
        env,
        generator=torch.Generator().manual_seed(1),
        reward_scale=ONE,
        gamma=0.9,
        gae_lambda=0.95,
        explore_last=explore_last,
    )
    start, actions, obs = dict(actor.weights), [], env.reset()
    for _ in range(env.steps_per_trial):
        actions.append(actor(obs))
        obs = env.step(actions[-1]).obs
    return actor, start, actions


def test_the_last_episode_shows_what_was_learnt() -> None:
    actor, start, _ = played(inner_lr=1.0, episodes=3)
    assert len(actor.episodes) == 2
    first, second = actor.episodes
    assert first.obs.shape == (3, 3, 2)
    assert not any(weight.requires_grad for weight in actor.weights.values())
    torch.testing.assert_close(actor.weights, actor.adapt(actor.adapt(start, first), second))
    assert not torch.equal(actor.weights["0.weight"][0], actor.weights["0.weight"][1])


def test_it_explores_in_all_episodes_but_the_last() -> None:
    """Without steps, two plays differ by their noise alone: from the third episode on, by none."""
    actions = torch.stack(played(inner_lr=0.0, episodes=3)[2]).view(3, 4, 3)
    noisy = torch.stack(played(inner_lr=0.0, episodes=3, explore_last=True)[2]).view(3, 4, 3)
    assert torch.equal(actions[:2], noisy[:2])
    assert actions[2].abs().max() < 0.05 < noisy[2].abs().max()


def test_a_slot_of_two_steps_has_one_that_counts() -> None:
    episode = learnt(slot([0.0, 1.0], [1.0, 0.0]), worth=0.0, gamma=0.9)
    assert episode.advantage.tolist() == [[0.0]]
