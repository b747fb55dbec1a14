"""What ends a training before its time, or gets in its way: signals, full disks, and nobody who listens."""

import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

import limbshift
from limbshift.envs.errors import RunFailure
from limbshift.experiments.cli import main
from limbshift.experiments.logs.logger import METRICS_FILE
from limbshift.experiments.logs.metrics_file import JsonlLogger, read_metrics
from limbshift.experiments.runs.directory import make_directory
from limbshift.experiments.runs.session import Session
from limbshift.meta.checkpoint import load_checkpoint
from limbshift.meta.rl2.trainer import Trainer

TRIAL_STEPS = 4 * 2 * 5
TINY: dict[str, Any] = {"num_envs": 4, "episodes": 2, "horizon": 5, "hidden_size": 8, "wandb": "disabled"}
OPTIONS = ["--num-envs", "4", "--episodes", "2", "--horizon", "5", "--hidden-size", "8", "--wandb", "disabled"]
ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def no_video(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limbshift.experiments.runs.session.render_policy", lambda *_, **__: False)


def interrupting(monkeypatch: pytest.MonkeyPatch, number: signal.Signals) -> None:
    """Makes a signal come in each iteration."""
    iterate = Trainer.iterate

    def interrupted(trainer: Trainer, spent: float) -> Any:
        os.kill(os.getpid(), number)
        return iterate(trainer, spent)

    monkeypatch.setattr(Trainer, "iterate", interrupted)


def full(*_: object, **__: object) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_in_a_loop_the_seeds_that_follow_do_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    interrupting(monkeypatch, number)

    def several_seeds() -> None:
        for seed in range(3):
            limbshift.train("HalfCheetahDir", run_dir=tmp_path / str(seed), seed=seed, steps=400, **TINY)

    with pytest.raises(KeyboardInterrupt, match="interrupted; saved in"):
        several_seeds()
    assert [path.name for path in tmp_path.iterdir()] == ["0"]
    assert limbshift.load_controller(tmp_path / "0").card.steps == TRIAL_STEPS


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_saves_after_the_iteration_and_exits_0(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    interrupting(monkeypatch, number)
    run = tmp_path / "run"
    assert main(["train", "HalfCheetahDir", "--run-dir", str(run), "--steps", "400", *OPTIONS]) == 0
    assert capsys.readouterr().out.endswith(
        f"Interrupted: saving.\nTo go on: limbshift train --resume --run-dir {run}\n"
    )
    assert load_checkpoint(run / "checkpoint.pt")["progress"][0] == TRIAL_STEPS
    looks = [row for row in read_metrics(run / METRICS_FILE) if "validation/return_episode_1" in row]
    assert not looks  # none was due, and a run that was not stopped has none either


def test_a_signal_while_a_look_is_taken_saves_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    look = Session._look

    def interrupted(*arguments: Any) -> bool:
        os.kill(os.getpid(), signal.SIGTERM)
        return look(*arguments) and False

    monkeypatch.setattr(Session, "_look", interrupted)
    run = tmp_path / "run"
    often = ["--eval-minutes", "1e-9"]
    assert main(["train", "HalfCheetahDir", "--run-dir", str(run), "--steps", "400", *often, *OPTIONS]) == 0
    assert load_checkpoint(run / "checkpoint.pt")["progress"][0] == TRIAL_STEPS


@pytest.mark.parametrize("during", ["_look", "_film"])
def test_a_signal_after_the_last_iteration_leaves_no_video(
    during: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All is saved by then, and the run is over."""

    def render(*_: object, **__: object) -> bool:
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("the signal ends it")

    look, run = Session._look, tmp_path / "run"

    def interrupted(*arguments: Any) -> bool:
        os.kill(os.getpid(), signal.SIGINT)
        return look(*arguments)

    if during == "_look":
        monkeypatch.setattr(Session, "_look", interrupted)
    monkeypatch.setattr("limbshift.experiments.runs.session.render_policy", render)
    assert main(["train", "HalfCheetahDir", "--run-dir", str(run), "--steps", "40", *OPTIONS]) == 0
    printed = capsys.readouterr().out
    assert ("Interrupted: saving." in printed) == (during == "_look")
    assert ("no video: interrupted" in printed) == (during == "_film")
    assert limbshift.load_controller(run).card.steps == TRIAL_STEPS


def test_a_budget_that_ends_before_anything_is_learnt_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main(["train", "HalfCheetahDir", "--run-dir", str(run), "--minutes", "1e-6", *OPTIONS]) == 0
    assert (
        "Nothing was learnt: the first iteration, which measures, takes 0 s of the budget's 0: a larger --minutes"
        in (" ".join(capsys.readouterr().out.split()))
    )
    assert main(["train", "HalfCheetahDir", "--run-dir", str(tmp_path / "other"), "--steps", "1", *OPTIONS]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert f"measures, takes {TRIAL_STEPS} steps of the budget's 1: a larger --steps" in printed
    assert printed.endswith(f"Trained: limbshift evaluate {tmp_path / 'other'} tells how it adapts")


def test_output_that_nobody_reads_ends_the_training_saved(tmp_path: Path) -> None:
    """As in `limbshift train … | head -1`."""
    run = tmp_path / "run"
    command = [sys.executable, "-m", "limbshift.experiments.cli", "train", "HalfCheetahDir", "--run-dir", str(run)]
    options = ["--minutes", "5", "--eval-minutes", "1e-9", *OPTIONS]
    said = tmp_path / "said"
    with (
        said.open("w") as errors,
        subprocess.Popen([*command, *options], cwd=ROOT, stdout=subprocess.PIPE, stderr=errors) as process,
    ):
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"Meta-training on HalfCheetahDir")
        process.stdout.close()
        assert process.wait(timeout=60) == 0
    assert said.read_text() == ""
    assert load_checkpoint(run / "checkpoint.pt")["progress"][0] >= TRIAL_STEPS


def test_directories_made_at_once_are_all_different(tmp_path: Path) -> None:
    made = list[Path]()
    together = threading.Barrier(8)

    def make() -> None:
        together.wait()
        made.append(make_directory(tmp_path / "runs" / "name"))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(path.name for path in made) == ["name", *(f"name-{number}" for number in range(2, 9))]


def test_two_trainings_of_one_second_have_directories_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clock:
        @staticmethod
        def now() -> "Clock":
            return Clock()

        def __format__(self, form: str) -> str:
            return "20260101-000000"

    monkeypatch.setattr("limbshift.experiments.commands.train.datetime", Clock)
    monkeypatch.chdir(tmp_path)
    made = [limbshift.train("HalfCheetahDir", steps=1, **TINY).name for _ in range(2)]
    assert made == ["HalfCheetahDir-20260101-000000", "HalfCheetahDir-20260101-000000-2"]


def test_a_full_disk_ends_a_run_in_one_line_and_leaves_its_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main(["train", "HalfCheetahDir", "--run-dir", str(run), "--steps", "80", *OPTIONS]) == 0
    controller = (run / "controller.safetensors").read_bytes()
    monkeypatch.setattr("limbshift.meta.checkpoint.replacing", full)
    capsys.readouterr()
    assert main(["train", "--run-dir", str(run), "--resume", "--steps", "120"]) == 1
    assert capsys.readouterr().err == (
        f"limbshift: {run} takes no checkpoint: No space left on device;"
        f" the last good checkpoint is {run / 'checkpoint.pt'}\n"
    )
    monkeypatch.undo()
    assert load_checkpoint(run / "checkpoint.pt")["progress"][0] == 80
    assert (run / "controller.safetensors").read_bytes() == controller


def test_a_disk_that_is_full_from_the_start_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("limbshift.experiments.runs.directory.replacing", full)
    run = tmp_path / "run"
    assert main(["train", "HalfCheetahDir", "--run-dir", str(run), "--steps", "1", *OPTIONS]) == 1
    assert capsys.readouterr().err == f"limbshift: a file in {run} could not be written: No space left on device\n"


def test_where_metrics_find_no_room_training_goes_on_and_rows_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write = os.write
    logger = JsonlLogger(tmp_path / METRICS_FILE)
    logger.log({"loss": 1.0}, 1)
    monkeypatch.setattr(os, "write", full)
    logger.log({"loss": 2.0}, 2)
    logger.log({"loss": 3.0}, 3)
    assert [row["step"] for row in read_metrics(tmp_path / METRICS_FILE)] == [1]
    monkeypatch.setattr(os, "write", lambda handle, content: write(handle, content[:7]))  # a little at a time
    logger.log({"loss": 4.0}, 4)
    logger.close()
    assert [row["loss"] for row in read_metrics(tmp_path / METRICS_FILE)] == [1.0, 2.0, 3.0, 4.0]
    (warning,) = caplog.messages
    assert warning == "metrics.jsonl could not be written (No space left on device); training goes on, its rows wait"


def test_where_a_video_finds_no_room_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("limbshift.experiments.runs.session.render_policy", full)
    run = tmp_path / "run"
    often = ["--video-minutes", "1e-9"]
    assert main(["train", "HalfCheetahDir", "--run-dir", str(run), "--steps", "80", *often, *OPTIONS]) == 0
    assert capsys.readouterr().out.count("no video: No space left on device") == 2
    assert load_checkpoint(run / "checkpoint.pt")["progress"][0] == 80


def limit_files() -> None:
    """Lets this process write files of 16 KiB at most: a checkpoint does not fit, all else does."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16384, 16384))


def test_a_real_refusal_of_the_system_is_told_in_one_line(tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-m", "limbshift.experiments.cli", "train", "HalfCheetahDir", "--run-dir", str(run)]
    ended = subprocess.run(
        [*command, "--steps", "40", *OPTIONS], cwd=ROOT, capture_output=True, text=True, preexec_fn=limit_files
    )
    assert ended.returncode == 1
    assert ended.stderr == f"limbshift: {run} takes no checkpoint: File too large; there is no checkpoint yet\n"
    assert not list(run.glob("*checkpoint*"))


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = limbshift.train("HalfCheetahDir", run_dir=tmp_path / "run", steps=40, **TINY)
    controller = (run / "controller.safetensors").read_bytes()
    iterate: Callable[..., Any] = Trainer.iterate

    def poisoned(trainer: Trainer, spent: float) -> Any:
        iteration = iterate(trainer, spent)
        trainer.policy.encoder.weight.data[0, 0] = float("nan")
        return iteration

    monkeypatch.setattr(Trainer, "iterate", poisoned)
    monkeypatch.setattr(Session, "_look", lambda *_: False)
    message = r"encoder\.weight holds nan, expected finite numbers; the last good checkpoint is .*/checkpoint\.pt$"
    with pytest.raises(RunFailure, match=message):
        limbshift.train(run_dir=run, resume=True, steps=80)
    assert (run / "controller.safetensors").read_bytes() == controller
    assert load_checkpoint(run / "checkpoint.pt")["progress"][0] == 40


@pytest.mark.parametrize("left", ["nothing", "a file"])
def test_a_directory_that_is_removed_is_not_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    run = tmp_path / "run"
    iterate: Callable[..., Any] = Trainer.iterate

    def removing(trainer: Trainer, spent: float) -> Any:
        if run.is_dir():
            shutil.rmtree(run)
            if left == "a file":
                run.touch()
        return iterate(trainer, spent)

    monkeypatch.setattr(Trainer, "iterate", removing)
    with pytest.raises(RunFailure, match=f"^{run} was removed while training, expected the run's directory$"):
        limbshift.train("HalfCheetahDir", run_dir=run, steps=40, **TINY)
    assert not run.is_dir()
