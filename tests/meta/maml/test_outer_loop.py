"""MAML: the gradient through adaptation, and what comes of following it."""

import pytest
import torch
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from limbshift.agents.feedforward import FeedforwardActorCritic
from limbshift.envs.errors import InputError
from limbshift.envs.physics.engine import Engine
from limbshift.envs.trial_env import TrialEnv
from limbshift.meta.evaluation.trials import play
from limbshift.meta.maml.inner_loop import Episode, copies
from limbshift.meta.maml.outer_loop import MAML, MAMLConfig
from tests.envs.sled import Sledding


def make_maml(config: MAMLConfig, *, num_envs: int = 4, horizon: int = 5, size: int = 4) -> MAML:
    env = TrialEnv(Sledding("free"), num_envs, 2, horizon=horizon, engine=Engine(num_threads=1))
    torch.manual_seed(0)
    policy = FeedforwardActorCritic.of_size(env.task_env.obs_dim, env.task_env.action_dim, size, initial_log_std=-0.5)
    return MAML(env, policy, config, gamma=0.9, seed=0)


def two_episodes(maml: MAML) -> list[Episode]:
    """Of the first trials, in double precision, as is the policy from here on."""
    actor, _, _ = maml._collect()
    maml.policy.double()
    return [Episode(*(part.double() for part in episode)) for episode in actor.episodes]


def test_the_meta_gradient_is_the_slope_of_the_meta_loss() -> None:
    maml = make_maml(MAMLConfig(inner_lr=2.0, inner_steps=2, kl_coef=0.5))
    episodes = two_episodes(maml)
    parameters = [*maml.policy.mean.parameters(), maml.policy.log_std]
    start = parameters_to_vector(parameters).detach()
    generator = torch.Generator().manual_seed(0)
    direction = torch.randn(start.shape, generator=generator, dtype=torch.float64)

    def loss_at(distance: float) -> torch.Tensor:
        vector_to_parameters(start + distance * direction, parameters)
        return maml.meta_loss(episodes)

    gradient = parameters_to_vector(torch.autograd.grad(loss_at(0.0), parameters))
    slope = (loss_at(1e-5) - loss_at(-1e-5)) / 2e-5
    torch.testing.assert_close(gradient @ direction, slope.detach(), rtol=1e-4, atol=1e-9)


def test_to_first_order_the_slope_is_that_at_the_adapted_weights() -> None:
    maml = make_maml(MAMLConfig(inner_lr=2.0, first_order=True, kl_coef=0.0))
    episodes = two_episodes(maml)
    parameters = maml.policy.weights
    ours = dict(zip(parameters, torch.autograd.grad(maml.meta_loss(episodes), list(parameters.values())), strict=True))
    adapted, _ = maml.gradient_steps.descend(copies(parameters, 4), episodes[0])
    adapted = {name: weight.detach().requires_grad_() for name, weight in adapted.items()}
    loss = maml.gradient_steps.objectives(adapted, episodes[1]).loss.mean()
    theirs = torch.autograd.grad(loss, list(adapted.values()))
    for name, slope in zip(adapted, theirs, strict=True):
        torch.testing.assert_close(ours[name], slope.sum(dim=0))
    maml.config = MAMLConfig(inner_lr=2.0, kl_coef=0.0)
    whole = torch.autograd.grad(maml.meta_loss(episodes), list(parameters.values()))
    assert not torch.allclose(whole[0], ours["0.weight"], rtol=1e-2)


def test_the_first_iteration_only_fills_the_normalisers() -> None:
    maml = make_maml(MAMLConfig())
    before = parameters_to_vector(maml.policy.parameters()).detach()
    maml.iterate(0.0)
    assert torch.equal(parameters_to_vector(maml.policy.parameters()), before)
    assert (maml.steps, maml.policy.normaliser.count.item()) == (40, 32)
    assert maml.scaler.scale != 1.0
    maml.iterate(0.5)
    assert not torch.equal(parameters_to_vector(maml.policy.parameters()), before)
    assert maml.optimizer.param_groups[0]["lr"] == 5.5e-4


def test_it_learns_to_adapt_in_one_step() -> None:
    """A sled whose way pays 3 to -5 a metre: one who cannot tell goes the way that pays more often."""

    def returns(config: MAMLConfig) -> list[float]:
        """Mean return by episode on held-out tasks."""
        maml = make_maml(config, num_envs=64, horizon=10, size=32)
        for _ in range(25):
            maml.iterate(0.0)
        env = TrialEnv(Sledding("free"), 64, 2, horizon=10, split="heldout", engine=Engine(num_threads=1))
        actor = maml.actor(env, torch.Generator().manual_seed(0))
        means: list[float] = play(env, actor).reward.sum(axis=-1).mean(axis=0).tolist()
        return means

    first, second = returns(MAMLConfig(inner_lr=1.0, outer_lr=5e-3, num_minibatches=2))
    _, unadapted = returns(MAMLConfig(inner_lr=1e-6, outer_lr=5e-3, num_minibatches=2))
    # Over ten seeds: 0.7 to 2.2 while exploring, 9.6 to 11.8 after one step; 7.0 to 7.8 by steps too small to matter.
    assert first < 4 < unadapted < 8.4 < second


def test_short_episodes_are_learnt_from_or_refused() -> None:
    maml = make_maml(MAMLConfig(), horizon=2)
    for _ in range(2):
        maml.iterate(0.0)
    assert parameters_to_vector(maml.policy.parameters()).isfinite().all()
    with pytest.raises(InputError, match="horizon is 1, expected at least 2 for MAML"):
        make_maml(MAMLConfig(), horizon=1)
