"""What counts of an episode, while training and in evaluation alike."""

from torch import Tensor


def up_to_first_fall(reward: Tensor, terminated: Tensor) -> Tensor:
    """Returns the rewards with zeros after the first fall of each slot, whose restarts do not count.

    Both are (K, H, N): K slots of H steps in N trials; terminated is bool. The step that ends in the fall counts.

    >>> import torch
    >>> reward = torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 4, 1)
    >>> fell = torch.tensor([False, True, False, True]).view(1, 4, 1)
    >>> up_to_first_fall(reward, fell).flatten().tolist()
    [1.0, 2.0, 0.0, 0.0]
    """
    fallen_before = terminated.cumsum(dim=1) > terminated
    return reward.masked_fill(fallen_before, 0.0)
