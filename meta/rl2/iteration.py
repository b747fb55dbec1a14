"""What training has taken, and what an iteration gave."""

from dataclasses import dataclass
from typing import NamedTuple


class Progress(NamedTuple):
    """What training has taken so far."""

    steps: int = 0
    """Env steps over all simulations, those of all ranks together."""
    seconds: float = 0.0
    iterations: int = 0


@dataclass(frozen=True, kw_only=True)
class Iteration:
    """What one iteration gave and took: of several ranks their means, but for times, which are the rank's own."""

    losses: dict[str, float]
    """By the names of `Losses`; empty for the first iteration, which only fills the normalisers."""
    learning_rate: float | None
    """Adam's step size; None for the first iteration."""
    grad_norm: float | None
    """Before it is clipped, mean over minibatches; None for the first iteration."""
    explained_variance: float | None
    """Of the value targets by the values, before the update; None where the targets do not vary."""
    reward_scale: float
    """Factor on the rewards for the learner."""
    episode_returns: list[float]
    """Mean return of each of the trial's episodes while exploring, up to the first fall as in evaluation."""
    returns_with_restarts: list[float]
    """The same with what the restarts after a fall earned."""
    terminations: float
    """Falls and divergences per episode."""
    divergences: int
    """Simulations that blew up, in all trials together."""
    skipped: int
    """Minibatches that were passed over, since their gradients were not finite."""
    action_std: float
    env_seconds: float
    """Physics, observations and rewards."""
    policy_seconds: float
    update_seconds: float
    seconds: float
    """Of the whole iteration, in which trials may be played while others are learnt from."""
