"""A guess at the task, read from what is remembered: a help while meta-training, and gone when that is over."""

import torch
from torch import Tensor, nn

from limbshift.agents.recurrent import PolicySpec


class TaskHead(nn.Module):
    """Tells the encoded task from the recurrent cell's output.

    The simulator knows the task while training. That what is remembered must tell it teaches the memory what to keep,
    sooner than returns alone do. The policy never sees the task, and no controller needs this head.

    Source: Humplik et al., "Meta reinforcement learning as task inference" (2019).
    """

    def __init__(self, spec: PolicySpec, task: slice) -> None:
        super().__init__()
        self.remembered = slice(spec.hidden_size)
        """Of a policy's features."""
        self.task = task
        """Of an env's observations; empty where the env does not show it, and then there is nothing to tell."""
        self.weight = nn.Parameter(torch.zeros(task.stop - task.start, spec.hidden_size))
        self.bias = nn.Parameter(torch.zeros(task.stop - task.start))

    def forward(self, features: Tensor) -> Tensor:
        """(..., feature_dim) -> (..., task_dim) the task, as `TaskSpace.encode` encodes it."""
        return features[..., self.remembered] @ self.weight.T + self.bias

    def loss(self, features: Tensor, obs: Tensor) -> Tensor:
        """Half the squared error, summed over the encoding: a scalar."""
        error = self.forward(features) - obs[..., self.task]
        return 0.5 * error.square().sum(dim=-1).mean()
