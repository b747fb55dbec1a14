"""Compares methods on one family: trains each, cell by cell, and tells what they returned on the same tasks."""

import math
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from agents.files import check_writable
from envs.errors import InputError
from envs.family import TaskFamily, make_family
from envs.trial_env import TrialEnv
from experiments.comparison_page import write_page
from experiments.configs import CompareConfig
from experiments.methods import METHODS, Setting
from experiments.watch import Look, MakeAct, Watch, returns_on
from meta.checkpoint import read_json, write_json
from meta.comparison import Score, normalised, score

LOOKS = 8
"""At a policy while it is being trained."""
TASK_SEED = 0
"""Which held-out tasks; not the seed of training."""
CONSUMED = (1, 2, 4, 10, 20)
"""Episodes after which those that adapt by gradient steps are looked at."""
ABOUT, RESULTS, PAGE, CELLS = "comparison.json", "results.json", "index.html", "cells"


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


def run_compare(config: CompareConfig, console: Console | None = None) -> Path:
    """The command. Returns the directory of the results."""
    console = console or Console()
    methods = open_comparison(config)
    for seed in range(config.seeds):
        for method in methods:
            ensure_cell(method, seed, config, console)
    finish_comparison(config.out)
    console.print(f"results in {config.out / RESULTS}, page in {config.out / PAGE}", highlight=False, soft_wrap=True)
    return config.out


def open_comparison(config: CompareConfig) -> list[str]:
    """Check what is asked and what the directory holds, before anything is trained. Returns the methods."""
    family = family_of(config)
    methods = checked_methods(config, family)
    check_writable(config.out / RESULTS)
    about = what_is_compared(config, family)
    check_same(config.out, about)
    write_json(config.out / ABOUT, about)
    return methods


def finish_comparison(out: Path) -> None:
    """Write results and page from all cells there are."""
    about, cells = read_json(out / ABOUT), read_cells(out)
    results = summarise_methods(cells)
    content = {**about, "methods": [asdict(result) for result in results], "cells": [asdict(cell) for cell in cells]}
    write_json(out / RESULTS, content)
    write_page(out / PAGE, about, results, cells)


def family_of(config: CompareConfig) -> TaskFamily:
    """The family, with the tasks to train on that are asked for."""
    return make_family(config.family, config.variant).with_train_tasks(config.train_tasks)


def checked_methods(config: CompareConfig, family: TaskFamily) -> list[str]:
    """The methods asked for, each once, and random actions."""
    episodes = config.episodes or family.episodes_per_trial
    for name in config.methods:
        if name not in METHODS:
            raise InputError(f"method is {name!r}, expected some of {', '.join(METHODS)}")
        needed = METHODS[name].needs
        if needed and not find_spec(needed):
            raise InputError(f"method {name} needs {needed}: pip install 'limbshift[rivals]'")
        if episodes < METHODS[name].min_episodes:
            raise InputError(f"episodes is {episodes}, expected at least {METHODS[name].min_episodes} for {name}")
    return list(dict.fromkeys((*config.methods, "random")))


def what_is_compared(config: CompareConfig, family: TaskFamily) -> dict[str, Any]:
    """All that must be the same in the cells of a comparison."""
    return {
        "family": family.name,
        "variant": family.variant,
        "version": version("limbshift"),
        "minutes": config.minutes,
        "num_envs": config.num_envs,
        "episodes": config.episodes or family.episodes_per_trial,
        "horizon": config.horizon or family.horizon,
        "tasks": config.tasks,
        "train_tasks": config.train_tasks,
        "cell": config.cell,
        "hide_reward": config.hide_reward,
        "first_order": config.first_order,
    }


def check_same(out: Path, about: dict[str, Any]) -> None:
    """InputError where the directory holds another comparison."""
    if not (out / ABOUT).is_file():
        return
    kept = read_json(out / ABOUT)
    for name, value in about.items():
        if kept.get(name) != value:
            raise InputError(f"{out} holds a comparison whose {name} is {kept.get(name)}, expected {value} as here")


def cell_file(out: Path, method: str, seed: int) -> Path:
    """Where a cell is kept."""
    return out / CELLS / f"{method}-{seed}.json"


def ensure_cell(method: str, seed: int, config: CompareConfig, console: Console | None = None) -> None:
    """Train a cell if it is not there; its file is written when it is complete. Random actions have one seed."""
    path = cell_file(config.out, method, seed)
    if path.is_file() or (method == "random" and seed > 0):
        return
    cell = train_cell(method, seed, config, family_of(config))
    write_json(path, asdict(cell), indent=None)
    final = finals([cell]).mean()
    spent = f"{cell.looks[-1].seconds:.0f} s, {cell.looks[-1].steps:,} steps"
    where = f"{config.out.name}: {method}, seed {seed}"
    (console or Console()).print(
        f"{where}: {spent}, return {final:.1f} in the last episode", highlight=False, soft_wrap=True
    )


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


def train_cell(name: str, seed: int, config: CompareConfig, family: TaskFamily) -> Cell:
    """Train, looking at held-out tasks on the way, and play all splits at the end."""
    method = METHODS[name]
    episodes, horizon = config.episodes or family.episodes_per_trial, config.horizon or family.horizon

    def trials(split: str, episodes: int = episodes) -> TrialEnv:
        return TrialEnv(family, config.tasks, episodes, horizon, split, TASK_SEED, method.observes_task)

    heldout = trials("heldout")
    watch = Watch(heldout, TASK_SEED, 60 * config.minutes * method.budget, LOOKS)
    setting = Setting(
        family, seed, config.num_envs, episodes, horizon, config.cell, config.hide_reward, config.first_order
    )
    make_act = method.train(setting, watch)
    heldout.close()
    returns = {split: split_returns(trials(split), make_act) for split in family.tasks.splits}
    consumed = [
        Consumed(count, [trial[-1] for trial in split_returns(trials("heldout", count + 1), make_act)])
        for count in (CONSUMED if method.by_gradient else ())
    ]
    return Cell(name, seed, cpu_model(), watch.looks, returns, consumed)


def cpu_model() -> str:
    """The name that Linux has for the processor; elsewhere its architecture."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def split_returns(env: TrialEnv, make_act: MakeAct) -> list[list[float]]:
    returns: list[list[float]] = returns_on(env, TASK_SEED, make_act).tolist()
    env.close()
    return returns


def summarise_methods(cells: Sequence[Cell]) -> list[MethodResult]:
    """In the order of the cells."""
    by_method = {
        name: [cell for cell in cells if cell.method == name] for name in dict.fromkeys(cell.method for cell in cells)
    }
    random = finals(by_method["random"])
    oracle = finals(by_method["oracle"]) if "oracle" in by_method else random
    first = next(iter(by_method.values()))

    def scored(returns: np.ndarray) -> Score | None:
        """None where there is no oracle, or one that has not learned more than random actions."""
        return score(normalised(returns, random, oracle)) if oracle.mean() > random.mean() else None

    results = []
    for name, own in by_method.items():
        steps = mean_steps(own)
        equal_steps = min(steps or math.inf, mean_steps(first))
        results.append(
            MethodResult(
                name,
                METHODS[name].description,
                steps,
                float(np.mean([cell.looks[-1].seconds for cell in own])),
                score(finals(own)),
                scored(finals(own)),
                scored(finals_at(own, equal_steps)),
                scored(finals_at(first, equal_steps)),
                {split: score(finals(own, split)).iqm for split in own[0].splits},
                [score(finals([cell])).iqm for cell in own],
            )
        )
    return results


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
