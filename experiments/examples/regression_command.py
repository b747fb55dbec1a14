"""The worked example: few-shot regression by two ways of meta-learning."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from limbshift.agents.atomic_write import check_writable, replacing
from limbshift.experiments.configs import RegressionConfig
from limbshift.experiments.examples.few_shot_regression import (
    EXAMPLES,
    KINDS,
    Kind,
    Learner,
    LSTMLearner,
    MAMLLearner,
    TaskSampler,
    meta_test,
    meta_train,
)
from limbshift.experiments.terminal import make_console
from limbshift.meta.threads import torch_threads

NUM_TASKS = 64
"""Functions in a step of meta-training."""
SHOWN = (0, 1, 2, 5, 10, EXAMPLES)
"""Numbers of examples seen, in the table."""


class Way(NamedTuple):
    """A way to learn to learn, and its settings."""

    name: str
    learner: Callable[[Kind], Learner]
    outer_lr: float
    """Adam's step size in meta-training."""


INNER_LRS: Mapping[Kind, float] = {"lines": 0.1, "sinusoids": 0.02}
"""MAML's step size on a function: the larger its values, the smaller."""
WAYS = (
    Way("LSTM", lambda kind: LSTMLearner(), 2e-2),
    Way("MAML", lambda kind: MAMLLearner(INNER_LRS[kind]), 5e-3),
)
Errors = dict[tuple[Kind, str], list[float]]
"""By kind of function and way, by examples seen."""


def run_regression(config: RegressionConfig, console: Console | None = None) -> Errors:
    """Meta-trains and meta-tests each way on each kind of function, and prints their errors: the command."""
    console = console or make_console()
    if config.plot:
        check_writable(config.plot)
    start = time.perf_counter()
    with torch_threads(1):  # more would wait for each other over so little
        errors = {(kind, way.name): learn(kind, way, config) for kind in KINDS for way in WAYS}
    console.print(error_table(errors))
    console.print(f"{time.perf_counter() - start:.0f} s", highlight=False)
    if config.plot:
        plot_errors(errors, config.plot)
        console.print(f"plot in {config.plot}", highlight=False, soft_wrap=True)
    return errors


def learn(kind: Kind, way: Way, config: RegressionConfig) -> list[float]:
    """Meta-trains on a kind of function, and meta-tests on functions never met."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        learner = way.learner(kind)
    sampler = TaskSampler(kind, "meta_train", config.seed)
    meta_train(learner, sampler, outer_lr=way.outer_lr, iterations=config.iterations, num_tasks=NUM_TASKS)
    return meta_test(learner, TaskSampler(kind, "meta_test", config.seed))


def error_table(errors: Errors) -> Table:
    """Returns a table of errors by the number of examples seen."""
    caption = "Squared error on the next point of functions never met, as a share of what their values vary."
    table = Table(title="few-shot regression", caption=caption, title_justify="left", caption_justify="left")
    table.add_column("examples seen", justify="right")
    for kind, way in errors:
        table.add_column(f"{kind}\n{way}", justify="right")
    for seen in SHOWN:
        table.add_row(str(seen), *(f"{100 * curve[seen]:.1f} %" for curve in errors.values()))
    return table


def plot_errors(errors: Errors, path: Path) -> None:
    """Draws a panel for each kind of function, with a line for each way."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels = figure.subplots(1, len(KINDS), sharey=True)
    for panel, kind in zip(panels, KINDS, strict=True):
        for way in WAYS:
            panel.semilogy(errors[kind, way.name], label=way.name, marker="o", markersize=3)
        panel.set(title=kind, xlabel="examples seen", xticks=range(0, EXAMPLES + 1, 5))
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("squared error / variance")
    panels[0].legend(frameon=False)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=130)
