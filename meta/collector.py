"""Plays trials with the current policy, into storage."""

import time

import torch

from agents.recurrent import RecurrentActorCritic
from envs.trial_env import TrialEnv
from meta.storage import RolloutStorage


class Collector:
    """Fills a storage with whole trials: state is zero where one starts, and carried over its episodes."""

    def __init__(self, env: TrialEnv, policy: RecurrentActorCritic, generator: torch.Generator) -> None:
        self.env = env
        self.policy = policy
        self.generator = generator
        """On the policy's device: the noise of exploration."""
        self.env_seconds = 0.0
        """What the env took of the last collection."""
        self.storage = RolloutStorage(
            env.steps_per_trial,
            env.num_envs,
            policy.spec.trial_obs_dim,
            policy.spec.feature_dim,
            policy.spec.action_dim,
            policy.log_std.device,
        )

    @torch.no_grad()
    def collect(self) -> RolloutStorage:
        """N new trials."""
        storage, policy = self.storage, self.policy
        noise = torch.randn(storage.action.shape, generator=self.generator, device=storage.action.device)
        noise *= policy.log_std.exp()
        state = policy.initial_state(self.env.num_envs)
        storage.obs[0] = self.env.reset()
        self.env_seconds = 0.0
        for t in range(storage.num_steps):
            storage.features[t], state = policy.step(storage.obs[t], state)
            storage.action[t] = policy.actions(storage.features[t]).mean + noise[t]
            action = storage.action[t].cpu()
            start = time.perf_counter()
            storage.obs[t + 1], storage.reward[t], storage.terminated[t], _, _ = self.env.step(action)
            self.env_seconds += time.perf_counter() - start
        storage.features[-1], _ = policy.step(storage.obs[-1], state)
        storage.log_prob = policy.actions(storage.features[:-1]).log_prob(storage.action)
        storage.value = policy.values(storage.features)
        return storage
