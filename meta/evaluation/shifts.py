"""What a change of task in the midst of a trial costs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from limbshift.meta.evaluation.adaptation_time import TOLERANCE, WINDOW

if TYPE_CHECKING:
    from limbshift.meta.evaluation.trials import TrialSums


@dataclass(frozen=True, repr=False)
class Shift:
    """What a change of task in the midst of a trial costs: mean rewards per step over all trials, beside those of the
    same trials without the change, which begin their episodes at rest at the same steps.
    """

    at_step: int
    """Of the trial, from 0: the first step on the new task."""
    reward_without: float
    """Without the change, over the 20 steps in a row in which it costs most, of those that begin within an episode's
    length after it."""
    reward_with: float
    """With it, over the same steps."""
    recovery_time_s: float | None
    """Robot time from the change to the first 20 steps in a row that are back; None where none are in the trial.

    Back: short of the same steps without the change by at most a tenth of what a step without it has over one of random
    actions. 0: it never fell further.
    """
    tasks: list[dict[str, float]]
    """What the tasks changed into."""

    def __repr__(self) -> str:
        rewards = f"reward per step {self.reward_with:.3g} at worst, {self.reward_without:.3g} without"
        return f"<Shift at step {self.at_step}: {rewards}, recovery_time_s={self.recovery_time_s}>"


def shift_costs(
    changed: "TrialSums", unchanged: "TrialSums", *, random: "TrialSums", at_step: int
) -> tuple[float, float, int | None]:
    """Returns mean rewards where a change of task at a step costs most, without it and with it, and steps until what is
    lost is back.
    """
    horizon, steps = changed.curve.shape[-1], changed.curve.size - at_step
    window = min(WINDOW, steps)
    after, usual = (
        np.convolve(trials.curve.reshape(-1)[at_step:], np.ones(window) / window, mode="valid")
        for trials in (changed, unchanged)
    )
    lost = usual - after > TOLERANCE * max(float(unchanged.curve.mean() - random.curve.mean()), 0.0)
    worst = int(np.argmax((usual - after)[:horizon]))
    first_lost = int(np.argmax(lost)) if lost[:horizon].any() else 0
    back = np.flatnonzero(~lost[first_lost:])
    return float(usual[worst]), float(after[worst]), first_lost + int(back[0]) if len(back) else None
