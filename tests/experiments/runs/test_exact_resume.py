"""A run that is stopped or killed, and resumed, is the run that never was."""

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from limbshift.experiments.cli import main
from limbshift.experiments.logs.metrics_file import read_metrics
from limbshift.experiments.runs.session import Session
from limbshift.meta import checkpoint
from limbshift.meta.rl2.trainer import Trainer
from tests.experiments.runs.comparing import assert_the_same_run

TRIAL_STEPS = 4 * 2 * 5
TINY = ["--num-envs", "4", "--episodes", "2", "--horizon", "5", "--hidden-size", "8", "--wandb", "disabled"]
OFTEN = ["--eval-minutes", "1e-9"]  # a look after each iteration: by the clock they would differ between any two runs


class Killed(BaseException):
    """Ends a training as SIGKILL does: nothing is saved."""


@pytest.fixture(autouse=True)
def no_video(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limbshift.experiments.runs.session.render_policy", lambda *_, **__: False)


def begin(run: Path, family: str, iterations: int, *options: str) -> list[str]:
    return ["train", family, "--run-dir", str(run), *TINY, *OFTEN, "--steps", str(iterations * TRIAL_STEPS), *options]


def resumed(run: Path) -> list[str]:
    return ["train", "--run-dir", str(run), "--resume"]


def dies_at(place: str, owner: object, call: int, *, before: Callable[..., object] | None = None) -> Any:
    """Patches a function so that its n-th call is the last thing that happens."""
    real, calls = getattr(owner, place), iter(range(1, 1000))

    def patched(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == call:
            if before:
                before()
            raise Killed
        return real(*args, **kwargs)

    return patch.object(owner, place, patched)


def interrupts_at(call: int) -> Any:
    """Patches the trainer so that Ctrl-C comes in its n-th iteration."""
    real, calls = Trainer.iterate, iter(range(1, 1000))

    def patched(trainer: Trainer, spent: float) -> Any:
        if next(calls) == call:
            os.kill(os.getpid(), signal.SIGINT)
        return real(trainer, spent)

    return patch.object(Trainer, "iterate", patched)


@pytest.mark.parametrize(
    ("family", "options"),
    [
        ("HalfCheetahLimbsDir", ["--shift-probability", "0.5"]),
        ("HalfCheetahHardware", ["--train-tasks", "6"]),
        ("HalfCheetahDir", ["--cell", "transformer", "--head", "hyper"]),
    ],
)
def test_a_run_killed_twice_and_stopped_once_is_the_run_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str, options: list[str]
) -> None:
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    assert main(begin(straight, family, 9, *options)) == 0
    monkeypatch.setattr("limbshift.experiments.runs.session.SAVE_SECONDS", 0.0)
    with dies_at("_save", Session, 3), pytest.raises(Killed):  # the third iteration's rows are written
        main(begin(broken, family, 9, *options))
    assert read_metrics(broken / "metrics.jsonl")[-1]["step"] == 3 * TRIAL_STEPS

    def leave_half() -> None:
        (broken / f".checkpoint-{secrets.token_hex(8)}.pt").write_bytes(b"half")

    with dies_at("_give_name", checkpoint, 4, before=leave_half), pytest.raises(Killed):
        main(resumed(broken))  # between the checkpoint and its other name
    with interrupts_at(2):
        assert main(resumed(broken)) == 0
    assert not list(broken.glob(".checkpoint-*"))
    assert len(read_metrics(broken / "metrics.jsonl")) < 2 * 9
    assert main(resumed(broken)) == 0
    assert_the_same_run(straight, broken)
    steps = [row["step"] for row in read_metrics(broken / "metrics.jsonl")]
    assert steps == [TRIAL_STEPS * number for number in range(1, 10) for _ in range(2)]  # an iteration and a look


def test_a_run_whose_newest_checkpoint_is_damaged_is_the_run_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    straight, damaged = tmp_path / "straight", tmp_path / "damaged"
    assert main(begin(straight, "HalfCheetahDir", 6)) == 0
    monkeypatch.setattr("limbshift.experiments.runs.session.SAVE_SECONDS", 0.0)
    with interrupts_at(4):
        assert main(begin(damaged, "HalfCheetahDir", 6)) == 0
    with (damaged / "checkpoint.pt").open("r+b") as file:
        file.truncate(5000)
    capsys.readouterr()
    assert main(resumed(damaged)) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith(f"{damaged / 'checkpoint.pt'} is broken, expected what a training saved: ")
    assert told[0].endswith(f". Going on from checkpoint-{3 * TRIAL_STEPS}.pt.")
    assert told[1].startswith(f"Meta-training on HalfCheetahDir: going on after {3 * TRIAL_STEPS:,} steps, 0.0 min: ")
    assert_the_same_run(straight, damaged)


def test_what_is_due_is_kept(tmp_path: Path) -> None:
    """Looks every 3 s of training, iterations of 2 s: after 4, 8 and 12 s, however the run is cut."""

    def iteration_of_2_seconds(trainer: Trainer, spent: float) -> Any:
        iteration = iterate(trainer, spent)
        trainer.progress = trainer.progress._replace(seconds=2.0 * trainer.progress.iterations)
        return iteration

    iterate, run = Trainer.iterate, tmp_path / "run"
    with patch.object(Trainer, "iterate", iteration_of_2_seconds):
        with interrupts_at(3):
            assert main([*begin(run, "HalfCheetahDir", 7), "--eval-minutes", "0.05"]) == 0
        assert main(resumed(run)) == 0
    looks = [row["step"] for row in read_metrics(run / "metrics.jsonl") if "validation/return_episode_1" in row]
    assert looks == [TRIAL_STEPS * iteration for iteration in (2, 4, 6, 7)]  # the last at the end


@pytest.mark.slow
def test_twenty_kills_change_nothing(tmp_path: Path) -> None:
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    quick = ["--ppo.update-epochs", "1", "--ppo.num-minibatches", "2"]
    options = begin(killed, "HalfCheetahLimbsDir", 300, *quick)[4:]
    program = [sys.executable, "-m", "tests.experiments.runs.killer"]
    root = Path(__file__).parents[3]
    torn = [
        int(
            subprocess.run(
                [*program, *arguments, *options], cwd=root, check=True, capture_output=True, text=True
            ).stdout
        )
        for arguments in ([str(killed), "20"], [str(straight), "0"])
    ]
    assert torn[0] >= 5  # so many kills came while a checkpoint was being written
    assert not list(killed.glob(".checkpoint-*"))
    assert_the_same_run(straight, killed)
