"""Kills a training again and again until it is through: python -m tests.experiments.runs.killer RUN KILLS OPTIONS…

Prints as JSON how many of the kills met a checkpoint that was being written.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch._dynamo  # noqa: F401 (what an optimiser imports, so that each process need not)

from limbshift.experiments.cli import main
from limbshift.experiments.runs import session


def begin(arguments: list[str]) -> int:
    """Starts a training in a process of its own, which saves after each iteration; returns its number."""
    child = os.fork()
    if child:
        return child
    session.SAVE_SECONDS, session.LOOK_TASKS = 0.0, 4
    vars(session)["render_policy"] = lambda *_, **__: False
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os._exit(main(arguments))


def half_written(run: Path) -> list[Path]:
    return list(run.glob(".checkpoint-*.pt"))


def kill(child: int, run: Path, chance: random.Random, *, writing: bool) -> None:
    """Kills a training that has gone on for a while; with `writing`, while a checkpoint is being written."""
    rows = run / "metrics.jsonl"
    before = rows.stat().st_size if rows.exists() else 0
    while not (run / "checkpoint.pt").exists() or rows.stat().st_size <= before:
        time.sleep(0.001)
    time.sleep(chance.uniform(0.0, 0.1))
    while writing and not half_written(run) and os.waitpid(child, os.WNOHANG) == (0, 0):
        pass
    os.kill(child, signal.SIGKILL)  # fails where the training is through already
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1])


def run_killed(run: Path, kills: int, options: list[str]) -> int:
    """Trains to the end, over so many kills; returns how many left a half-written checkpoint."""
    chance, torn = random.Random(0), 0
    arguments = ["train", "HalfCheetahLimbsDir", "--run-dir", str(run), *options]
    for number in range(kills):
        kill(begin(arguments), run, chance, writing=number % 2 == 1)
        torn += bool(half_written(run))
        arguments = ["train", "--run-dir", str(run), "--resume"]
    _, status = os.waitpid(begin(arguments), 0)
    assert os.waitstatus_to_exitcode(status) == 0
    return torn


if __name__ == "__main__":
    path, count, *given = sys.argv[1:]
    print(json.dumps(run_killed(Path(path), int(count), given)))
