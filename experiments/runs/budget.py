"""How much a run trains."""

from limbshift.experiments.configs import TrainConfig
from limbshift.meta.rl2.trainer import Progress


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
