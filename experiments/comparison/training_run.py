"""The runs of a comparison, one for each method and seed: their files, and what is read off them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from limbshift.experiments.comparison.methods import METHODS
from limbshift.experiments.comparison.timed_training import HeldoutCurvePoint
from limbshift.experiments.runs.directory import read_json

CELLS = "cells"
"""Directory of their files."""


@dataclass(frozen=True)
class Consumed:
    """What gradient steps made of a policy after so many episodes of each held-out task."""

    episodes: int
    returns: list[float]
    """Of the episode after them, one for each task."""


@dataclass(frozen=True)
class TrainingRun:
    """One training of one method."""

    method: str
    seed: int
    cpu: str
    """Model of the processor."""
    looks: list[HeldoutCurvePoint]
    """At held-out tasks, in the order of training; the last one at the end of the budget."""
    splits: dict[str, list[list[float]]]
    """Trial x episode returns of the policy that came of it, by split."""
    consumed: list[Consumed] = field(default_factory=list)
    """Of a method that adapts by gradient steps."""


def run_file(out: Path, method: str, seed: int) -> Path:
    """Where a run is kept."""
    return out / CELLS / f"{method}-{seed}.json"


def read_runs(out: Path) -> list[TrainingRun]:
    """All that are complete, by method and seed: of earlier calls too."""
    runs: list[TrainingRun] = []
    for path in (out / CELLS).glob("[!.]*.json"):
        content = read_json(path)
        looks = [HeldoutCurvePoint(**look) for look in content["looks"]]
        runs.append(
            TrainingRun(**{**content, "looks": looks, "consumed": [Consumed(**each) for each in content["consumed"]]})
        )
    order = list(METHODS)
    return sorted(runs, key=lambda run: (order.index(run.method), run.seed))


def by_method(runs: Sequence[TrainingRun]) -> dict[str, list[TrainingRun]]:
    """Each method's own, in the order of the cells."""
    return {name: [run for run in runs if run.method == name] for name in dict.fromkeys(run.method for run in runs)}


def mean_steps(runs: Sequence[TrainingRun]) -> float:
    """Of training, in all."""
    return float(np.mean([run.looks[-1].steps for run in runs]))


def finals(runs: Sequence[TrainingRun], split: str = "heldout") -> np.ndarray:
    """(seeds, tasks) returns of the last episode."""
    return np.array([np.array(run.splits[split])[:, -1] for run in runs])


def finals_at(runs: Sequence[TrainingRun], steps: float) -> np.ndarray:
    """(seeds, tasks) returns of the last episode on held-out tasks after so many env steps."""
    return np.array([final_at(run, steps) for run in runs])


def final_at(run: TrainingRun, steps: float) -> np.ndarray:
    """(tasks,): a straight line between two looks, and level before the first and after the last."""
    looked_after = [look.steps for look in run.looks]
    curves = np.array([look.returns for look in run.looks])[:, :, -1].T
    return np.array([np.interp(steps, looked_after, curve) for curve in curves])
