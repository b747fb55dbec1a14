"""The recurrent actor-critic; its recurrent state is an argument and a result, never hidden."""

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn

from limbshift.agents import RecurrentCell
from limbshift.agents.gaussian import Gaussian
from limbshift.agents.normaliser import InputNormaliser

REWARD_SCALE = 1.0
"""The previous reward is seen times this, to be of the order of 1."""
FORGET_BIAS = 2.0
"""sigmoid(2) = 0.88 of what is remembered is kept at each step of an untrained LSTM or GRU."""
MAX_SIZE = 16_384
"""Of what a network takes in, and of its layers."""
Size = Annotated[int, Ge(1), Le(MAX_SIZE)]
RecurrentState = tuple[Tensor, ...]
"""What is remembered, (N, hidden) each: output and cell of an LSTM, output of a GRU."""


@dataclass(frozen=True)
class PolicySpec:
    """The sizes of a policy, and what it sees.

    >>> spec = PolicySpec(obs_dim=17, action_dim=6)
    >>> spec.trial_obs_dim, spec.feature_dim
    (25, 256)
    """

    obs_dim: Size
    action_dim: Size
    task_dim: Annotated[int, Ge(0), Le(MAX_SIZE)] = 0
    """How many numbers encode the task that it sees; above 0 for the oracle alone."""
    hidden_size: Size = 128
    cell: RecurrentCell = "lstm"
    memory: bool = True
    """Without it every step is met as the first of a trial: zero state, no previous action or reward."""
    sees_reward: bool = True
    """Whether it sees the previous reward; a robot in the field has none."""

    @property
    def state_parts(self) -> int:
        """How many tensors make a recurrent state."""
        return 2 if self.cell == "lstm" else 1

    @property
    def trial_obs_dim(self) -> int:
        """Size of what it sees: observation, previous action, previous reward, boundary, task."""
        return self.obs_dim + self.action_dim + 2 + self.task_dim

    @property
    def feature_dim(self) -> int:
        """Size of what its heads read: the recurrent cell's output beside its input."""
        return 2 * self.hidden_size

    def fixed_factors(self) -> Tensor:
        """Returns factors on all that follows the physical observation; zero for what must not be seen."""
        action = torch.full((self.action_dim,), float(self.memory))
        reward = REWARD_SCALE if self.memory and self.sees_reward else 0.0
        return torch.cat([action, torch.tensor([reward, float(self.memory)]), torch.ones(self.task_dim)])


class RecurrentActorCritic(nn.Module):
    """RL²'s network: (encoder -> LSTM or GRU) beside the encoding, read by a Gaussian policy and a value.

    Source: Duan et al., "RL²: fast reinforcement learning via slow reinforcement learning" (2016).

    >>> policy = RecurrentActorCritic(PolicySpec(obs_dim=3, action_dim=2, hidden_size=8))
    >>> trials = torch.zeros(100, 4, policy.spec.trial_obs_dim)  # T, N
    >>> features, state = policy.unroll(trials, policy.initial_state(4))
    >>> policy.actions(features).mean.shape, policy.values(features).shape
    (torch.Size([100, 4, 2]), torch.Size([100, 4]))
    >>> features, state = policy.step(trials[0], state)  # one step more
    """

    def __init__(self, spec: PolicySpec, initial_log_std: float = 0.0) -> None:
        super().__init__()
        self.spec = spec
        size = spec.hidden_size
        self.normaliser = InputNormaliser(spec.obs_dim, spec.fixed_factors())
        self.encoder = nn.Linear(spec.trial_obs_dim, size)
        self.recurrent: nn.LSTM | nn.GRU = nn.LSTM(size, size) if spec.cell == "lstm" else nn.GRU(size, size)
        self.action_head = nn.Linear(spec.feature_dim, spec.action_dim)
        self.value_head = nn.Linear(spec.feature_dim, 1)
        self.log_std = nn.Parameter(torch.full((spec.action_dim,), initial_log_std))
        self._initialise()

    def initial_state(self, num_envs: int) -> RecurrentState:
        """Returns the state at the start of N trials: zeros."""
        zeros = torch.zeros(num_envs, self.spec.hidden_size, device=self.log_std.device)
        return (zeros,) * self.spec.state_parts

    def step(self, obs: Tensor, state: RecurrentState) -> tuple[Tensor, RecurrentState]:
        """Takes one step: (N, trial_obs_dim) -> features (N, feature_dim), next state."""
        features, state = self.unroll(obs.unsqueeze(0), state)
        return features[0], state

    def unroll(self, obs: Tensor, state: RecurrentState) -> tuple[Tensor, RecurrentState]:
        """Takes T steps without a break: (T, N, trial_obs_dim) -> features (T, N, feature_dim), last state."""
        encoding = torch.tanh(self.encoder(self.normaliser(obs)))  # (T, N, hidden)
        output, state = self._remember(encoding, state)
        return torch.cat([output, encoding], dim=-1), state

    def actions(self, features: Tensor) -> Gaussian:
        """Returns the distribution over actions, (..., A), at features (..., feature_dim)."""
        return Gaussian(self.action_head(features), self.log_std)

    def values(self, features: Tensor) -> Tensor:
        """Returns what the learner's rewards to come are worth: (..., feature_dim) -> (...,)."""
        values: Tensor = self.value_head(features)
        return values.squeeze(-1)

    def _remember(self, encoding: Tensor, state: RecurrentState) -> tuple[Tensor, RecurrentState]:
        if not self.spec.memory:
            output, _ = self.recurrent(encoding.reshape(1, -1, encoding.shape[-1]))
            return output.view_as(encoding), state
        layers = tuple(part.unsqueeze(0) for part in state)  # (1, N, hidden)
        if self.spec.cell == "gru":
            output, last = self.recurrent(encoding, *layers)
            return output, (last[0],)
        output, (hidden, cell) = self.recurrent(encoding, layers)
        return output, (hidden[0], cell[0])

    def _initialise(self) -> None:
        """Makes orthogonal weights: small for the policy, so that it starts near zero actions.

        The gate that keeps the old starts open, so that early training already remembers over an episode:
        Jozefowicz et al., "An empirical exploration of recurrent network architectures" (2015). It is
        the second of both cells' gates: an LSTM's forget gate, a GRU's update gate.
        """
        keep = slice(self.spec.hidden_size, 2 * self.spec.hidden_size)
        with torch.no_grad():
            self.recurrent.get_parameter("bias_ih_l0")[keep] = FORGET_BIAS
            self.recurrent.get_parameter("bias_hh_l0")[keep] = 0.0
        for layer, gain in ((self.encoder, math.sqrt(2)), (self.action_head, 0.01), (self.value_head, 1.0)):
            nn.init.orthogonal_(layer.weight, gain)
            nn.init.zeros_(layer.bias)
