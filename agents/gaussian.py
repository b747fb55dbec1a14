"""A diagonal normal distribution over actions."""

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Gaussian(NamedTuple):
    """A diagonal normal distribution over actions, with one standard deviation for all states.

    >>> import torch
    >>> policy = Gaussian(mean=torch.zeros(2), log_std=torch.zeros(2))
    >>> round(policy.log_prob(torch.tensor([1.0, -1.0])).item(), 4)  # -1 - ln(2 pi)
    -2.8379
    >>> round(policy.entropy().item(), 4)  # 1 + ln(2 pi)
    2.8379
    """

    mean: Tensor
    """(..., A)"""
    log_std: Tensor
    """(A,) natural logarithm of the standard deviation."""

    def log_prob(self, action: Tensor) -> Tensor:
        """Returns the log density of actions, (..., A) -> (...,), in nats."""
        scaled = (action - self.mean) * (-self.log_std).exp()
        constant = self.log_std.sum() + 0.5 * math.log(2 * math.pi) * action.shape[-1]
        squares: Tensor = torch.linalg.vecdot(scaled, scaled)
        return -0.5 * squares - constant

    def entropy(self) -> Tensor:
        """Returns the differential entropy, a scalar, in nats; it is the same in all states."""
        return self.log_std.sum() + 0.5 * (1 + math.log(2 * math.pi)) * len(self.log_std)
