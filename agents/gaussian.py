"""A diagonal normal distribution over actions."""

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Gaussian(NamedTuple):
    """A diagonal normal distribution over actions."""

    mean: Tensor
    """(..., A)"""
    log_std: Tensor
    """(A,)"""

    def log_prob(self, action: Tensor) -> Tensor:
        """(...,)"""
        scaled = (action - self.mean) * (-self.log_std).exp()
        constant = self.log_std.sum() + 0.5 * math.log(2 * math.pi) * action.shape[-1]
        squares: Tensor = torch.linalg.vecdot(scaled, scaled)
        return -0.5 * squares - constant

    def entropy(self) -> Tensor:
        """A scalar, in nats."""
        return self.log_std.sum() + 0.5 * (1 + math.log(2 * math.pi)) * len(self.log_std)
