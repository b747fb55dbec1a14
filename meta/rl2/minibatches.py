"""Pieces of trials, in random order: what is learnt from at once, and the losses that come of it."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from limbshift.agents.recurrent import RecurrentState
from limbshift.meta.ranks.alone import ALONE, Ranks
from limbshift.meta.rl2.experience.storage import RolloutStorage


class Minibatch(NamedTuple):
    """Pieces of trials, or whole ones: (T, n, ...)."""

    obs: Tensor
    """What the policy saw."""
    action: Tensor
    log_prob: Tensor
    """Of the action, by the policy as it was before learning."""
    advantage: Tensor
    """Of mean 0 and standard deviation 1 over all of the iteration's trials, those of other ranks included; then
    weighted, where an older policy acted."""
    value_target: Tensor
    task: Tensor
    believed: Tensor
    """What a policy with a belief network took its task to be; of size 0 for others."""
    state: RecurrentState
    """(n, size) each: what was remembered before the first step."""

    @property
    def num_pieces(self) -> int:
        """n."""
        return self.action.shape[1]

    def split(self, count: int) -> list["Minibatch"]:
        """Returns so many parts of nearly the same number of pieces."""
        *rows, state = self
        columns = zip(*(part.tensor_split(count, dim=1) for part in rows), strict=True)
        states = zip(*(part.tensor_split(count) for part in state), strict=True) if state else [()] * count
        return [Minibatch._make((*parts, each)) for parts, each in zip(columns, states, strict=True)]


class Losses(NamedTuple):
    """Scalars."""

    total: Tensor
    policy: Tensor
    value: Tensor
    entropy: Tensor
    approx_kl: Tensor
    clip_fraction: Tensor
    task: Tensor


def minibatches(
    storage: RolloutStorage, num_minibatches: int, generator: torch.Generator, *, ranks: Ranks = ALONE
) -> Iterator[Minibatch]:
    """Yields the storage's pieces in random order; of several ranks' minibatches, each rank its share."""
    advantage = storage.advantage
    spread, mean = ranks.std_mean(advantage)
    weighted = (advantage - mean) / (spread + 1e-8) * storage.importance
    seen = (storage.obs[:-1], storage.action, storage.proximal_log_prob)
    rows = (*seen, weighted, storage.value_target, storage.task, storage.believed[:-1])
    pieces = [storage.pieces(part) for part in rows]
    state = [part.flatten(0, 1) for part in storage.state]
    order = torch.randperm(pieces[0].shape[1], generator=generator, device=advantage.device)
    for chosen in order.chunk(num_minibatches):
        remembered = tuple(part[chosen] for part in state)
        yield Minibatch._make((*(part[:, chosen] for part in pieces), remembered))
