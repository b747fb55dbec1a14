"""A network that infers the task from the trial so far."""

import torch
from torch import Tensor, nn

from limbshift.agents.heads import TaskHead


class BeliefNetwork(nn.Module):
    """Infers the task from the trial so far, by a memory of its own: (encoder -> LSTM) -> guess.

    Source: Humplik et al., "Meta reinforcement learning as task inference" (2019).

    >>> belief = BeliefNetwork(seen_dim=9, size=8, task_dim=2)
    >>> inferred, state = belief(torch.zeros(100, 4, 9), ())  # T, N; trials begin
    >>> inferred.shape, belief.head(inferred).shape
    (torch.Size([100, 4, 8]), torch.Size([100, 4, 2]))
    """

    def __init__(self, seen_dim: int, size: int, task_dim: int) -> None:
        super().__init__()
        self.encoder = nn.Linear(seen_dim, size)
        self.recurrent = nn.LSTM(size, size)
        self.head = TaskHead(size, task_dim)

    def forward(self, seen: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Maps normalised observations, (T, N, seen_dim), to (T, N, size), from which `head` tells the task.

        state: output and cell before the first step, (N, size); empty where trials begin.
        """
        layers = tuple(part.unsqueeze(0) for part in state)
        inferred, (hidden, cell) = self.recurrent(torch.tanh(self.encoder(seen)), layers or None)
        return inferred, (hidden[0], cell[0])

    def missed(self, seen: Tensor, state: tuple[Tensor, ...], task: Tensor) -> Tensor:
        """Returns the loss, a scalar, of telling encoded tasks, (T, N, P), from what is seen: see `forward`."""
        inferred, _ = self(seen, state)
        with torch.autocast(inferred.device.type, enabled=False):
            loss: Tensor = self.head.loss(inferred.float(), task)
        return loss
