"""The gradients of a minibatch, by one thread or by several."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from limbshift.meta.ranks.alone import ALONE, Ranks
from limbshift.meta.rl2.minibatches import Minibatch

Loss = Callable[[Minibatch], tuple[Tensor, ...]]
"""Returns scalars, the total first."""
MIN_PIECES = 8
"""Of a recurrent cell a thread's share is at least as many: fewer rows are bound by reading the weights."""


class Gradients:
    """Fills in the parameters' gradients.

    Each of several threads takes a share of the minibatch, of fixed size, and the shares are added up in order: which
    of them is done first changes nothing. PyTorch's own threads would meet at a barrier in each of the thousands of
    small operations of an update, and all wait there for one whose core another program has.

    Of several ranks each takes its own share of the minibatch, as large as any other's.
    """

    def __init__(
        self, parameters: Sequence[Tensor], num_threads: int, ranks: Ranks = ALONE, *, min_pieces: int = MIN_PIECES
    ) -> None:
        """min_pieces: that a thread's share has at least."""
        self.parameters = parameters
        self.num_threads = num_threads
        self.ranks = ranks
        self.min_pieces = min_pieces
        self._others = ThreadPoolExecutor(max(1, num_threads - 1), "learner", torch.set_num_threads, (1,))

    def fill(self, loss: Loss, batch: Minibatch) -> list[Tensor]:
        """Returns a minibatch's losses, over all ranks, of the first of which the gradients are."""
        sums, gradients = self._own(loss, batch)
        *gradients, sums = self.ranks.average(*gradients, sums)
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        return list(sums)

    def _own(self, loss: Loss, batch: Minibatch) -> tuple[Tensor, Sequence[Tensor]]:
        """Returns the losses, stacked, and the gradients of this rank's share."""
        count = max(1, min(self.num_threads, batch.num_pieces // self.min_pieces))
        if count == 1:
            losses = loss(batch)
            return torch.stack(losses).detach(), torch.autograd.grad(losses[0], self.parameters)
        first, *rest = batch.split(count)
        shares = [self._others.submit(self._share, loss, each, each.num_pieces / batch.num_pieces) for each in rest]
        sums, gradients = self._share(loss, first, first.num_pieces / batch.num_pieces)
        for share in shares:
            more_sums, more = share.result()
            sums += more_sums
            for gradient, other in zip(gradients, more, strict=True):
                gradient += other
        return sums, gradients

    def _share(self, loss: Loss, part: Minibatch, weight: float) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Returns the losses, stacked, and the gradients of a part, times its share of the minibatch."""
        losses = torch.stack(loss(part)) * weight
        return losses.detach(), torch.autograd.grad(losses[0], self.parameters)
