"""What is told of the methods of a comparison."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from limbshift.experiments.comparison.methods import METHODS
from limbshift.experiments.comparison.training_run import TrainingRun, by_method, finals, finals_at, mean_steps
from limbshift.meta.evaluation.statistics import Score, normalised, score


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
    by_split: dict[str, float]
    """IQM of the last episode."""
    by_seed: list[float]
    """IQM of the last episode on held-out tasks, one for each seed."""


def summarise_methods(runs: Sequence[TrainingRun]) -> list[MethodResult]:
    """Summarises runs by method, in their order."""
    methods = by_method(runs)
    random = finals(methods["random"])
    oracle = finals(methods["oracle"]) if "oracle" in methods else random
    first = next(iter(methods.values()))

    def scored(returns: np.ndarray) -> Score | None:
        """Scores returns; None where there is no oracle, or one that has not learned more than random actions."""
        return score(normalised(returns, random, oracle)) if oracle.mean() > random.mean() else None

    results = []
    for name, own in methods.items():
        steps = mean_steps(own)
        equal_steps = min(steps or math.inf, mean_steps(first))
        results.append(
            MethodResult(
                name,
                METHODS[name].description,
                steps,
                float(np.mean([run.looks[-1].seconds for run in own])),
                score(finals(own)),
                scored(finals(own)),
                scored(finals_at(own, equal_steps)),
                scored(finals_at(first, equal_steps)),
                {split: score(finals(own, split)).iqm for split in own[0].splits},
                [score(finals([run])).iqm for run in own],
            )
        )
    return results
