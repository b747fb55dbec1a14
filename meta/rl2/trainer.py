"""Meta-training, iteration by iteration: RL² with PPO."""

import time
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from limbshift.agents.recurrent import RecurrentActorCritic
from limbshift.envs.trial_env import TrialEnv
from limbshift.meta.rl2.advantages import RewardScaler
from limbshift.meta.rl2.collector import Collector
from limbshift.meta.rl2.config import PPOConfig
from limbshift.meta.rl2.ppo import PPO, Losses
from limbshift.meta.rl2.storage import RolloutStorage
from limbshift.meta.threads import torch_threads


class Progress(NamedTuple):
    """What training has taken so far."""

    steps: int = 0
    """Env steps over all simulations."""
    seconds: float = 0.0
    iterations: int = 0


@dataclass(frozen=True)
class Iteration:
    """What one iteration gave and took."""

    losses: dict[str, float]
    """By the names of `Losses`; empty for the first iteration, which only fills the normalisers."""
    episode_returns: list[float]
    """Mean return of each of the trial's episodes while exploring."""
    terminations: float
    """Falls and divergences per episode."""
    action_std: float
    env_seconds: float
    """Physics, observations and rewards."""
    policy_seconds: float
    update_seconds: float

    @property
    def seconds(self) -> float:
        return self.env_seconds + self.policy_seconds + self.update_seconds


class Trainer:
    """Collects whole trials, estimates advantages, improves the policy.

    Everything that a later session needs to go on as if nothing had happened is in `state_dict`.
    """

    def __init__(self, env: TrialEnv, policy: RecurrentActorCritic, config: PPOConfig, gamma: float, seed: int) -> None:
        self.env = env
        self.policy = policy
        self.gamma = gamma
        self.gae_lambda = config.gae_lambda
        device = policy.log_std.device
        self.generator = torch.Generator(device).manual_seed(seed)
        self.collector = Collector(env, policy, self.generator)
        self.ppo = PPO(policy, config, self.generator, task_dim=self.collector.storage.task.shape[-1])
        self.scaler = RewardScaler(gamma, device)
        self.progress = Progress()

    def iterate(self, spent: float) -> Iteration:
        """One iteration; `spent` is the share of the budget that is gone."""
        start = time.perf_counter()
        with torch_threads(1):  # idle OpenMP threads spin for a while, and would take the cores from the simulator's
            storage = self.collector.collect()
        losses = self.learn(storage, spent)
        iteration = self._read(storage, losses, start)
        steps, seconds, iterations = self.progress
        self.progress = Progress(steps + storage.reward.numel(), seconds + iteration.seconds, iterations + 1)
        self.env.task_env.physics.check()
        return iteration

    def learn(self, storage: RolloutStorage, spent: float) -> Losses | None:
        """Improve the policy by these trials; the first iteration only fills the normalisers."""
        self.scaler.update(storage.reward, storage.terminated)
        storage.estimate_advantages(self.scaler.scale, gamma=self.gamma, gae_lambda=self.gae_lambda)
        losses = self.ppo.update(storage, spent) if self.progress.iterations else None
        self.policy.normaliser.update(storage.obs[:-1])
        return losses

    def _read(self, storage: RolloutStorage, losses: Losses | None, start: float) -> Iteration:
        """What is told of an iteration: the one place where the host reads from the device, and waits for it."""
        by_episode = storage.reward.view(self.env.episodes_per_trial, self.env.horizon, -1)
        figures = torch.stack(
            [
                storage.terminated.sum() / (self.env.num_envs * self.env.episodes_per_trial),
                self.policy.log_std.detach().exp().mean(),
                *by_episode.sum(dim=1).mean(dim=-1),
                *(losses or ()),
            ]
        ).tolist()
        terminations, action_std, *rest = figures
        episodes = self.env.episodes_per_trial
        laps = self.collector.stopwatch.laps()
        env_seconds, policy_seconds = sum(laps[1::2]), sum(laps[::2])
        return Iteration(
            dict(zip(Losses._fields, rest[episodes:], strict=False)),
            rest[:episodes],
            terminations,
            action_std,
            env_seconds,
            policy_seconds,
            time.perf_counter() - start - env_seconds - policy_seconds,
        )

    def state_dict(self) -> dict[str, Any]:
        """Tensors, numbers and containers of them, as `torch.load(weights_only=True)` reads them."""
        return {
            "policy": self.policy.state_dict(),
            "task_head": self.ppo.task_head.state_dict(),
            "optimizer": self.ppo.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "scaler": {"count": self.scaler.count, "moments": self.scaler.moments},
            "task_index": self.env.task_env.task_index,
            "progress": tuple(self.progress),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        self.policy.load_state_dict(state["policy"])
        self.ppo.task_head.load_state_dict(state["task_head"])
        self.ppo.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])
        self.scaler.count = state["scaler"]["count"]
        self.scaler.moments.copy_(state["scaler"]["moments"])
        self.env.task_env.task_index.copy_(state["task_index"])
        self.progress = Progress(*state["progress"])
