"""One iteration's experience: whole trials, side by side."""

import torch
from torch import Tensor


class RolloutStorage:
    """Tensors with T steps of N trials, (T, N, ...), written once a step.

    obs, features and value have one row more: the state after the trials' last step.
    """

    def __init__(
        self, num_steps: int, num_envs: int, obs_dim: int, feature_dim: int, action_dim: int, device: torch.device
    ) -> None:
        def zeros(steps: int, *size: int) -> Tensor:
            return torch.zeros(steps, num_envs, *size, device=device)

        self.obs = zeros(num_steps + 1, obs_dim)
        self.features = zeros(num_steps + 1, feature_dim)
        self.value = zeros(num_steps + 1)
        self.action = zeros(num_steps, action_dim)
        """As sampled, before it is clipped to the motors' range."""
        self.log_prob = zeros(num_steps)
        self.reward = zeros(num_steps)
        self.terminated = zeros(num_steps).bool()

    @property
    def num_steps(self) -> int:
        return len(self.reward)

    @property
    def num_envs(self) -> int:
        return self.reward.shape[1]
