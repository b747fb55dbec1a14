"""The inner loop: each task takes its own copy of a policy, and improves it after each of its episodes."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import grad, vmap

from limbshift.agents.feedforward import FeedforwardActorCritic, Weights
from limbshift.envs.trial_env import Layout, TrialEnv
from limbshift.meta.rl2.advantages import generalised_advantages
from limbshift.meta.rl2.ppo import clipped_surrogate


class Episode(NamedTuple):
    """What N tasks' copies learn from in one slot of their trials: (T, N, ...), T one less than its horizon."""

    obs: Tensor
    """Physical."""
    action: Tensor
    log_prob: Tensor
    """Of the action, when it was taken."""
    advantage: Tensor
    """Of mean 0 and standard deviation 1 in each task."""
    value_target: Tensor


class Objective(NamedTuple):
    """Scalars, of one task."""

    loss: Tensor
    approx_kl: Tensor
    """How far the policy has moved from the one that acted."""


def episode_of(
    policy: FeedforwardActorCritic,
    obs: Tensor,
    action: Tensor,
    *,
    log_prob: Tensor,
    layout: Layout,
    reward_scale: Tensor,
    gamma: float,
    gae_lambda: float,
) -> Episode:
    """Makes an episode from a slot's (H, N, trial_obs_dim) observations and (H, N, ...) actions.

    A step's reward, and whether it ended in a fall, stand in the next observation. The slot's last
    step has none of its own slot, so it is left out, and its value stands for what would follow.
    """
    physical = obs[..., layout.obs]
    reward = obs[1:, :, layout.previous_reward].squeeze(-1) * reward_scale
    terminated = obs[1:, :, layout.boundary].squeeze(-1) > 0
    with torch.no_grad():
        value = policy.values(physical)
    advantage = generalised_advantages(reward, value, terminated, gamma=gamma, gae_lambda=gae_lambda)
    spread = advantage.std(dim=0, correction=min(1, len(advantage) - 1))  # a slot of 2 steps has one that counts
    normalised = (advantage - advantage.mean(dim=0)) / (spread + 1e-8)
    return Episode(physical[:-1], action[:-1], log_prob[:-1], normalised, advantage + value[:-1])


Adapt = Callable[[Weights, Episode], Weights]
"""Maps N tasks' weights to those after an episode, detached."""


class GradientSteps:
    """What a task's copy of the policy does to itself after an episode: steps along the policy gradient.

    Its loss is PPO's, whose gradient at the weights that acted is the policy gradient, and whose
    clipping holds further steps back.
    """

    def __init__(
        self, policy: FeedforwardActorCritic, inner_lr: float, num_steps: int = 1, *, clip_coef: float = 0.2
    ) -> None:
        self.policy = policy
        self.inner_lr = inner_lr
        """Step size."""
        self.num_steps = num_steps
        """After each episode."""
        self.clip_coef = clip_coef

    def objective(self, weights: Weights, episode: Episode) -> Objective:
        """Returns one task's: weights without an axis in front, episode (T, ...)."""
        log_ratio = self.policy.actions(weights, episode.obs).log_prob(episode.action) - episode.log_prob
        loss, _, approx_kl = clipped_surrogate(log_ratio, episode.advantage, self.clip_coef)
        return Objective(loss, approx_kl)

    def objectives(self, weights: Weights, episode: Episode) -> Objective:
        """Returns those of N tasks at once, (N,) each: weights (N, ...), episode (T, N, ...)."""
        objectives: Objective = vmap(self.objective, in_dims=(0, 1))(weights, episode)
        return objectives

    def descend(self, weights: Weights, episode: Episode, *, first_order: bool = False) -> tuple[Weights, Tensor]:
        """Takes plain steps, through which the outer loop differentiates with respect to the weights before.

        Returns the weights after them, and how far those before were from the ones that acted, (N,).
        first_order takes the steps for constants.

        Source: Finn et al., "Model-agnostic meta-learning for fast adaptation of deep networks" (2017), algorithm 3.
        """
        slopes_and_kl = vmap(grad(self.objective, has_aux=True), in_dims=(0, 1))
        drift = []
        for _ in range(self.num_steps):
            slopes, approx_kl = slopes_and_kl(weights, episode)
            if first_order:
                slopes = {name: slope.detach() for name, slope in slopes.items()}
            weights = {name: weight - self.inner_lr * slopes[name] for name, weight in weights.items()}
            drift.append(approx_kl)
        return weights, drift[0]

    def adapt(self, weights: Weights, episode: Episode) -> Weights:
        """Adapts by plain steps; see `Adapt`."""
        adapted, _ = self.descend(weights, episode)
        return {name: weight.detach() for name, weight in adapted.items()}

    def adapt_by_adam(self, weights: Weights, episode: Episode) -> Weights:
        """Adapts by steps of Adam, anew after each episode; see `Adapt`.

        Plain steps grow as a policy's standard deviation shrinks, and so one rate of them does not
        suit all policies; Adam's do not.
        """
        own = {name: weight.detach().clone().requires_grad_() for name, weight in weights.items()}
        optimizer = torch.optim.Adam(own.values(), self.inner_lr)
        for _ in range(self.num_steps):
            optimizer.zero_grad()
            self.objectives(own, episode).loss.sum().backward()
            optimizer.step()
        return {name: weight.detach() for name, weight in own.items()}


def copies(weights: Weights, count: int) -> Weights:
    """Returns the same weights for so many tasks: (count, ...) each.

    >>> {name: copy.shape for name, copy in copies({"bias": torch.zeros(3)}, 2).items()}
    {'bias': torch.Size([2, 3])}
    """
    return {name: weight.expand(count, *weight.shape) for name, weight in weights.items()}


class AdaptingActor:
    """Plays an env's trials, (N, trial_obs_dim) to (N, A): explores, and adapts after each episode but the last.

    The last episode shows what came of it, by mean actions, unless it too is to be learnt from.
    """

    def __init__(
        self,
        policy: FeedforwardActorCritic,
        adapt: Adapt,
        env: TrialEnv,
        *,
        generator: torch.Generator,
        reward_scale: Tensor,
        gamma: float,
        gae_lambda: float,
        explore_last: bool = False,
    ) -> None:
        self.policy = policy
        self.adapt = adapt
        self.layout = env.layout
        self.horizon = env.horizon
        self.generator = generator
        self.reward_scale = reward_scale
        self.gamma = gamma
        self.gae_lambda = gae_lambda
        self.exploring = env.episodes_per_trial - (not explore_last)
        """Number of episodes with sampled actions."""
        self.adapting = env.episodes_per_trial - 1
        self.weights = {name: weight.detach() for name, weight in copies(policy.weights, env.num_envs).items()}
        """(N, ...): what each task has made of them."""
        self.episodes: list[Episode] = []
        self._slot: list[tuple[Tensor, Tensor, Tensor]] = []

    def __call__(self, obs: Tensor) -> Tensor:
        """Maps what the env shows, (N, trial_obs_dim), to actions, (N, A)."""
        if len(self._slot) == self.horizon:
            self.end_episode()
        physical = obs[:, self.layout.obs]
        with torch.no_grad():
            actions = vmap(self.policy.actions)(self.weights, physical)
            action = actions.mean
            if len(self.episodes) < self.exploring:
                noise = torch.randn(action.shape, generator=self.generator, device=action.device)
                action = action + noise * actions.log_std.exp()
            log_prob = vmap(type(actions).log_prob)(actions, action)
        self._slot.append((obs.clone(), action, log_prob))
        return action

    def end_episode(self) -> None:
        """Learns from the slot that is over."""
        obs, action, log_prob = (torch.stack(part) for part in zip(*self._slot, strict=True))
        self._slot = []
        episode = episode_of(
            self.policy,
            obs,
            action,
            log_prob=log_prob,
            layout=self.layout,
            reward_scale=self.reward_scale,
            gamma=self.gamma,
            gae_lambda=self.gae_lambda,
        )
        if len(self.episodes) < self.adapting:
            self.weights = self.adapt(self.weights, episode)
        self.episodes.append(episode)
