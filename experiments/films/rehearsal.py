"""Trials that are to be filmed, played beforehand: what a film's charts measure by."""

from collections.abc import Callable
from contextlib import closing
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from limbshift.envs.trial_env import TrialEnv
from limbshift.experiments.films.video_chart import Scale, ends_of
from limbshift.meta.evaluation.adaptation_time import steps_to_adapt
from limbshift.meta.evaluation.trials import Act, TrialRewards, play, random_actor

LEARNT = 0.2
"""Share of the film's largest gain over random actions from which on a controller has learnt a task."""


class Stage(NamedTuple):
    """A trial that is to begin, and who plays it."""

    env: TrialEnv
    act: Act
    """With its memory fresh."""


def rehearse(staged: Callable[[], Stage], seed: int, *, rows: int = 1) -> list[Scale]:
    """Plays the trial that is to be filmed, and the same by random actions; returns the robots' scales.

    staged: makes the same stage each time. rows: of robots with the same tasks.
    """
    played = []
    for way in ("as staged", "random"):
        env, act = staged()
        with closing(env):
            played.append(play(env, act if way == "as staged" else random_actor(env, seed)))
    return scales_of(*played, rows=rows)


def scales_of(played: TrialRewards, random: TrialRewards, *, rows: int = 1) -> list[Scale]:
    """Returns the scale of each robot, from whole trials of controllers and of random actions.

    rows: of robots with the same tasks; the first row's controller is what the others are measured by.
    """
    count = len(played.reward) // rows
    gains = played.reward[:count, -1].mean(axis=-1) - random.reward[:count, -1].mean(axis=-1)
    learnt = gains > max(0.0, LEARNT * gains.max())
    scales = []
    for number, (own, others) in enumerate(zip(played.reward, random.reward, strict=True)):
        first = number % count
        whole = played.steps[number, 0] == played.steps[first, -1] == own.shape[-1]
        shown = np.stack([own[0], played.reward[first, -1]])
        adapted_at = steps_to_adapt(shown, others) if whole and learnt[first] else None
        curves = (rewards[:steps] for rewards, steps in zip(own, played.steps[number], strict=True))
        best = rates(played)[first, played.reward[first].sum(axis=-1).argmax()]
        scales.append(Scale(float(rates(random)[number, -1]), float(best), adapted_at, ends_of(curves)))
    return scales


def rates(trials: TrialRewards) -> NDArray[np.float64]:
    """Returns (N, K) mean rewards per step that counts.

    >>> rates(TrialRewards(np.array([[[2.0, 4.0, 0.0]]]), np.array([[1]]), np.array([[2]]))).tolist()
    [[3.0]]
    """
    mean: NDArray[np.float64] = trials.reward.sum(axis=-1) / trials.steps
    return mean
