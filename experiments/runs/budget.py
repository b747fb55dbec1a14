"""How much a run trains, and when what it does on the way is due."""

import math
from dataclasses import dataclass

from limbshift.experiments.configs import TrainConfig
from limbshift.meta.rl2.iteration import Iteration, Progress

LONG = 0.2
"""Share of the budget that an iteration should not take."""


def budget_spent(config: TrainConfig, progress: Progress) -> float:
    """Returns the share of the budget that is spent; of two limits, that of the nearer one."""
    shares = []
    if config.budget_minutes is not None:
        shares.append(progress.seconds / 60 / config.budget_minutes)
    if config.steps is not None:
        shares.append(progress.steps / config.steps)
    return max(shares)


def name_spent_budget(config: TrainConfig, progress: Progress) -> str:
    """Returns a sentence that names the limit that is reached, and the option that raises it."""
    if config.steps is not None and progress.steps >= config.steps:
        return f"the budget of {config.steps:,} steps is spent; give a larger --steps to go on"
    return f"the budget of {config.budget_minutes:g} minutes is spent; give a larger --minutes to go on"


@dataclass
class Schedule:
    """Tells when something is due that is done again and again after so many seconds of training.

    >>> looks = Schedule(period=120.0)
    >>> [looks.due(now) for now in (119.0, 121.0, 240.0, 241.0)]
    [False, True, False, True]
    """

    period: float
    last: float = 0.0
    """When it was done last; kept in checkpoints."""

    def due(self, now: float) -> bool:
        """Returns whether it is time; if so, the next time is a period from now."""
        if now < self.last + self.period:
            return False
        self.last = now
        return True


def long_iteration(iteration: Iteration, config: TrainConfig, progress: Progress) -> str | None:
    """Returns a warning of iterations of which few fit into the budget, which is overshot by up to one of them.

    The first one only measures, which is all that is done where it spends the budget. None where there is no cause.
    """
    budget = 60 * (config.budget_minutes or math.inf)
    measured = not iteration.losses
    if measured and budget_spent(config, progress) < 1:
        return None
    done = "Nothing was learnt: the first iteration, which measures," if measured else "An iteration"
    if measured and config.steps is not None and progress.steps >= config.steps:
        taken, option = f"{progress.steps:,} steps of the budget's {config.steps:,}", "--steps"
    elif iteration.seconds > LONG * budget:
        taken, option = f"{iteration.seconds:.0f} s of the budget's {budget:.0f}", "--minutes"
    else:
        return None
    return f"{done} takes {taken}: a larger {option}, or fewer --num-envs, would leave time to learn"
