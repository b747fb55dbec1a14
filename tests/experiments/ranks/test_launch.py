"""`limbshift train --ranks`: processes of its own on this machine, from their start to their end."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import limbshift
from limbshift.envs.errors import InputError
from limbshift.experiments.logs.logger import METRICS_FILE
from limbshift.experiments.logs.metrics_file import read_metrics
from limbshift.meta.checkpoint import load_checkpoint
from tests.experiments.runs.comparing import assert_the_same_run

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
TINY: dict[str, Any] = {"num_envs": 4, "episodes": 2, "horizon": 5, "hidden_size": 8, "wandb": "disabled"}
OPTIONS = [word for name, value in TINY.items() for word in (f"--{name.replace('_', '-')}", str(value))]
OFTEN = ["--eval-minutes", "1e-9"]  # by the clock the looks would differ between any two runs
STEPS = 2 * 4 * 2 * 5
"""Of an iteration of two ranks."""


def begin(run: Path, *options: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "limbshift.experiments.cli", "train", "--run-dir", str(run), *options],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until_it_learns(run: Path) -> None:
    end = time.monotonic() + 120
    while not ((run / METRICS_FILE).exists() and len(read_metrics(run / METRICS_FILE)) > 3):
        assert time.monotonic() < end
        time.sleep(0.1)


def rank_of(launcher: "subprocess.Popen[str]", rank: int) -> int:
    """The number of a rank's process."""
    children = Path(f"/proc/{launcher.pid}/task").glob("*/children")
    (found,) = [
        int(pid)
        for each in children
        for pid in each.read_text().split()
        if f"RANK={rank}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    ]
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def test_python_starts_ranks_too_and_the_run_is_that_of_the_command(tmp_path: Path) -> None:
    run = limbshift.train("HalfCheetahDir", run_dir=tmp_path / "run", ranks=2, steps=2 * STEPS, **TINY)
    assert run == tmp_path / "run"
    assert limbshift.load_controller(run).card.steps == 2 * STEPS
    with pytest.raises(InputError, match=r"run directory .* is not empty, expected a new one"):
        limbshift.train("HalfCheetahDir", run_dir=tmp_path / "run", ranks=2, steps=2 * STEPS, **TINY)


def test_ctrl_c_saves_and_the_run_goes_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    options = ["HalfCheetahLimbsDir", "--ranks", "2", "--steps", str(40 * STEPS), *OFTEN, "--overlap", *OPTIONS]
    whole = begin(straight, *options)
    said = whole.communicate(timeout=240)
    assert (whole.returncode, said[1]) == (0, "")
    process = begin(stopped, *options)
    until_it_learns(stopped)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)
    assert (process.returncode, said[1]) == (0, "")
    assert said[0].endswith(f"Interrupted: saving.\nTo go on: limbshift train --resume --run-dir {stopped}\n")
    assert 3 <= load_checkpoint(stopped / "checkpoint.pt")["progress"][2] < 40
    process = begin(stopped, "--resume")
    said = process.communicate(timeout=240)
    assert (process.returncode, said[1]) == (0, "")
    assert said[0].startswith("2 ranks of 4 trials each, ")
    assert_the_same_run(straight, stopped)


@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_is_killed_ends_the_run_and_others_go_on_with_it(tmp_path: Path, rank: int) -> None:
    run = tmp_path / "run"
    process = begin(run, "HalfCheetahDir", "--ranks", "2", "--minutes", "10", *OFTEN, *OPTIONS)
    until_it_learns(run)
    other = rank_of(process, 1 - rank)
    os.kill(rank_of(process, rank), signal.SIGKILL)
    begun = time.monotonic()
    _, said = process.communicate(timeout=120)
    assert time.monotonic() - begun < 60
    assert process.returncode == 1
    assert re.fullmatch(
        rf"limbshift: rank {rank} of 2 (was ended by SIGKILL|ended without a word), expected .*\n", said
    )
    assert not alive(other)
    _, _, iterations = load_checkpoint(run / "checkpoint.pt")["progress"]
    steps = iterations * STEPS
    for ranks, warned in (("1", False), ("3", True)):  # of which there are more than cores
        steps += int(ranks) * STEPS // 2
        process = begin(run, "--resume", "--ranks", ranks, "--steps", str(steps))
        out, said = process.communicate(timeout=240)
        assert (process.returncode, said) == (0, "")
        assert ("fewer ranks are faster" in out) == (warned and (os.cpu_count() or 1) < 3)
        assert load_checkpoint(run / "checkpoint.pt")["progress"][0] == steps


def test_a_launcher_that_is_killed_leaves_no_ranks(tmp_path: Path) -> None:
    process = begin(tmp_path / "run", "HalfCheetahDir", "--ranks", "2", "--minutes", "10", *OPTIONS)
    until_it_learns(tmp_path / "run")
    ranks = [rank_of(process, rank) for rank in range(2)]
    process.kill()
    end = time.monotonic() + 60
    while any(alive(pid) for pid in ranks):
        assert time.monotonic() < end
        time.sleep(0.5)
    process.communicate(timeout=30)
