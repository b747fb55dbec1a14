"""A search among candidate tasks: each is held for true until the rewards rule it out."""

import torch
from torch import Tensor, nn

from limbshift.agents.heads import CandidateHead

REWARD_ERROR = 0.3
"""Standard deviation by which predicted rewards are taken to miss those that are seen."""
MOST_EVIDENCE = 5.0
"""By how much one reward lowers a candidate's log-likelihood at most: a prediction may be far out now and then."""
RULED_OUT = -30.0
"""By how much a candidate is less likely than the likeliest at most: once all are ruled out the search begins anew."""
MAX_ROWS = 256
"""Rewards are predicted for so many steps of robots at once, each for all candidates."""


class CandidateSearch(nn.Module):
    """Weighs candidate tasks by the rewards of the trial so far, each of which it predicts for each of them.

    A filter after Bayes: what a step says of a candidate is how well the reward that is seen fits the one that a
    network, which was trained on true tasks, predicts for it. What is held for true is a task, not a mean over those
    that are left: so a policy that follows it goes and looks, and goes on to the next when it finds nothing.

    After Thompson, "On the likelihood that one unknown probability exceeds another" (1933), and Osband et al., "(More)
    efficient reinforcement learning via posterior sampling" (2013); but the candidates are tried in a fixed order.

    >>> search = CandidateSearch(seen_dim=9, size=8, num_candidates=4, task_dim=2)
    >>> likelihood, state = search(torch.zeros(100, 5, 9), ())  # T, N; trials begin
    >>> likelihood.shape, search.head(likelihood).shape
    (torch.Size([100, 5, 4]), torch.Size([100, 5, 2]))
    """

    def __init__(self, seen_dim: int, size: int, num_candidates: int, *, task_dim: int) -> None:
        """seen_dim: of what is seen, at whose end are the previous reward and the episode's boundary."""
        super().__init__()
        self.encoder = nn.Linear(seen_dim - 2, size)
        self.task = nn.Linear(task_dim, size, bias=False)
        self.hidden = nn.Linear(size, size)
        self.reward = nn.Linear(size, 1)
        self.head = CandidateHead(num_candidates, task_dim)
        nn.init.normal_(self.task.weight)

    def forward(self, seen: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Maps normalised observations, (T, N, seen_dim), to log-likelihoods of the candidates, (T, N, K), at most 0.

        state: the log-likelihoods before the first step, (N, K); empty where trials begin.
        """
        rows = seen.flatten(0, 1).split(MAX_ROWS)
        evidence = torch.cat([self._evidence(each) for each in rows]).unflatten(0, seen.shape[:2])
        likelihood = state[0] if state else torch.zeros_like(evidence[0])
        steps = []
        for step in evidence:
            likelihood = likelihood + step
            likelihood = (likelihood - likelihood.amax(dim=-1, keepdim=True)).clamp(min=RULED_OUT)
            steps.append(likelihood)
        return torch.stack(steps), (likelihood,)

    def missed(self, seen: Tensor, state: tuple[Tensor, ...], task: Tensor) -> Tensor:
        """Returns the mean squared error, a scalar, of rewards predicted for encoded tasks, (T, N, P)."""
        predicted = self._predicted(self.encoder(seen[..., :-2]), task).float()
        error = (predicted - seen[..., -2]).square() * self._follows(seen)
        return error.mean()

    def _evidence(self, seen: Tensor) -> Tensor:
        """Returns what these steps add to the candidates' log-likelihoods: (n, seen_dim) -> (n, K), at most 0."""
        predicted = self._predicted(self.encoder(seen[:, :-2]).unsqueeze(1), self.head.candidates)
        error = (predicted - seen[:, -2:-1]).square()
        return -(error / (2 * REWARD_ERROR**2)).clamp(max=MOST_EVIDENCE) * self._follows(seen).unsqueeze(-1)

    def _predicted(self, encoding: Tensor, task: Tensor) -> Tensor:
        hidden = torch.relu(self.hidden(torch.relu(encoding + self.task(task))))
        predicted: Tensor = self.reward(hidden)
        return predicted.squeeze(-1)

    @staticmethod
    def _follows(seen: Tensor) -> Tensor:
        """Returns where the reward that is seen is that of what is seen, and not of an episode before."""
        return (seen[..., -1] <= 0).to(seen.dtype)
