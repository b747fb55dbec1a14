"""The recurrent actor-critic; its recurrent state is an argument and a result, never hidden."""

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn

from limbshift.agents import ActionHead, RecurrentCell, belief_fault, width_fault
from limbshift.agents.attention import CausalTransformer, kept_sizes
from limbshift.agents.belief.network import BeliefNetwork
from limbshift.agents.belief.search import CandidateSearch
from limbshift.agents.gaussian import Gaussian
from limbshift.agents.heads import HyperHead
from limbshift.agents.normaliser import InputNormaliser

REWARD_SCALE = 1.0
"""The previous reward is seen times this, to be of the order of 1."""
FORGET_BIAS = 2.0
"""sigmoid(2) = 0.88 of what is remembered is kept at each step of an untrained LSTM or GRU."""
MAX_SIZE = 16_384
"""Of what a network takes in, of its layers, and of a transformer's context."""
MaybeSize = Annotated[int, Ge(0), Le(MAX_SIZE)]
Size = Annotated[int, Ge(1), Le(MAX_SIZE)]
RecurrentState = tuple[Tensor, ...]
"""What the next step depends on, (N, size) each, by `PolicySpec.state_sizes`; empty where trials begin."""


@dataclass(frozen=True)
class PolicySpec:
    """The sizes of a policy, and what it sees.

    >>> spec = PolicySpec(obs_dim=17, action_dim=6)
    >>> spec.trial_obs_dim, spec.feature_dim
    (25, 256)
    """

    obs_dim: Size
    action_dim: Size
    task_dim: MaybeSize = 0
    """How many numbers encode the task that it sees; above 0 for the oracle alone."""
    hidden_size: Size = 128
    cell: RecurrentCell = "lstm"
    memory: bool = True
    """Without it every step is met as the first of a trial: zero state, no previous action or reward."""
    sees_reward: bool = True
    """Whether it sees the previous reward; a robot in the field has none."""

    head: ActionHead = "linear"
    context: MaybeSize = 0
    """How many steps, the present one among them, a transformer sees at most; 0 for other cells."""
    belief_size: MaybeSize = 0
    """Width of the network that infers the task, whose guess the policy sees; 0 for a policy without."""
    belief_dim: MaybeSize = 0
    """How many numbers encode that guess."""
    num_candidates: MaybeSize = 0
    """Of tasks, of which that network's guess is one that its rewards have not ruled out; 0 where it may be any."""

    @property
    def fault(self) -> str:
        """What of the sizes does not fit together, in one line; empty where all do."""
        if fault := belief_fault(self.belief_size, self.cell, memory=self.memory, sees_task=self.task_dim > 0):
            return fault
        if (self.belief_size > 0) != (self.belief_dim > 0):
            return f"belief_dim is {self.belief_dim} where belief_size is {self.belief_size}, expected both or neither"
        if self.num_candidates and not (self.belief_size and self.sees_reward):
            lacks = "does not see its reward" if self.belief_size else "has no belief network"
            return f"num_candidates is {self.num_candidates}, expected 0 for a policy that {lacks}"
        if self.cell != "transformer":
            return f"context is {self.context}, expected 0 for a cell that is {self.cell}" if self.context else ""
        if self.context < 1:
            return f"context is {self.context}, expected at least 1 for a transformer"
        return width_fault(self.cell, self.hidden_size)

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """Sizes of the tensors that make a recurrent state: output and cell of an LSTM, output of a GRU.

        Those of the network that infers the task come last: output and cell, or the candidates' log-likelihoods.
        """
        if self.cell == "transformer":
            return kept_sizes(self.hidden_size, self.context)
        belief = (self.inferred_size,) * (1 if self.num_candidates else 2) if self.belief_size else ()
        return (self.hidden_size,) * self.num_cell_states + belief

    @property
    def num_cell_states(self) -> int:
        """How many of the state's tensors are those of the recurrent cell, where it is an LSTM or a GRU."""
        return 2 if self.cell == "lstm" else 1

    @property
    def whole_trials(self) -> bool:
        """Whether trials are learnt from whole: what a transformer keeps of one outweighs all else that is stored."""
        return self.cell == "transformer"

    @property
    def trial_obs_dim(self) -> int:
        """Size of what it sees: observation, previous action, previous reward, boundary, task."""
        return self.obs_dim + self.action_dim + 2 + self.task_dim

    @property
    def inferred_size(self) -> int:
        """Size of what a belief network's guess is read from; 0 without one."""
        return self.num_candidates or self.belief_size

    @property
    def feature_dim(self) -> int:
        """Size of what its heads read: the recurrent cell's output beside its input, after what tells the task."""
        return self.inferred_size + 2 * self.hidden_size

    @property
    def remembered(self) -> slice:
        """Where in the features the recurrent cell's output lies: what is remembered of a trial, by any cell."""
        return slice(self.inferred_size, self.inferred_size + self.hidden_size)

    def fixed_factors(self) -> Tensor:
        """Returns factors on all that follows the physical observation; zero for what must not be seen."""
        action = torch.full((self.action_dim,), float(self.memory))
        reward = REWARD_SCALE if self.memory and self.sees_reward else 0.0
        return torch.cat([action, torch.tensor([reward, float(self.memory)]), torch.ones(self.task_dim)])


class RecurrentActorCritic(nn.Module):
    """RL²'s network: (encoder -> LSTM, GRU or transformer) beside the encoding, read by a Gaussian policy and a value.

    With a belief network it sees that network's guess at its task, where the oracle sees the task.

    Source: Duan et al., "RL²: fast reinforcement learning via slow reinforcement learning" (2016).

    >>> policy = RecurrentActorCritic(PolicySpec(obs_dim=3, action_dim=2, hidden_size=8))
    >>> trials = torch.zeros(100, 4, policy.spec.trial_obs_dim)  # T, N
    >>> features, state = policy.unroll(trials, policy.initial_state(4))
    >>> policy.actions(features).mean.shape, policy.values(features).shape
    (torch.Size([100, 4, 2]), torch.Size([100, 4]))
    >>> features, state = policy.step(trials[0], state)  # one step more
    """

    def __init__(self, spec: PolicySpec, initial_log_std: float = 0.0) -> None:
        """Raises ValueError for sizes that do not fit together."""
        super().__init__()
        if spec.fault:
            raise ValueError(spec.fault)
        self.spec = spec
        size = spec.hidden_size
        self.normaliser = InputNormaliser(spec.obs_dim, spec.fixed_factors())
        self.encoder = nn.Linear(spec.trial_obs_dim + spec.belief_dim, size)
        self.recurrent = _make_cell(spec)
        self.belief = _make_belief(spec)
        self.action_head = (
            nn.Linear(2 * size, spec.action_dim) if spec.head == "linear" else HyperHead(size, spec.action_dim)
        )
        self.value_head = nn.Linear(2 * size, 1)
        self.log_std = nn.Parameter(torch.full((spec.action_dim,), initial_log_std))
        self._initialise()

    def search_among(self, candidates: Tensor) -> None:
        """Sets the (num_candidates, belief_dim) encoded tasks, of which its guess is always one."""
        if not isinstance(self.belief, CandidateSearch):
            raise ValueError("only a policy that is made for candidates searches among them")
        self.belief.head.candidates.copy_(candidates)

    def initial_state(self, num_envs: int) -> RecurrentState:
        """Returns the state at the start of N trials: zeros."""
        return tuple(torch.zeros(num_envs, size, device=self.log_std.device) for size in self.spec.state_sizes)

    def restarted(self, state: RecurrentState, mask: Tensor) -> RecurrentState:
        """Returns a state in which new trials begin where the (N,) bool mask picks."""
        # Of a transformer's trial that has not begun nothing is read: keys and values may stay.
        first = len(state) - 1 if self.spec.cell == "transformer" else 0
        return (*state[:first], *(part.masked_fill(mask.unsqueeze(-1), 0.0) for part in state[first:]))

    def step(self, obs: Tensor, state: RecurrentState, believed: Tensor | None = None) -> tuple[Tensor, RecurrentState]:
        """Takes one step: (N, trial_obs_dim) -> features (N, feature_dim), next state.

        believed: as `unroll` takes it, (N, belief_dim).

        A transformer's state is written in place, and gradients do not flow: the one that is given is used up, except
        for one step that takes the place of this one.
        """
        if isinstance(self.recurrent, CausalTransformer) and self.spec.memory:
            encoding = torch.tanh(self.encoder(self.normaliser(obs)))
            output, state = self.recurrent.step(encoding, state)
            return torch.cat([output, encoding], dim=-1), state
        features, state = self.unroll(obs.unsqueeze(0), state, None if believed is None else believed.unsqueeze(0))
        return features[0], state

    def unroll(
        self, obs: Tensor, state: RecurrentState, believed: Tensor | None = None
    ) -> tuple[Tensor, RecurrentState]:
        """Takes T steps without a break: (T, N, trial_obs_dim) -> features (T, N, feature_dim), last state.

        state: may be empty, `()`, where trials begin.
        believed: (T, N, belief_dim) what it takes its task to be; by default what its belief network guesses.
        """
        seen = self.normaliser(obs)
        if self.belief is None:
            return self._act(seen, state)
        own = self.spec.num_cell_states
        inferred, belief_state = self.belief(seen, state[own:])
        guess = self.belief.head(inferred).detach() if believed is None else believed
        features, state = self._act(torch.cat([seen, guess], dim=-1), state[:own])
        return torch.cat([inferred, features], dim=-1), (*state, *belief_state)

    def acting(self, obs: Tensor, state: RecurrentState, believed: Tensor) -> Tensor:
        """Returns those of the features that action and value are read from, as `unroll` does: (T, N, 2 * hidden_size).

        believed: (T, N, belief_dim); of size 0 for a policy without a belief network.
        """
        seen = self.normaliser(obs)
        if self.belief is not None:
            seen, state = torch.cat([seen, believed], dim=-1), state[: self.spec.num_cell_states]
        features, _ = self._act(seen, state)
        return features

    def missed(self, obs: Tensor, state: RecurrentState, task: Tensor) -> Tensor:
        """Returns the loss, a scalar, from which its belief network learns: that of encoded tasks, (T, N, belief_dim).

        obs, state: as `unroll` takes them.
        """
        if self.belief is None:
            raise ValueError("only a policy with a belief network misses its task")
        loss: Tensor = self.belief.missed(self.normaliser(obs), state[self.spec.num_cell_states :], task)
        return loss

    def guesses(self, features: Tensor) -> Tensor:
        """Returns what its belief network takes the task to be: (..., feature_dim) -> (..., belief_dim)."""
        if self.belief is None:
            return features[..., :0]
        guess: Tensor = self.belief.head(features)
        return guess

    def actions(self, features: Tensor) -> Gaussian:
        """Returns the distribution over actions, (..., A), at features (..., feature_dim)."""
        return Gaussian(self.action_head(features[..., -2 * self.spec.hidden_size :]), self.log_std)

    def values(self, features: Tensor) -> Tensor:
        """Returns what the learner's rewards to come are worth: (..., feature_dim) -> (...,)."""
        values: Tensor = self.value_head(features[..., -2 * self.spec.hidden_size :])
        return values.squeeze(-1)

    def _act(self, seen: Tensor, state: RecurrentState) -> tuple[Tensor, RecurrentState]:
        encoding = torch.tanh(self.encoder(seen))  # (T, N, hidden)
        output, state = self._remember(encoding, state)
        return torch.cat([output, encoding], dim=-1), state

    def _remember(self, encoding: Tensor, state: RecurrentState) -> tuple[Tensor, RecurrentState]:
        if not self.spec.memory:
            output, _ = self.recurrent(encoding.reshape(1, -1, encoding.shape[-1]))
            return output.view_as(encoding), state
        if isinstance(self.recurrent, CausalTransformer):
            output, last = self.recurrent(encoding, state)
            return output, last
        layers = tuple(part.unsqueeze(0) for part in state)  # (1, N, hidden)
        if self.spec.cell == "gru":
            output, last = self.recurrent(encoding, *layers)
            return output, (last[0],)
        output, (hidden, cell) = self.recurrent(encoding, layers or None)
        return output, (hidden[0], cell[0])

    def _initialise(self) -> None:
        """Makes orthogonal weights: small for the policy, so that it starts near zero actions.

        The gate that keeps the old starts open, so that early training already remembers over an episode:
        Jozefowicz et al., "An empirical exploration of recurrent network architectures" (2015). It is
        the second of both cells' gates: an LSTM's forget gate, a GRU's update gate.
        """
        cells = [self.recurrent, *([self.belief.recurrent] if isinstance(self.belief, BeliefNetwork) else [])]
        for cell in cells:
            if isinstance(cell, CausalTransformer):
                continue
            keep = slice(cell.hidden_size, 2 * cell.hidden_size)
            with torch.no_grad():
                cell.get_parameter("bias_ih_l0")[keep] = FORGET_BIAS
                cell.get_parameter("bias_hh_l0")[keep] = 0.0
        layers = [(self.encoder, math.sqrt(2)), (self.action_head, 0.01), (self.value_head, 1.0)]
        layers += [] if self.belief is None else [(self.belief.encoder, math.sqrt(2))]
        for layer, gain in layers:
            if isinstance(layer, HyperHead):
                layer.start(gain)
                continue
            nn.init.orthogonal_(layer.weight, gain)
            nn.init.zeros_(layer.bias)


def _make_belief(spec: PolicySpec) -> BeliefNetwork | CandidateSearch | None:
    if not spec.belief_size:
        return None
    if not spec.num_candidates:
        return BeliefNetwork(spec.trial_obs_dim, spec.belief_size, spec.belief_dim)
    return CandidateSearch(spec.trial_obs_dim, spec.belief_size, spec.num_candidates, task_dim=spec.belief_dim)


def _make_cell(spec: PolicySpec) -> nn.LSTM | nn.GRU | CausalTransformer:
    size = spec.hidden_size
    if spec.cell == "transformer":
        return CausalTransformer(size, spec.context)
    return nn.LSTM(size, size) if spec.cell == "lstm" else nn.GRU(size, size)
