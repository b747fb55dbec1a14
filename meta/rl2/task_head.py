"""A guess at the task, read from what is remembered: a help while meta-training, and gone when that is over."""

import torch
from torch import Tensor, nn

from limbshift.agents.recurrent import PolicySpec


class TaskHead(nn.Module):
    """Tells the encoded task from the recurrent cell's output.

    The simulator knows the task while training. That what is remembered must tell it teaches the memory what to keep,
    sooner than returns alone do. The policy never sees the task, and no controller needs this head.

    Source: Humplik et al., "Meta reinforcement learning as task inference" (2019).

    >>> head = TaskHead(PolicySpec(obs_dim=3, action_dim=2, hidden_size=8), task_dim=2)
    >>> head(torch.randn(5, 4, 16)).shape  # T, N and the policy's features
    torch.Size([5, 4, 2])
    """

    def __init__(self, spec: PolicySpec, task_dim: int) -> None:
        """Starts from zero guesses; where task_dim is 0 the env shows no task, and there is nothing to tell."""
        super().__init__()
        self.remembered = spec.remembered
        """Of a policy's features."""
        self.weight = nn.Parameter(torch.zeros(task_dim, spec.hidden_size))
        self.bias = nn.Parameter(torch.zeros(task_dim))

    def forward(self, features: Tensor) -> Tensor:
        """Maps (..., feature_dim) to guesses at the task, (..., task_dim), as `TaskSpace.encode` encodes it."""
        return features[..., self.remembered] @ self.weight.T + self.bias

    def loss(self, features: Tensor, task: Tensor) -> Tensor:
        """Returns half the squared error of guesses at encoded tasks, (..., task_dim), summed over entries."""
        error = self.forward(features) - task
        return 0.5 * error.square().sum(dim=-1).mean()
