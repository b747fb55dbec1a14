"""The cells of a comparison, one for each method and seed: their files, and what is read off them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from limbshift.experiments.comparison.methods import METHODS
from limbshift.experiments.comparison.timed_training import Look
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
class Cell:
    """One training of one method."""

    method: str
    seed: int
    cpu: str
    """Model of the processor."""
    looks: list[Look]
    """At held-out tasks, in the order of training; the last one at the end of the budget."""
    splits: dict[str, list[list[float]]]
    """Trial x episode returns of the policy that came of it, by split."""
    consumed: list[Consumed] = field(default_factory=list)
    """Of a method that adapts by gradient steps."""


def cell_file(out: Path, method: str, seed: int) -> Path:
    """Where a cell is kept."""
    return out / CELLS / f"{method}-{seed}.json"


def read_cells(out: Path) -> list[Cell]:
    """All that are complete, by method and seed: of earlier calls too."""
    cells = []
    for path in (out / CELLS).glob("[!.]*.json"):
        content = read_json(path)
        looks = [Look(**look) for look in content["looks"]]
        cells.append(
            Cell(**{**content, "looks": looks, "consumed": [Consumed(**each) for each in content["consumed"]]})
        )
    order = list(METHODS)
    return sorted(cells, key=lambda cell: (order.index(cell.method), cell.seed))


def by_method(cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    """Each method's own, in the order of the cells."""
    return {
        name: [cell for cell in cells if cell.method == name] for name in dict.fromkeys(cell.method for cell in cells)
    }


def mean_steps(cells: Sequence[Cell]) -> float:
    """Of training, in all."""
    return float(np.mean([cell.looks[-1].steps for cell in cells]))


def finals(cells: Sequence[Cell], split: str = "heldout") -> np.ndarray:
    """(seeds, tasks) returns of the last episode."""
    return np.array([np.array(cell.splits[split])[:, -1] for cell in cells])


def finals_at(cells: Sequence[Cell], steps: float) -> np.ndarray:
    """(seeds, tasks) returns of the last episode on held-out tasks after so many env steps."""
    return np.array([final_at(cell, steps) for cell in cells])


def final_at(cell: Cell, steps: float) -> np.ndarray:
    """(tasks,): a straight line between two looks, and level before the first and after the last."""
    looked_after = [look.steps for look in cell.looks]
    curves = np.array([look.returns for look in cell.looks])[:, :, -1].T
    return np.array([np.interp(steps, looked_after, curve) for curve in curves])
