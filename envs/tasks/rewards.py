"""Terms that rewards are made of."""

import torch
from torch import Tensor


def control_cost(action: Tensor, weight: float) -> Tensor:
    """Returns -weight * sum(a^2), (N,), of an (N, A) action.

    >>> control_cost(torch.tensor([[1.0, -2.0]]), 0.1)
    tensor([-0.5000])
    """
    squares: Tensor = torch.linalg.vecdot(action, action)
    return squares.mul_(-weight)


def alive(fallen: Tensor) -> Tensor:
    """Returns (N,) 1 where the (N,) bool fallen is False, else 0.

    >>> alive(torch.tensor([True, False])).tolist()
    [0.0, 1.0]
    """
    return (~fallen).to(torch.float64)


def along(velocity: Tensor, heading: Tensor) -> Tensor:
    """Returns v . (cos heading, sin heading), (N,), of an (N, 2) velocity in m/s and an (N,) heading in degrees.

    >>> along(torch.tensor([[3.0, 1.0]]), torch.tensor([90.0]))
    tensor([1.0000])
    """
    angle = heading.deg2rad()
    return velocity[:, 0] * angle.cos() + velocity[:, 1] * angle.sin()
