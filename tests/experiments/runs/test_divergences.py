"""What a run keeps of simulations that blow up, and what goes wrong with numbers that are none."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import pytest
import torch
from torch import Tensor

import limbshift
from limbshift.envs.errors import RunFailure
from limbshift.envs.family import Motion
from limbshift.experiments.cli import main
from limbshift.experiments.logs.metrics_file import read_metrics
from limbshift.meta.checkpoint import load_checkpoint
from limbshift.meta.diverged_trial import DivergedTrial
from limbshift.meta.rl2.build import make_trainer
from limbshift.meta.rl2.experience.collector import Collector
from limbshift.meta.rl2.experience.storage import RolloutStorage
from tests.envs.runaway import Runaway
from tests.envs.sled import Sledding
from tests.gl import needs_gl

TINY: dict[str, Any] = {"num_envs": 4, "hidden_size": 8, "wandb": "disabled"}


@pytest.fixture(autouse=True)
def no_video(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limbshift.experiments.runs.session.render_policy", lambda *_, **__: False)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Five iterations, in each of which simulations diverge."""
    return limbshift.train(Runaway(), run_dir=tmp_path / "run", steps=5 * 4 * 30, **TINY)


def test_the_first_divergences_of_a_run_are_kept(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dumps = sorted(path.name for path in run.glob("diverged-*.safetensors"))
    assert dumps == ["diverged-120.safetensors", "diverged-240.safetensors", "diverged-360.safetensors"]
    rows = [row for row in read_metrics(run / "metrics.jsonl") if "train/divergences" in row]
    assert all(row["train/divergences"] for row in rows)
    trial = DivergedTrial.load(run / dumps[1])
    assert 4 <= trial.task_index < 8  # the second tasks of four simulations
    env = trial.env(Runaway())
    env.reset()
    diverged = [bool(env.step(action.unsqueeze(0)).diverged) for action in trial.actions]
    assert diverged.index(True) == len(trial.actions) - 1


@needs_gl
def test_a_divergence_is_filmed(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dump, out = run / "diverged-120.safetensors", tmp_path / "diverged.mp4"
    capsys.readouterr()
    own = ["--family-file", "tests.envs.runaway:Runaway"]
    assert main(["render", "--dump", str(dump), "--out", str(out), *own]) == 0
    steps = len(DivergedTrial.load(dump).actions)
    told = capsys.readouterr().out
    assert told.startswith(f"video in {out}: Runaway diverges at step {steps} of the trial; the task is mass ")
    assert imageio_ffmpeg.count_frames_and_secs(str(out))[0] == steps + 1


def test_a_dump_of_an_unknown_family_is_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["render", "--dump", str(run / "diverged-120.safetensors"), "--out", str(run / "x.mp4")]) == 2
    assert "expected its class as --family-file FILE.py:Runaway" in capsys.readouterr().err


class Spoilt(Sledding):
    """Push a sled; from its third trial on, one of four robots is paid by a number that is none."""

    name = "Spoilt"

    def reward(self, motion: Motion, task: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """price * v_x, and NaN or 0"""
        third = motion.physics.state("time").view(-1) > 0.35
        spoilt = torch.where(third & (task["price"] > 4), float("nan"), 0.0)
        return {"sold": task["price"] * motion.velocity, "spoilt": spoilt}


def test_a_reward_that_is_no_number_ends_the_run_and_is_named(tmp_path: Path) -> None:
    message = (
        r"^reward of Spoilt, variant default: spoilt is nan, expected a finite number; the task is mass [\d.]+,"
        r" price 4\.\d+$"
    )
    with pytest.raises(RunFailure, match=message):
        limbshift.train(Spoilt(), run_dir=tmp_path / "run", steps=10**6, **TINY)
    assert not (tmp_path / "run" / "controller.safetensors").exists()


def test_a_single_step_can_be_learnt_from(tmp_path: Path) -> None:
    """The standard deviation of one advantage is none."""
    run = limbshift.train(
        "HalfCheetahDir", run_dir=tmp_path / "run", steps=5, num_envs=1, episodes=1, horizon=1, wandb="disabled"
    )
    state = load_checkpoint(run / "checkpoint.pt")
    assert all(value.isfinite().all() for value in state["policy"].values())
    assert limbshift.load_controller(run).card.steps == 5


def spoil(monkeypatch: pytest.MonkeyPatch, iterations: range) -> None:
    """Makes one action of some iterations impossible, as an overflow does."""
    collect, calls = Collector.collect, iter(range(1000))

    def spoilt(collector: Collector, *, tells: bool) -> RolloutStorage:
        storage = collect(collector, tells=tells)
        if next(calls) in iterations:
            storage.log_prob[0, 0] = -torch.inf
        return storage

    monkeypatch.setattr(Collector, "collect", spoilt)


def test_updates_that_are_not_finite_are_skipped_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 4 trials in 4 minibatches, one in each of 4 epochs: in the second and third iteration, and then no more."""
    spoil(monkeypatch, range(1, 3))
    run = limbshift.train(Sledding(), run_dir=tmp_path / "run", steps=5 * 48, **TINY)
    rows = [row for row in read_metrics(run / "metrics.jsonl") if "train/skipped_minibatches" in row]
    assert [row["train/skipped_minibatches"] for row in rows] == [0, 4, 4, 0, 0]
    state = load_checkpoint(run / "checkpoint.pt")
    assert state["optimizer"]["state"][0]["step"] == 4 * 16 - 8
    assert limbshift.load_controller(run).card.steps == 240


def test_three_such_iterations_end_the_run_and_the_third_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("limbshift.experiments.runs.session.SAVE_SECONDS", 0.0)
    spoil(monkeypatch, range(2, 6))
    run = tmp_path / "run"
    with pytest.raises(RunFailure) as raised:
        limbshift.train(Sledding(), run_dir=run, steps=8 * 48, **TINY)
    assert str(raised.value) == (
        "gradients were not finite in 3 iterations in a row, expected finite ones: the last good checkpoint is"
        f" {run / 'checkpoint.pt'}, and the batch is in {run / 'unsound-batch.pt'}"
    )
    assert load_checkpoint(run / "checkpoint.pt")["progress"][0] == 4 * 48
    batch = load_checkpoint(run / "unsound-batch.pt")
    weights, skipped = zip(*(repeat(batch) for _ in range(2)), strict=True)
    assert skipped == (4, 4)  # the bad trial is met once in each epoch
    assert torch.equal(*weights)


def repeat(batch: dict[str, Any]) -> tuple[Tensor, int]:
    """The weights after the update of a batch, and how many minibatches it passed over."""
    trainer = make_trainer(Sledding(), num_envs=4, hidden_size=8, seed=5)
    update = trainer.learn_again(batch)
    assert update is not None
    trainer.env.close()
    return torch.cat([value.flatten() for value in trainer.policy.parameters()]), int(update.skipped)
