"""Terms that rewards are made of, (N,) each."""

import torch
from torch import Tensor


def control_cost(action: Tensor, weight: float) -> Tensor:
    """-weight * sum(a^2)"""
    squares: Tensor = torch.linalg.vecdot(action, action)
    return squares.mul_(-weight)


def alive(fallen: Tensor) -> Tensor:
    """1 for each step that does not end in a fall."""
    return (~fallen).to(torch.float64)


def along(velocity: Tensor, heading: Tensor) -> Tensor:
    """v . (cos heading, sin heading) of an (N, 2) velocity, heading in degrees."""
    angle = heading.deg2rad()
    return velocity[:, 0] * angle.cos() + velocity[:, 1] * angle.sin()
