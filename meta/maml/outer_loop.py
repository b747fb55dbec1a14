"""The outer loop: meta-trains a policy from whose weights a few policy gradient steps suit any task."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from limbshift.agents.feedforward import FeedforwardActorCritic
from limbshift.envs.errors import InputError
from limbshift.envs.trial_env import TrialEnv
from limbshift.meta.maml.inner_loop import AdaptingActor, Episode, GradientSteps, copies
from limbshift.meta.rl2.advantages import RewardScaler
from limbshift.meta.rl2.ppo import linear_schedule, set_learning_rates


@dataclass(frozen=True)
class MAMLConfig:
    """How a policy is meta-trained."""

    inner_lr: float = 0.3
    """Step size of a task's own copy."""
    inner_steps: int = 1
    """Gradient steps of a copy after each episode."""
    first_order: bool = False
    """Take the copies' steps for constants: cheaper, and blind to how the start shapes them."""
    outer_lr: float = 1e-3
    """Adam's step size on the common start: the meta learning rate."""
    final_outer_lr: float = 1e-4
    """The same at the end of the budget; it falls linearly."""
    clip_coef: float = 0.2
    """How far a step may move an action's probability ratio from 1."""
    kl_coef: float = 0.01
    """Weight of how far the exploring policies move within an iteration, whose episodes stay as they were."""
    gae_lambda: float = 0.95
    """GAE's lambda."""
    vf_coef: float = 0.5
    """Weight of the value's loss."""
    max_grad_norm: float = 0.5
    """Gradients are clipped to this norm."""
    update_epochs: int = 4
    """How often an iteration's trials are learnt from."""
    num_minibatches: int = 16
    """Parts that the trials of an iteration are split into; a trial stays whole."""


class MAML:
    """Plays trials, in which each task adapts its copy, and improves the start by the last episodes.

    The outer step is PPO's on the last episode of each trial, differentiated through all steps of
    adaptation before it, for all tasks in one batch.

    Source: Finn et al., "Model-agnostic meta-learning for fast adaptation of deep networks" (2017),
    algorithm 3; with the surrogate objectives of Rothfuss et al., "ProMP: proximal meta-policy
    search" (2019), algorithm 1.

    >>> from limbshift.envs.catalogue import make_family
    >>> env = TrialEnv(make_family("ReacherGoal"), 4, 2, horizon=5)
    >>> policy = FeedforwardActorCritic.of_size(env.task_env.obs_dim, env.task_env.action_dim, hidden_size=8)
    >>> maml = MAML(env, policy, MAMLConfig(inner_lr=0.1), gamma=0.9, seed=0)
    >>> maml.iterate(spent=0.0)
    >>> maml.steps
    40
    >>> env.close()
    """

    def __init__(
        self, env: TrialEnv, policy: FeedforwardActorCritic, config: MAMLConfig, *, gamma: float, seed: int
    ) -> None:
        """Raises InputError for episodes of one step: a reward stands in the observation after it."""
        if env.horizon < 2:
            raise InputError(
                f"horizon is {env.horizon}, expected at least 2 for MAML, whose last step is not learnt from"
            )
        self.env = env
        self.policy = policy
        self.config = config
        self.gamma = gamma
        device = policy.log_std.device
        self.generator = torch.Generator(device).manual_seed(seed)
        self.gradient_steps = GradientSteps(policy, config.inner_lr, config.inner_steps, clip_coef=config.clip_coef)
        self.scaler = RewardScaler(gamma, device)
        self.optimizer = torch.optim.Adam(policy.parameters(), lr=config.outer_lr, eps=1e-5)
        self.steps = 0
        """Env steps over all simulations."""

    def actor(self, env: TrialEnv, generator: torch.Generator, *, explore_last: bool = False) -> AdaptingActor:
        """Returns one that adapts in an env's trials, from the start as it is now."""
        return AdaptingActor(
            self.policy,
            self.gradient_steps.adapt,
            env,
            generator=generator,
            reward_scale=self.scaler.scale,
            gamma=self.gamma,
            gae_lambda=self.config.gae_lambda,
            explore_last=explore_last,
        )

    def iterate(self, spent: float) -> None:
        """Runs one iteration; `spent` is the share of the budget that is gone.

        The first one only fills the normalisers.
        """
        actor, reward, terminated = self._collect()
        if self.steps:
            rate = linear_schedule(self.config.outer_lr, self.config.final_outer_lr, spent)
            set_learning_rates(self.optimizer, [rate])
            self._update(actor.episodes)
        self.scaler.update(reward, terminated)
        for episode in actor.episodes:
            self.policy.normaliser.update(episode.obs)
        self.steps += reward.numel()

    def meta_loss(self, episodes: list[Episode]) -> Tensor:
        """Returns the mean loss of the tasks' copies in the last episode, as a function of where they all started.

        To it is added kl_coef times how far the exploring policies have moved since they acted.
        """
        config, drift = self.config, torch.zeros((), device=self.policy.log_std.device)
        weights = copies(self.policy.weights, episodes[0].obs.shape[1])
        for episode in episodes[:-1]:
            weights, approx_kl = self.gradient_steps.descend(weights, episode, first_order=config.first_order)
            drift = drift + approx_kl.mean()
        loss = self.gradient_steps.objectives(weights, episodes[-1]).loss.mean()
        return loss + config.kl_coef * drift

    def value_loss(self, episodes: list[Episode]) -> Tensor:
        """Returns half the mean squared error of the values, a scalar."""
        errors = [(self.policy.values(episode.obs) - episode.value_target).square().mean() for episode in episodes]
        return 0.5 * torch.stack(errors).mean()

    def _collect(self) -> tuple[AdaptingActor, Tensor, Tensor]:
        """Plays trials on new tasks; returns what was learnt from them, and all rewards and terminations, (T, N)."""
        actor = self.actor(self.env, self.generator, explore_last=True)
        rewards, terminations = [], []
        obs = self.env.reset()
        for _ in range(self.env.steps_per_trial):
            obs, reward, terminated, *_ = self.env.step(actor(obs))
            rewards.append(reward.float())
            terminations.append(terminated)
        actor.end_episode()
        self.env.task_env.physics.check()
        return actor, torch.stack(rewards), torch.stack(terminations)

    def _update(self, episodes: list[Episode]) -> None:
        config = self.config
        for _ in range(config.update_epochs):
            order = torch.randperm(self.env.num_envs, generator=self.generator, device=self.generator.device)
            for chosen in order.chunk(config.num_minibatches):
                batch = [Episode(*(part[:, chosen] for part in episode)) for episode in episodes]
                loss = self.meta_loss(batch) + config.vf_coef * self.value_loss(batch)
                self.optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(self.policy.parameters(), config.max_grad_norm)
                self.optimizer.step()
