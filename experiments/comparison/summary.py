"""What is told of the methods of a comparison."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from limbshift.experiments.comparison.methods import METHODS, reference
from limbshift.experiments.comparison.training_run import (
    TrainingRun,
    by_method,
    final_returns,
    final_returns_at,
    mean_steps,
)
from limbshift.meta.evaluation.adaptation_time import steps_to_adapt
from limbshift.meta.evaluation.scores import Lead, Score, SeedReturns, lead, scale_of, score
from limbshift.meta.evaluation.statistics import interquartile_mean


@dataclass(frozen=True)
class MethodResult:
    """What is told of a method; scores are None where there is no oracle to measure by."""

    method: str
    description: str
    steps: float
    """Env steps of training, mean over seeds."""
    seconds: float
    returns: Score
    """Of the last episode on held-out tasks."""
    score: Score | None
    score_at_equal_steps: Score | None
    """When it and the reference had both taken as many env steps as the slower of the two in all."""
    first_at_equal_steps: Score | None
    """The reference's, then."""
    first_lead: Lead
    """Of the reference over this one: in scores, or in returns where there are none."""
    first_lead_at_equal_steps: Lead
    by_split: dict[str, float]
    """IQM of the last episode."""
    by_seed: list[float]
    """IQM of the last episode on held-out tasks, one for each seed."""
    adaptation_time_s: float | None = None
    """Robot time until episode 1 is nearly as good as the last, over all seeds; None where it never is, where the last
    episode does not beat random actions (surely, or by few seeds each), and for trainings of older formats.
    """
    longer: list[float] = field(default_factory=list)
    """IQM by episode of trials of ten episodes; empty for trainings of older formats."""


def summarise_methods(runs: Sequence[TrainingRun]) -> list[MethodResult]:
    """Summarises runs by method, in their order; without scores where there is no oracle that beats random actions."""
    methods = by_method(runs)
    scale = (
        scale_of(final_returns(methods["random"]), final_returns(methods["oracle"])) if "oracle" in methods else None
    )
    first = methods[reference(methods)]

    def scored(returns: SeedReturns) -> Score | None:
        return None if scale is None else score(returns, scale)

    results = []
    for name, own in methods.items():
        steps = mean_steps(own)
        equal_steps = min(steps or math.inf, mean_steps(first))
        final, then, first_then = (
            final_returns(own),
            final_returns_at(own, equal_steps),
            final_returns_at(first, equal_steps),
        )
        results.append(
            MethodResult(
                name,
                METHODS[name].description,
                steps,
                float(np.mean([run.looks[-1].seconds for run in own])),
                score(final),
                scored(final),
                scored(then),
                scored(first_then),
                lead(final_returns(first), final, scale),
                lead(first_then, then, scale),
                {split: score(final_returns(own, split)).iqm for split in own[0].splits},
                list(score(final).points),
                adaptation_time(own, methods["random"]),
                longer_returns(own),
            )
        )
    return results


def adaptation_time(runs: Sequence[TrainingRun], random: Sequence[TrainingRun]) -> float | None:
    """Returns the robot time in seconds that a method's trainings take to adapt, all of them together."""
    trials = [run.trials for run in runs if run.trials]
    floors = [run.trials for run in random if run.trials]
    if len(trials) < len(runs) or not floors or not beats(final_returns(runs), final_returns(random)):
        return None
    curve = np.mean([each.mean_reward_per_step for each in trials], axis=0)
    steps = steps_to_adapt(curve, np.mean([each.mean_reward_per_step for each in floors], axis=0))
    return None if steps is None else steps * trials[0].control_timestep_s


def beats(returns: SeedReturns, random: SeedReturns) -> bool:
    """Returns whether a method returns more than random actions: by its interval, or by each of its few seeds."""
    ahead = lead(returns, random)
    if ahead.ci95 is None:
        return min(score(returns).points) > score(random).iqm
    return ahead.ci95[0] > 0


def longer_returns(runs: Sequence[TrainingRun]) -> list[float]:
    """Returns the IQM over seeds and tasks by episode."""
    returns = [run.trials.longer for run in runs if run.trials]
    if len(returns) < len(runs):
        return []
    found: list[float] = interquartile_mean(np.concatenate(returns), axis=0).tolist()
    return found
