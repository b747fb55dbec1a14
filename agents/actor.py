"""A policy that acts, step after step: it keeps the recurrent state."""

from enum import Enum

import torch
from torch import Tensor

from limbshift.agents.recurrent import RecurrentActorCritic


class MemoryWipe(Enum):
    """When memory is wiped: state zero, previous action and reward zero, boundary 1."""

    NEVER = "never"
    EACH_EPISODE = "each episode"
    EACH_STEP = "each step"


class PolicyActor:
    """Maps trial observations, (N, trial_obs_dim), to actions, (N, A), on the observations' device.

    Actions are shares of the robot's range; they are not clipped to [-1, 1], which the env does.

    >>> from limbshift.agents.recurrent import PolicySpec
    >>> policy = RecurrentActorCritic(PolicySpec(obs_dim=3, action_dim=2))
    >>> act = PolicyActor(policy, num_envs=4)
    >>> act(torch.zeros(4, policy.spec.trial_obs_dim)).shape
    torch.Size([4, 2])
    """

    def __init__(
        self,
        policy: RecurrentActorCritic,
        num_envs: int,
        wipe: MemoryWipe = MemoryWipe.NEVER,
        *,
        generator: torch.Generator | None = None,
        rows: tuple[int, int] | None = None,
    ) -> None:
        """rows: of how many robots' noise theirs is a part, (first, all): part by part they act as all at once do."""
        self.policy = policy
        self.wipe = wipe
        self.generator = generator
        """On the policy's device, to sample actions; None for the mean action."""
        self.rows = rows or (0, num_envs)
        self.state = policy.initial_state(num_envs)
        self.features = torch.zeros(num_envs, policy.spec.feature_dim, device=policy.log_std.device)
        """(N, feature_dim) what the policy's heads read at the last step."""

    def reset(self, mask: Tensor) -> None:
        """Begins new trials where the (N,) bool mask picks: their recurrent state is zero again."""
        self.state = self.policy.restarted(self.state, mask)

    @torch.no_grad()
    def __call__(self, obs: Tensor) -> Tensor:
        device, obs = obs.device, obs.to(self.policy.log_std.device)
        if self.wipe is not MemoryWipe.NEVER:
            obs = self._wipe(obs)
        self.features, self.state = self.policy.step(obs, self.state)
        actions = self.policy.actions(self.features)
        if self.generator is None:
            return actions.mean.to(device)
        first, total = self.rows
        noise = torch.randn(total, self.policy.spec.action_dim, generator=self.generator, device=actions.mean.device)
        noise = part_of(noise, first, len(obs))
        return (actions.mean + noise * actions.log_std.exp()).to(device)

    def _wipe(self, obs: Tensor) -> Tensor:
        """Presents the step as a trial's first, where memory is to be wiped."""
        wiped = obs[:, self._boundary] > 0
        return self.forget(obs, torch.ones_like(wiped) if self.wipe is MemoryWipe.EACH_STEP else wiped)

    def forget(self, obs: Tensor, mask: Tensor) -> Tensor:
        """Wipes the memory where the (N,) bool mask picks, and returns the observations as a trial's first there."""
        first_sense, boundary = self.policy.spec.obs_dim, self._boundary
        obs = obs.clone()
        obs[:, first_sense:boundary] = obs[:, first_sense:boundary].masked_fill(mask.unsqueeze(-1), 0.0)
        obs[:, boundary] = obs[:, boundary].masked_fill(mask, 1.0)
        self.reset(mask)
        return obs

    @property
    def _boundary(self) -> int:
        """Where in an observation the boundary lies: after the previous action and the previous reward."""
        return self.policy.spec.obs_dim + self.policy.spec.action_dim + 1


def part_of(drawn: Tensor, first: int, count: int) -> Tensor:
    """Returns so many rows of (N, A) from the first on, and zeros where there are no more.

    >>> part_of(torch.tensor([[1.0], [2.0], [3.0]]), 2, 2).tolist()
    [[3.0], [0.0]]
    """
    rows = drawn[first : first + count]
    return torch.nn.functional.pad(rows, (0, 0, 0, count - len(rows)))
