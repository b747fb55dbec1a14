"""What is read from a policy's features: actions, and a guess at the task."""

import torch
from torch import Tensor, nn

MAX_ROWS = 8192
"""Weights are made for so many rows at once: each row's are as many as those of a linear layer."""
RELUCTANCE = 20.0
"""By how much the log-likelihood of the last candidate has to exceed that of the first to be held for true instead."""


class HyperHead(nn.Linear):
    """Reads mean actions from the encoding, by weights that a linear layer makes from what is remembered.

    This layer is the one that makes them, for each action size of them and then a bias. It reads what is remembered
    divided by the root of its size: else the steps of Adam would change all that it makes many times faster than they
    change the weights of a linear head.

    Source: Beck et al., "Recurrent hypernetworks are surprisingly strong in meta-RL" (2023).

    >>> head = HyperHead(size=8, action_dim=2)
    >>> head.start(gain=0.01)
    >>> head(torch.zeros(5, 4, 16)).shape  # T, N and the policy's features
    torch.Size([5, 4, 2])
    """

    def __init__(self, size: int, action_dim: int) -> None:
        """size: of what is remembered, and of the encoding."""
        super().__init__(size, action_dim * (size + 1))
        self.action_dim = action_dim

    def forward(self, features: Tensor) -> Tensor:
        """Maps (..., 2 * size), what is remembered beside the encoding, to mean actions, (..., A)."""
        means = [self._means(rows) for rows in features.flatten(0, -2).split(MAX_ROWS)]
        return torch.cat(means).view(*features.shape[:-1], self.action_dim)

    @torch.no_grad()
    def start(self, gain: float) -> None:
        """Makes weights by which the head starts as a linear one does on the encoding, whatever is remembered.

        Source: the same, "Bias-HyperInit".
        """
        weight = nn.init.orthogonal_(self.weight.new_empty(self.action_dim, self.in_features), gain)
        self.weight.zero_()
        self.bias.copy_(nn.functional.pad(weight, (0, 1)).flatten())

    def _means(self, features: Tensor) -> Tensor:
        remembered, encoding = features.chunk(2, dim=-1)
        made = super().forward(remembered * self.in_features**-0.5)
        made = made.unflatten(-1, (self.action_dim, -1))  # (n, A, size + 1)
        read = nn.functional.pad(encoding, (0, 1), value=1.0)  # the last weight of each action is its bias
        means: Tensor = (made * read.unsqueeze(-2)).sum(dim=-1)
        return means


class TaskHead(nn.Module):
    """Tells the encoded task from the recurrent cell's output.

    The simulator knows the task while training. That what is remembered must tell it teaches the memory what to keep,
    sooner than returns alone do. The policy never sees the task, and acts without this head.

    Source: Humplik et al., "Meta reinforcement learning as task inference" (2019).

    >>> head = TaskHead(hidden_size=8, task_dim=2)
    >>> head(torch.randn(5, 4, 16)).shape  # T, N and the policy's features
    torch.Size([5, 4, 2])
    """

    def __init__(self, hidden_size: int, task_dim: int) -> None:
        """Starts from zero guesses; where task_dim is 0 the env shows no task, and there is nothing to tell."""
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(task_dim, hidden_size))
        self.bias = nn.Parameter(torch.zeros(task_dim))

    @property
    def task_dim(self) -> int:
        """How many numbers encode a task."""
        return len(self.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Maps (..., feature_dim) to guesses at the task, (..., task_dim), as `TaskSpace.encode` encodes it."""
        return features[..., : self.weight.shape[1]] @ self.weight.T + self.bias

    def loss(self, features: Tensor, task: Tensor) -> Tensor:
        """Returns half the squared error of guesses at encoded tasks, (..., task_dim), summed over entries."""
        error = self.forward(features) - task
        return 0.5 * error.square().sum(dim=-1).mean()


class CandidateHead(nn.Module):
    """Holds a task for true: of the candidates the likeliest, those that come first being preferred.

    >>> head = CandidateHead(num_candidates=3, task_dim=1)
    >>> head.candidates[:, 0] = torch.tensor([0.0, 0.5, 1.0])
    >>> head(torch.tensor([[0.0, 0.0, 0.0], [-30.0, -1.0, 0.0]])).tolist()  # the second trial ruled the first one out
    [[0.0], [0.5]]
    """

    candidates: Tensor

    def __init__(self, num_candidates: int, task_dim: int) -> None:
        super().__init__()
        self.register_buffer("candidates", torch.zeros(num_candidates, task_dim))

    @property
    def task_dim(self) -> int:
        """P, how many numbers encode a task."""
        return self.candidates.shape[1]

    def forward(self, features: Tensor) -> Tensor:
        """Maps log-likelihoods of K candidates, (..., K or more), to encoded tasks, (..., P)."""
        count = len(self.candidates)
        return self.candidates[(features[..., :count] - self.reluctance).argmax(dim=-1)]

    @property
    def reluctance(self) -> Tensor:
        """(K,) by how much the log-likelihood of each has to exceed that of the first."""
        return torch.linspace(0.0, RELUCTANCE, len(self.candidates), device=self.candidates.device)


GuessHead = TaskHead | CandidateHead
"""What tells a guess at the encoded task, (..., P), from a policy's features, (..., feature_dim)."""
