"""`limbshift.train` as Python sees it."""

import dataclasses
import inspect
import os
import signal
import threading
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

import limbshift
from limbshift.experiments.commands.train import run_training
from limbshift.experiments.configs import TrainConfig
from limbshift.experiments.runs.interrupt import graceful_interrupt
from limbshift.meta.rl2.config import PPOConfig
from limbshift.meta.rl2.trainer import Trainer

TINY: dict[str, Any] = {"num_envs": 4, "episodes": 2, "horizon": 5, "hidden_size": 8, "wandb": "disabled"}


@pytest.fixture(autouse=True)
def no_video(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limbshift.experiments.runs.session.render_policy", lambda *_, **__: False)


def defaults_of_the_configuration() -> dict[str, object]:
    """By name; without the preset, which is a file of arguments for the command line."""
    config = TrainConfig("HalfCheetahDir")
    return {name: value for name, value in vars(config).items() if name != "preset"} | {"family": TrainConfig.family}


def test_the_signature_is_that_of_the_configuration() -> None:
    parameters = inspect.signature(limbshift.train).parameters
    assert {name: parameter.default for name, parameter in parameters.items()} == defaults_of_the_configuration()
    family, *others = parameters.values()
    assert family.name == "family"
    assert {parameter.kind for parameter in others} == {inspect.Parameter.KEYWORD_ONLY}


def test_an_unknown_argument_is_an_error_of_train_itself() -> None:
    with pytest.raises(TypeError, match=r"^train\(\) got an unexpected keyword argument 'minuts'") as raised:
        limbshift.train("HalfCheetahDir", minuts=3)  # type: ignore[call-arg]
    assert "TrainConfig" not in str(raised.value)


def test_a_path_may_be_a_string(tmp_path: Path) -> None:
    run = limbshift.train("HalfCheetahDir", run_dir=str(tmp_path / "run"), steps=1, **TINY)
    assert run == tmp_path / "run"
    assert limbshift.evaluate(str(run), num_tasks=2).num_tasks == 2
    assert limbshift.load_controller(str(run)).card.steps == 40


def test_settings_of_ppo_are_given_as_an_object(tmp_path: Path) -> None:
    with patch.object(Trainer, "iterate", autospec=True, side_effect=Trainer.iterate) as iterate:
        limbshift.train("HalfCheetahDir", run_dir=tmp_path / "run", steps=1, ppo=PPOConfig(gae_lambda=0.9), **TINY)
    assert iterate.call_args.args[0].gae_lambda == 0.9


def test_a_thread_may_train(tmp_path: Path) -> None:
    """Python lets none but the main thread set signal handlers."""
    runs: list[Path] = []
    thread = threading.Thread(
        target=lambda: runs.append(limbshift.train("HalfCheetahDir", run_dir=tmp_path / "run", steps=1, **TINY))
    )
    before = signal.getsignal(signal.SIGINT)
    thread.start()
    thread.join()
    assert runs == [tmp_path / "run"]
    assert signal.getsignal(signal.SIGINT) is before


def test_whether_the_budget_was_reached_is_told(tmp_path: Path) -> None:
    iterate = Trainer.iterate

    def interrupted(trainer: Trainer, spent: float) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return iterate(trainer, spent)

    config = TrainConfig("HalfCheetahDir", steps=80, run_dir=tmp_path / "run", **TINY)
    with patch.object(Trainer, "iterate", interrupted):
        assert run_training(config) == (tmp_path / "run", False)
    assert run_training(dataclasses.replace(config, run_dir=tmp_path / "other")) == (tmp_path / "other", True)


def test_a_second_signal_interrupts_at_once() -> None:
    with graceful_interrupt() as interrupt:
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupt.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
