"""Trains what is missing of docs/results.md, one training on each core, and writes that page: `make results`."""

import sys
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

from rich.console import Console

from limbshift.agents.atomic_write import check_writable
from limbshift.envs.errors import InputError
from limbshift.experiments.cli import answer, taken
from limbshift.experiments.configs import Flag
from limbshift.experiments.jobs.engine import check_engine, open_engine
from limbshift.experiments.jobs.job import Engine, Job, keep_all
from limbshift.experiments.jobs.side_by_side import on_each_core
from limbshift.experiments.published.markdown import write_results
from limbshift.experiments.published.plan import ADAPTING, COMPARISONS, MILESTONES, OVERFITTING
from limbshift.experiments.runs.directory import locked
from limbshift.experiments.terminal import make_console


@dataclass(frozen=True)
class ResultsConfig:
    """Train all comparisons of docs/results.md that are not there yet, one on each core, and write the page."""

    out: Path = Path("docs/results")
    """Directory of the comparisons; those that are in it are not trained again, and interrupted ones go on."""
    page: Path = Path("docs/results.md")
    """The page; its pictures go into a directory beside it."""
    page_only: Flag = False
    """Train nothing: write the page from what is there."""
    engine: Engine = "local"
    """Where trainings run, each on one core: local, or ray for the machines of a Ray cluster (pip install
    '.[cluster]')."""


def run_results(config: ResultsConfig, console: Console | None = None) -> Path:
    """Runs the command and returns the page's path."""
    console = console or make_console()
    check_writable(config.page)
    if config.page_only:
        if not any(comparison.begun(config.out) for comparison in COMPARISONS):
            raise InputError(f"out is {config.out}, which holds no training, expected the directory of the comparisons")
    else:
        check_engine(config.engine)
        planned = (*COMPARISONS, *ADAPTING, *OVERFITTING)
        with locked(config.out), open_engine(config.engine, on_each_core, console=console) as do:
            compared = [pair for each in planned for pair in each.jobs(config.out, console)]
            jobs: list[Job[Any]] = [job for _, job in sorted(compared, key=itemgetter(0))]  # all families, seed by seed
            jobs += [job for milestone in MILESTONES for job in milestone.jobs(config.out, config.engine)]
            keep_all(do(jobs))
    write_results(config.out, config.page)
    console.print(f"page in {config.page}", highlight=False, soft_wrap=True)
    return config.page


if __name__ == "__main__":
    COMMAND = "python -m limbshift.experiments.published.run"
    sys.exit(answer(lambda: run_results(taken(ResultsConfig, sys.argv[1:], command=COMMAND))))
