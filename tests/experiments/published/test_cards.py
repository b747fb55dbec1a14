"""The card that is written beside a controller: what is told of it is what it was trained with, and does."""

from pathlib import Path

from limbshift.experiments.commands.evaluate import evaluate
from limbshift.experiments.commands.train import run_training
from limbshift.experiments.published.cards import CardConfig, ship
from limbshift.experiments.runs.controllers import load_controller
from limbshift.experiments.runs.resume import config_of


def test_a_card_tells_how_to_train_again_and_what_came_of_it(tmp_path: Path) -> None:
    settings = {"num_envs": 2, "horizon": 5, "hidden_size": 8, "steps": 1, "hide_reward": True}
    shape = {"run_dir": tmp_path / "run", "wandb": "disabled", "video_minutes": 99.0}
    run_training(config_of({"family": "HalfCheetahVel", **settings, **shape}))
    words = "In the video it hardly moves."
    path = ship(CardConfig(tmp_path / "run", where="two cores of this", words=words, out=tmp_path))
    text = " ".join(path.read_text().split())
    assert text.startswith("# HalfCheetahVel Meta-trained for 0 minutes (0.0 M env steps) on two cores of this")
    command = "limbshift train HalfCheetahVel --steps 1 --num-envs 2 --horizon 5 --hide-reward --hidden-size 8"
    assert f"in trials of 2 x 5 steps: `{command}`." in text
    result = evaluate(tmp_path / "run")
    assert f"| 2 | {result.iqm[1]:.1f} (" in text
    assert f"| {result.controls['random'].iqm[1]:.1f} (" in text
    beyond = evaluate(tmp_path / "run", split="extrapolation")
    assert f"(`--split extrapolation`) it returns {beyond.iqm[1]:.1f} (" in text
    assert "It falls in none of the episodes. Episode 1 does not come within a tenth of the last." in text
    assert text.endswith(words)
    assert load_controller(tmp_path / "HalfCheetahVel.safetensors").card.family == "HalfCheetahVel"
