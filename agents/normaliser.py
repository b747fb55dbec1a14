"""From a trial's observation to the network's input."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

CLIP = 10.0
"""Inputs are clipped to this; physical observations are in standard deviations from their mean."""


class Moments(NamedTuple):
    """Of the columns of (n, D) rows."""

    num_rows: int
    """n."""
    mean: Tensor
    """(D,)"""
    var: Tensor
    """(D,) mean squared distance from the mean."""


def moments_of(rows: Tensor) -> Moments:
    """Returns the moments of (n, D) rows.

    >>> moments_of(torch.tensor([[1.0], [5.0]]))
    Moments(num_rows=2, mean=tensor([3.]), var=tensor([4.]))
    """
    var, mean = torch.var_mean(rows, dim=0, correction=0)
    return Moments(len(rows), mean, var)


class InputNormaliser(nn.Module):
    """Centres and scales the physical observation by running statistics, the rest by fixed factors.

    The statistics change in `update` alone, so that frozen is the normal state.

    >>> normaliser = InputNormaliser(obs_dim=1, fixed=torch.tensor([0.5]))
    >>> normaliser.update(torch.tensor([[1.0, 0.0], [5.0, 0.0]]))  # mean 3, standard deviation 2
    >>> normaliser(torch.tensor([[5.0, 4.0]]))
    tensor([[1., 2.]])
    """

    count: Tensor
    mean: Tensor
    var: Tensor
    scale: Tensor
    shift: Tensor

    def __init__(self, obs_dim: int, fixed: Tensor) -> None:
        """Starts with mean 0 and variance 1; `fixed` holds the factors on what follows the physical observation."""
        super().__init__()
        self.obs_dim = obs_dim
        self.register_buffer("count", torch.tensor(0.0, dtype=torch.float64))
        self.register_buffer("mean", torch.zeros(obs_dim))
        self.register_buffer("var", torch.ones(obs_dim))
        self.register_buffer("scale", torch.cat([torch.ones(obs_dim), fixed]))
        self.register_buffer("shift", torch.zeros(obs_dim + len(fixed)))

    def forward(self, obs: Tensor) -> Tensor:
        """Maps (..., trial_obs_dim) to the same shape, clipped to [-10, 10]."""
        return torch.addcmul(self.shift, obs, self.scale).clamp(-CLIP, CLIP)

    @torch.no_grad()
    def update(self, obs: Tensor, moments: Callable[[Tensor], Moments] = moments_of) -> None:
        """Takes the physical part of (..., trial_obs_dim) observations into account.

        moments: takes (n, obs_dim) rows; it may know of rows that others have.

        Source: Chan et al., "Updating formulae and a pairwise algorithm" (1979), equation 2.1.
        """
        batch = obs[..., : self.obs_dim].reshape(-1, self.obs_dim)
        count, batch_mean, batch_var = moments(batch)
        self.count += count
        weight = (count / self.count).to(batch.dtype)
        delta = batch_mean - self.mean
        self.var.copy_((1 - weight) * self.var + weight * batch_var + weight * (1 - weight) * delta.square())
        self.mean.add_(weight * delta)
        self.set_scale()

    def set_scale(self) -> None:
        """Makes the input's factors and offsets from the mean and the variance as they are now."""
        self.scale[: self.obs_dim] = (self.var + 1e-8).rsqrt()
        self.shift[: self.obs_dim] = -self.mean * self.scale[: self.obs_dim]
