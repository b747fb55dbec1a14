"""One iteration's experience: whole trials, side by side."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from limbshift.agents.recurrent import PolicySpec
from limbshift.meta.rl2.advantages import generalised_advantages
from limbshift.meta.rl2.device_copy import RowWriter

if TYPE_CHECKING:
    from limbshift.envs.trial_env import TrialStep


class RolloutStorage:
    """Holds T steps of N trials in tensors (T, N, ...) on the policy's device.

    obs, features and value have one row more: the state after the trials' last step.

    The env may run on another device: what it gives travels there without the host waiting for it.
    """

    def __init__(
        self,
        spec: PolicySpec,
        *,
        num_steps: int,
        num_envs: int,
        task: slice,
        device: torch.device,
        env_device: torch.device,
    ) -> None:
        """Allocates zeros; `task` is where the env's observations show the task, empty where they do not."""

        def zeros(steps: int, *size: int) -> Tensor:
            return torch.zeros(steps, num_envs, *size, device=device)

        shown = zeros(num_steps + 1, task.stop)
        self.obs = shown[..., : spec.trial_obs_dim]
        """(T + 1, N, trial_obs_dim) what the policy sees: the task among it for the oracle alone."""
        self.task = shown[:-1, :, task]
        """(T, N, P) the task under each observation, as the env encodes it: for the learner."""
        self.features = zeros(num_steps + 1, spec.feature_dim)
        self.value = zeros(num_steps + 1)
        self.action = zeros(num_steps, spec.action_dim)
        """As sampled, before it is clipped to the motors' range."""
        self.log_prob = zeros(num_steps)
        self.reward = zeros(num_steps)
        """As the env gave it."""
        self.terminated = zeros(num_steps).bool()
        self.diverged = torch.zeros_like(self.terminated)
        """Where terminated by a simulation that blew up."""
        self.advantage = zeros(num_steps)
        """Of scaled rewards, as are the value targets; see `estimate_advantages`."""
        self.value_target = zeros(num_steps)
        self._shown, self._reward, self._terminated = (
            RowWriter(target, env_device) for target in (shown, self.reward, self.terminated)
        )

    @property
    def num_steps(self) -> int:
        """T, the steps of a trial."""
        return len(self.reward)

    @property
    def num_envs(self) -> int:
        """N, the trials side by side."""
        return self.reward.shape[1]

    def begin(self, obs: Tensor) -> None:
        """Writes the env's first observation of new trials, (N, env's obs_dim)."""
        self._shown.write(0, obs)

    def write(self, t: int, step: "TrialStep") -> None:
        """Writes what the env's step t gave, and with it the observation of step t + 1."""
        self._shown.write(t + 1, step.obs)
        self._reward.write(t, step.reward)
        self._terminated.write(t, step.terminated)

    def estimate_advantages(self, reward_scale: Tensor, *, gamma: float, gae_lambda: float) -> None:
        """Fills advantage and value_target from the rewards times a scale, and from the values."""
        self.advantage = generalised_advantages(
            self.reward * reward_scale, self.value, self.terminated, gamma=gamma, gae_lambda=gae_lambda
        )
        self.value_target = self.advantage + self.value[:-1]
