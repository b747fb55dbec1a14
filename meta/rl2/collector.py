"""Plays trials with the current policy, into storage."""

import torch

from limbshift.agents.recurrent import RecurrentActorCritic
from limbshift.envs.trial_env import TrialEnv
from limbshift.meta.rl2.device_copy import HostFetch
from limbshift.meta.rl2.stopwatch import Stopwatch
from limbshift.meta.rl2.storage import RolloutStorage


class Collector:
    """Fills a storage with whole trials: state is zero where one starts, and carried over its episodes.

    The storage lies on the policy's device. Where the env runs there too, nothing leaves it.
    """

    def __init__(self, env: TrialEnv, policy: RecurrentActorCritic, generator: torch.Generator) -> None:
        self.env = env
        self.policy = policy
        self.generator = generator
        """On the policy's device: the noise of exploration."""
        device = policy.log_std.device
        self.stopwatch = Stopwatch(device)
        """Of the last collection: marked at its start, about each of the env's steps, and at its end."""
        self.storage = RolloutStorage(
            policy.spec,
            num_steps=env.steps_per_trial,
            num_envs=env.num_envs,
            task=env.layout.task,
            device=device,
            env_device=env.task_env.device,
        )
        self._to_env = HostFetch(self.storage.action[0], env.task_env.device)

    @torch.no_grad()
    def collect(self) -> RolloutStorage:
        """Plays N new trials; the storage is this collector's own, and is written over by the next call."""
        storage, policy, stopwatch = self.storage, self.policy, self.stopwatch
        stopwatch.mark()
        noise = torch.randn(storage.action.shape, generator=self.generator, device=storage.action.device)
        noise *= policy.log_std.exp()
        state = policy.initial_state(self.env.num_envs)
        diverged = []
        storage.begin(self.env.reset())
        for t in range(storage.num_steps):
            storage.features[t], state = policy.step(storage.obs[t], state)
            storage.action[t] = policy.actions(storage.features[t]).mean + noise[t]
            action = self._to_env(storage.action[t])
            stopwatch.mark()
            step = self.env.step(action)
            storage.write(t, step)
            diverged.append(step.diverged)
            stopwatch.mark()
        storage.features[-1], _ = policy.step(storage.obs[-1], state)
        storage.log_prob = policy.actions(storage.features[:-1]).log_prob(storage.action)
        storage.value = policy.values(storage.features)
        storage.diverged = torch.stack(diverged).to(storage.value.device)
        stopwatch.mark()
        return storage
