"""Which tasks a policy searches among, and in which order."""

import math

import torch
from torch import Tensor


def candidates_of(tasks: Tensor, count: int) -> Tensor:
    """Returns (count, P) of (M, P) encoded tasks, which lie far from each other, in the order of a tour.

    It starts from the one that is nearest to the mean; next comes what is nearest to the last of those that are left.
    There are as many even of fewer tasks, which then come up again.

    Source: Gonzalez, "Clustering to minimize the maximum intercluster distance" (1985), farthest-first traversal.

    >>> candidates_of(torch.tensor([[-1.0], [-0.5], [0.0], [0.1], [1.0]]), count=4)[:, 0].tolist()
    [0.0, -0.5, -1.0, 1.0]
    """
    chosen = [int((tasks - tasks.mean(dim=0)).norm(dim=-1).argmin())]
    distance = torch.full_like(tasks[:, 0], math.inf)
    while len(chosen) < count:
        distance = torch.minimum(distance, (tasks - tasks[chosen[-1]]).norm(dim=-1))
        chosen.append(int(distance.argmax()))
    left, tour = chosen[1:], chosen[:1]
    while left:
        nearest = int((tasks[left] - tasks[tour[-1]]).norm(dim=-1).argmin())
        tour.append(left.pop(nearest))
    return tasks[tour]
