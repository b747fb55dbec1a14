"""Returns and advantages: pure functions on (T, N) tensors."""

import math

import torch
from torch import Tensor

from limbshift.meta.ranks.alone import ALONE, Ranks


def generalised_advantages(
    reward: Tensor, value: Tensor, terminated: Tensor, *, gamma: float, gae_lambda: float
) -> Tensor:
    """Returns GAE(gamma, lambda), (T, N), over trials that are whole.

    reward and terminated are (T, N), value is (T + 1, N). Credit ends where an episode was
    terminated; it flows over time limits inside the trial. The trial's end truncates it: what
    would follow is worth the last value. This is the one place that decides so.

    Source: Schulman et al., "High-dimensional continuous control using generalized advantage
    estimation" (2016), equation 16.

    One trial of three steps; deltas are 1 + 0.5*4 - 2 = 1, 0 + 0.5*6 - 4 = -1 and 2 + 0.5*8 - 6 = 0, decay 0.25:

    >>> reward = torch.tensor([[1.0], [0.0], [2.0]])
    >>> value = torch.tensor([[2.0], [4.0], [6.0], [8.0]])
    >>> fell = torch.zeros(3, 1, dtype=torch.bool)
    >>> generalised_advantages(reward, value, fell, gamma=0.5, gae_lambda=0.5).squeeze().tolist()
    [0.75, -1.0, 0.0]
    """
    goes_on = (~terminated).to(reward.dtype)
    delta = reward + gamma * goes_on * value[1:] - value[:-1]
    decay = gamma * gae_lambda * goes_on
    advantage = torch.empty_like(reward)
    following = torch.zeros_like(reward[0])
    for t in reversed(range(len(reward))):
        following = delta[t] + decay[t] * following
        advantage[t] = following
    return advantage


def discounted_sums(reward: Tensor, terminated: Tensor, gamma: float) -> Tensor:
    """Returns, at each of (T, N) steps, the discounted sum of the rewards since the trial's start or a termination.

    >>> reward, fell = torch.tensor([[1.0], [2.0], [4.0]]), torch.tensor([[False], [True], [False]])
    >>> discounted_sums(reward, fell, gamma=0.5).squeeze().tolist()
    [1.0, 2.5, 4.0]
    """
    total = torch.zeros_like(reward[0])
    sums = torch.empty_like(reward)
    for t in range(len(reward)):
        total = gamma * total + reward[t]
        sums[t] = total
        total = total.masked_fill(terminated[t], 0.0)
    return sums


def explained_variance(value: Tensor, target: Tensor) -> Tensor:
    """Returns 1 - Var(target - value) / Var(target), a scalar: 1 for perfect values, 0 for constant ones.

    NaN where the targets do not vary; nothing is read from the device.

    >>> target = torch.tensor([1.0, 2.0, 3.0, 4.0])
    >>> explained_variance(torch.tensor([2.0, 2.0, 4.0, 4.0]), target)  # 1 - 0.25 / 1.25
    tensor(0.8000)
    """
    variance = target.var(correction=0)
    explained = 1 - (target - value).var(correction=0) / variance
    return explained.masked_fill(variance == 0, math.nan)


class RewardScaler:
    """Divides rewards by the running standard deviation of their discounted sums, for the learner alone.

    Source: Engstrom et al., "Implementation matters in deep policy gradients" (2020), algorithm 1.

    >>> scaler = RewardScaler(gamma=0.0, device=torch.device("cpu"))
    >>> scaler.update(torch.tensor([[1.0, 5.0]]), torch.tensor([[False, False]]))  # standard deviation 2
    >>> round(scaler.scale.item(), 4)
    0.5
    """

    def __init__(self, gamma: float, device: torch.device, ranks: Ranks = ALONE) -> None:
        """ranks: whose rewards are of one size."""
        self.gamma = gamma
        self.ranks = ranks
        self.count = 0
        self.moments = torch.zeros(2, dtype=torch.float64, device=device)
        """Mean and mean square of the sums."""

    def update(self, reward: Tensor, terminated: Tensor) -> None:
        """Takes (T, N) rewards of whole trials into account."""
        sums = discounted_sums(reward, terminated, self.gamma).double()
        count = self.ranks.size * sums.numel()
        self.count += count
        weight = count / self.count
        (moments,) = self.ranks.average(torch.stack([sums.mean(), sums.square().mean()]))
        self.moments += weight * (moments - self.moments)

    @property
    def scale(self) -> Tensor:
        """The factor on the reward, a float32 scalar; 1 before the first update."""
        mean, square = self.moments
        variance = square - mean.square() + 1e-8 if self.count else torch.ones_like(mean)
        return variance.rsqrt().to(torch.float32)
