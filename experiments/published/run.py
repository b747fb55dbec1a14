"""Trains what is missing of docs/results.md, one training on each core, and writes that page: `make results`."""

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing.queues import Queue
from pathlib import Path

import torch
import tyro
from rich.console import Console

from limbshift.experiments.configs import Flag
from limbshift.experiments.published.markdown import write_results
from limbshift.experiments.published.plan import COMPARISONS, MILESTONES, OVERFITTING, Job
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


def run_results(config: ResultsConfig, console: Console | None = None) -> Path:
    """Runs the command and returns the page's path."""
    console = console or make_console()
    if not config.page_only:
        jobs = [job for comparison in (*COMPARISONS, *OVERFITTING) for job in comparison.jobs(config.out)]
        run_side_by_side([*jobs, *(milestone.job(config.out) for milestone in MILESTONES)])
    write_results(config.out, config.page)
    console.print(f"page in {config.page}", highlight=False, soft_wrap=True)
    return config.page


def run_side_by_side(jobs: Sequence[Job]) -> None:
    """Runs each job in turn on whichever core is free, alone on it, so that none takes another's time."""
    context = multiprocessing.get_context("spawn")
    cores = sorted(os.sched_getaffinity(0))
    free: Queue[int] = context.Queue()
    for core in cores:
        free.put(core)
    with ProcessPoolExecutor(len(cores), context, initializer=stay_on_one, initargs=(free,)) as pool:
        try:
            for job in as_completed([pool.submit(job) for job in jobs]):
                job.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def stay_on_one(free: "Queue[int]") -> None:
    """Gives a worker, as it begins, a core of its own."""
    os.sched_setaffinity(0, {free.get()})
    torch.set_num_threads(1)


if __name__ == "__main__":
    run_results(tyro.cli(ResultsConfig))
