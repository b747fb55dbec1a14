"""One iteration's experience: whole trials, side by side."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from limbshift.agents.recurrent import PolicySpec, RecurrentActorCritic, RecurrentState
from limbshift.meta.rl2.advantages import generalised_advantages
from limbshift.meta.rl2.experience.device_copy import RowWriter

if TYPE_CHECKING:
    from limbshift.envs.trial_env import TrialStep


GIVEN = (
    "obs",
    "task",
    "believed",
    "value",
    "action",
    "log_prob",
    "proximal_log_prob",
    "reward",
    "guidance",
    "terminated",
)
"""What of a storage the learner reads, beside what was remembered."""


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
        sequence_length: int | None = None,
    ) -> None:
        """Allocates zeros.

        task: where the env's observations show the task, empty where they do not. sequence_length: of the pieces that
        are learnt from, a divisor of num_steps; by default trials are whole, and a transformer's always are.
        """

        def zeros(steps: int, *size: int) -> Tensor:
            return torch.zeros(steps, num_envs, *size, device=device)

        self.shown = zeros(num_steps + 1, task.stop)
        """(T + 1, N, env's obs_dim) what the env shows, the task at its end."""
        self.obs = self.shown[..., : spec.trial_obs_dim]
        """(T + 1, N, trial_obs_dim) what the policy sees: the task among it for the oracle alone."""
        self.task = self.shown[:-1, :, task]
        """(T, N, P) the task under each observation, as the env encodes it: for the learner."""
        self.told = self.shown[..., task] if spec.belief_dim else self.shown[..., :0]
        """(T + 1, N, belief_dim) the same, where a policy with a belief network can be told it."""
        self.believed = zeros(num_steps + 1, spec.belief_dim)
        """(T + 1, N, belief_dim) what the policy took its task to be: what it was told, or else its guess."""
        self.features = zeros(num_steps + 1, spec.feature_dim)
        self.sequence_length = num_steps if spec.whole_trials else sequence_length or num_steps
        kept = () if spec.whole_trials else spec.state_sizes
        self.state: RecurrentState = tuple(zeros(num_steps // self.sequence_length, size) for size in kept)
        """(T / sequence_length, N, size) each: what was remembered where each piece starts; empty where trials are
        always whole."""
        self.value = zeros(num_steps + 1)
        self.action = zeros(num_steps, spec.action_dim)
        """As sampled, before it is clipped to the motors' range."""
        self.log_prob = zeros(num_steps)
        """Of the action, by the policy that acted."""
        self.proximal_log_prob = zeros(num_steps)
        """By the policy as it is before learning, about which probability ratios are clipped: the same in turn."""
        self.reward = zeros(num_steps)
        """As the env gave it."""
        self.guidance = zeros(num_steps)
        """What the learner is paid beside it; 0 where there is none."""
        self.terminated = zeros(num_steps).bool()
        self.diverged = torch.zeros_like(self.terminated)
        """Where terminated by a simulation that blew up."""
        self.task_index = torch.zeros(num_envs, dtype=torch.int64)
        """(N,) the numbers of the trials' tasks."""
        self.advantage = zeros(num_steps)
        """Of scaled rewards, as are the value targets; see `estimate_advantages`."""
        self.value_target = zeros(num_steps)
        self._shown, self._reward, self._guidance, self._terminated = (
            RowWriter(target, env_device) for target in (self.shown, self.reward, self.guidance, self.terminated)
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

    def remember(self, t: int, state: RecurrentState) -> None:
        """Writes the recurrent state before step t, where a piece starts there."""
        if self.state and t % self.sequence_length == 0:
            for kept, part in zip(self.state, state, strict=True):
                kept[t // self.sequence_length] = part

    def pieces(self, rows: Tensor) -> Tensor:
        """Returns (T, N, ...) as (sequence_length, pieces, ...), the pieces in the order of `state`'s rows."""
        pieces: Tensor = rows.unflatten(0, (-1, self.sequence_length))  # (pieces, sequence_length, N, ...)
        return pieces.transpose(0, 1).flatten(1, 2)

    def write(self, t: int, step: "TrialStep", *, guided: bool = False) -> None:
        """Writes what the env's step t gave, and with it the observation of step t + 1.

        guided: whether what the env looks at, which is the family's guidance or nothing, is paid.
        """
        self._shown.write(t + 1, step.obs)
        self._reward.write(t, step.reward)
        if guided and step.seen is not None:
            self._guidance.write(t, step.seen)
        self._terminated.write(t, step.terminated)

    @torch.no_grad()
    def read_by(self, policy: RecurrentActorCritic) -> None:
        """Makes what was remembered, the values, and the log probabilities that ratios start from this policy's."""
        state: RecurrentState = policy.initial_state(self.num_envs) if self.state else ()
        features = []
        for start in range(0, self.num_steps, self.sequence_length):
            self.remember(start, state)
            piece = slice(start, start + self.sequence_length)
            more, state = policy.unroll(self.obs[piece], state, self.believed[piece])
            features.append(more)
        last, _ = policy.step(self.obs[-1], state, self.believed[-1])
        read = torch.cat([*features, last.unsqueeze(0)])
        self.proximal_log_prob = policy.actions(read[:-1]).log_prob(self.action)
        self.value = policy.values(read)

    @property
    def importance(self) -> Tensor:
        """(T, N) weights of what actions have brought: less where an older policy chose them more readily; at most 1.

        Source: Espeholt et al., "IMPALA: scalable distributed deep-RL with importance weighted actor-learner
        architectures" (2018), the truncated weights of policy gradients.
        """
        return (self.proximal_log_prob - self.log_prob).exp().clamp(max=1.0)

    def given(self) -> dict[str, Tensor | list[Tensor]]:
        """Returns, live, what the learner reads and did not make."""
        return {**{name: getattr(self, name) for name in GIVEN}, "state": list(self.state)}

    def take(self, given: Mapping[str, Any]) -> None:
        """Copies what `given` returned."""
        for name in GIVEN:
            getattr(self, name).copy_(given[name])
        for own, part in zip(self.state, given["state"], strict=True):
            own.copy_(part)

    def estimate_advantages(self, reward: Tensor, *, gamma: float, gae_lambda: float) -> None:
        """Fills advantage and value_target from the learner's (T, N) rewards, and from the values."""
        self.advantage = generalised_advantages(reward, self.value, self.terminated, gamma=gamma, gae_lambda=gae_lambda)
        self.value_target = self.advantage + self.value[:-1]


def nearest_divisor(number: int, wanted: int) -> int:
    """Returns the divisor of a number that is nearest to the one wanted, by their ratio; none below half of that.

    >>> nearest_divisor(400, 50), nearest_divisor(150, 100), nearest_divisor(10007, 50), nearest_divisor(20, 50)
    (50, 75, 10007, 20)
    """
    divisors = [each for each in range(1, number + 1) if number % each == 0 and (2 * each >= wanted or each == number)]
    return min(divisors, key=lambda divisor: abs(math.log(divisor / wanted)))
