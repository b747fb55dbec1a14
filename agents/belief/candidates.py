"""Which tasks a policy searches among, and in which order."""

import math

import torch
from torch import Tensor


def candidates_of(tasks: Tensor, count: int) -> Tensor:
    """Returns (count, P) of (M, P) encoded tasks, each as far as can be from all that come before it.

    The first is the one that is nearest to the mean. So the first few are spread over all tasks, and later ones fill
    the gaps: who goes from one to the next gets about fast. There are as many even of fewer tasks, which then come up
    again.

    Source: Gonzalez, "Clustering to minimize the maximum intercluster distance" (1985), farthest-first traversal.

    >>> candidates_of(torch.tensor([[-1.0], [-0.5], [0.0], [0.1], [1.0]]), count=4)[:, 0].tolist()
    [0.0, -1.0, 1.0, -0.5]
    """
    chosen = [int((tasks - tasks.mean(dim=0)).norm(dim=-1).argmin())]
    distance = torch.full_like(tasks[:, 0], math.inf)
    while len(chosen) < count:
        distance = torch.minimum(distance, (tasks - tasks[chosen[-1]]).norm(dim=-1))
        chosen.append(int(distance.argmax()))
    return tasks[chosen]
