"""What is told of the methods of a comparison."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from limbshift.experiments.comparison.methods import METHODS
from limbshift.experiments.comparison.training_run import (
    TrainingRun,
    by_method,
    final_returns,
    final_returns_at,
    mean_steps,
)
from limbshift.meta.evaluation.scores import Lead, Score, SeedReturns, lead, scale_of, score


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
    """When it and the first method had both taken as many env steps as the slower of the two in all."""
    first_at_equal_steps: Score | None
    """The first method's, then."""
    first_lead: Lead
    """Of the first method over this one: in scores, or in returns where there are none."""
    first_lead_at_equal_steps: Lead
    by_split: dict[str, float]
    """IQM of the last episode."""
    by_seed: list[float]
    """IQM of the last episode on held-out tasks, one for each seed."""


def summarise_methods(runs: Sequence[TrainingRun]) -> list[MethodResult]:
    """Summarises runs by method, in their order; without scores where there is no oracle that beats random actions."""
    methods = by_method(runs)
    scale = (
        scale_of(final_returns(methods["random"]), final_returns(methods["oracle"])) if "oracle" in methods else None
    )
    first = next(iter(methods.values()))

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
            )
        )
    return results
