"""An actor-critic without memory, as a function of its policy's weights: what gradient steps adapt."""

import math

import torch
from torch import Tensor, nn
from torch.func import functional_call

from limbshift.agents.gaussian import Gaussian
from limbshift.agents.normaliser import InputNormaliser

Weights = dict[str, Tensor]
"""Of a policy, by name; with an axis in front, (N, ...), where each of N tasks has its own."""
LOG_STD = "log_std"


class FeedforwardActorCritic(nn.Module):
    """A Gaussian policy and a value, which see the physical observation alone.

    >>> policy = FeedforwardActorCritic.of_size(obs_dim=3, action_dim=2, hidden_size=8)
    >>> obs = torch.zeros(5, 3)
    >>> policy.actions(policy.weights, obs).mean.shape, policy.values(obs).shape
    (torch.Size([5, 2]), torch.Size([5]))
    """

    def __init__(self, normaliser: InputNormaliser, mean: nn.Module, value: nn.Module, *, log_std: Tensor) -> None:
        """Takes modules (..., obs_dim) -> (..., A) and (..., 1), and the initial logarithm of the std, (A,)."""
        super().__init__()
        self.normaliser = normaliser
        self.mean = mean
        self.value = value
        self.log_std = nn.Parameter(log_std)

    @classmethod
    def of_size(
        cls, obs_dim: int, action_dim: int, hidden_size: int, *, initial_log_std: float = 0.0
    ) -> "FeedforwardActorCritic":
        """Makes a policy and a value of two hidden layers each; the policy starts near zero actions."""
        return cls(
            InputNormaliser(obs_dim, torch.empty(0)),
            _two_layers(obs_dim, action_dim, hidden_size, last_gain=0.01),
            _two_layers(obs_dim, 1, hidden_size, last_gain=1.0),
            log_std=torch.full((action_dim,), initial_log_std),
        )

    @property
    def weights(self) -> Weights:
        """The policy's, by name: what a task may change."""
        return {**dict(self.mean.named_parameters()), LOG_STD: self.log_std}

    def actions(self, weights: Weights, obs: Tensor) -> Gaussian:
        """Returns the distribution over (..., A) of the policy with these weights, at observations (..., obs_dim)."""
        of_mean = {name: weight for name, weight in weights.items() if name != LOG_STD}
        return Gaussian(functional_call(self.mean, of_mean, (self.normaliser(obs),)), weights[LOG_STD])

    def values(self, obs: Tensor) -> Tensor:
        """Returns what the learner's rewards to come are worth, whatever the task: (..., obs_dim) -> (...,)."""
        values: Tensor = self.value(self.normaliser(obs))
        return values.squeeze(-1)


def _two_layers(inputs: int, outputs: int, hidden_size: int, *, last_gain: float) -> nn.Sequential:
    layers = [nn.Linear(inputs, hidden_size), nn.Linear(hidden_size, hidden_size), nn.Linear(hidden_size, outputs)]
    for layer, gain in zip(layers, (math.sqrt(2), math.sqrt(2), last_gain), strict=True):
        nn.init.orthogonal_(layer.weight, gain)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(layers[0], nn.Tanh(), layers[1], nn.Tanh(), layers[2])
