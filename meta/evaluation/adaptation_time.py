"""When a robot has adapted."""

import numpy as np

WINDOW = 20
"""Steps over which rewards are averaged to tell when a robot has adapted."""
TOLERANCE = 0.1
"""Share of a gain over random actions that may be missing from a robot that has adapted."""
ADAPTATION_TIME = (
    f"Robot time, in seconds from the start of the trial, until the mean reward over the {WINDOW} steps just taken in "
    f"episode 1 (over all steps of an episode that is shorter) first reaches {1 - TOLERANCE:.0%} of the way from the "
    "mean reward per step of random actions in the last episode to the controller's own there; the time to pick up "
    "speed counts. null where episode 1 never gets there, and where nothing was learnt: where the 95 % interval of the "
    "last episode's return does not lie above those of random actions and of the controller with its memory off. An "
    "untrained controller, which hardly moves, beats random actions on most robots, but not itself without memory. A "
    "single task has no interval: null."
)
"""What `adaptation_time_s` means; results in JSON say it too."""


def steps_to_adapt(curve: np.ndarray, random: np.ndarray) -> int | None:
    """Returns the steps of episode 1 until it is nearly as good as the last episode, by `ADAPTATION_TIME`.

    curve, random: mean rewards, (episodes, horizon). Whether anything was learnt is not asked here. None where episode
    1 never gets there.

    >>> steps_to_adapt(np.ones((2, 30)), np.zeros((2, 30)))
    20
    """
    floor, last = random[-1].mean(), curve[-1].mean()
    enough = floor + (1 - TOLERANCE) * (last - floor)
    window = min(WINDOW, curve.shape[1])
    reached = np.convolve(curve[0], np.ones(window) / window, mode="valid") >= enough
    return window + int(np.argmax(reached)) if reached.any() else None
