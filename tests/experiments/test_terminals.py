"""Real commands where the terminal knows ASCII alone and OpenGL is not there, each in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

POOR = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "MUJOCO_GL": "no-such-thing", "WANDB_MODE": "disabled"}
EVALUATE = ("evaluate", "HalfCheetahDir", "--tasks", "2", "--horizon", "2")
TRAIN = ("train", "HalfCheetahDir", "--steps", "1", "--num-envs", "2", "--horizon", "2", "--hidden-size", "4")


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "limbshift.experiments.cli", *arguments]
    root = str(Path(__file__).resolve().parents[2])
    return subprocess.run(
        command, env={**os.environ, **POOR, "PYTHONPATH": root}, cwd=folder, capture_output=True, check=False
    )


@pytest.mark.parametrize("arguments", [("--help",), ("train", "--help"), ("families",), EVALUATE], ids=" ".join)
def test_a_command_prints_in_ascii(arguments: tuple[str, ...], tmp_path: Path) -> None:
    ended = run(*arguments, folder=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert ended.stdout.isascii()
    assert ended.stdout.strip()


def test_letters_that_are_missing_are_replaced_by_the_nearest(tmp_path: Path) -> None:
    """ "RL²" is in the help of --ppo.task-coef; a file's name is told in an error."""
    assert b"plain RL2" in run("train", "--help", folder=tmp_path).stdout
    ended = run("evaluate", "ü²—.safetensors", folder=tmp_path)
    assert ended.returncode == 2
    assert b"u?2?.safetensors" in ended.stderr


def test_training_needs_no_opengl(tmp_path: Path) -> None:
    ended = run(*TRAIN, "--run-dir", "run", folder=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert ended.stdout.isascii()
    (told,) = [line for line in ended.stdout.decode().splitlines() if line.startswith("no video: ")]
    assert "MUJOCO_GL is no-such-thing" in told
    rendered = run("render", "run", "--tasks", "1", "--horizon", "2", folder=tmp_path)
    assert rendered.returncode == 1
    assert rendered.stderr.decode().count("\n") == 1
