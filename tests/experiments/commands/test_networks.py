"""Commands that are told which network is trained."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from limbshift.envs.catalogue import make_family
from limbshift.experiments.cli import main
from limbshift.experiments.commands.tune import preset_of
from limbshift.experiments.comparison.compare import family_of
from limbshift.experiments.comparison.config import CompareConfig
from limbshift.experiments.comparison.methods import METHODS
from limbshift.experiments.comparison.settings import setting_of, training_settings
from limbshift.experiments.configs import Algorithm, TrainConfig
from limbshift.experiments.runs.controllers import load_controller
from limbshift.experiments.runs.trainers import resolved

TINY = ["--num-envs", "4", "--episodes", "2", "--horizon", "5", "--hidden-size", "8", "--wandb", "disabled"]
WHOLE = "A transformer learns from whole trials: --ppo.sequence-length is for other cells"


@pytest.fixture(autouse=True)
def no_video(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limbshift.experiments.runs.session.render_policy", lambda *_, **__: False)


@pytest.mark.parametrize(("cell", "head"), [("transformer", "linear"), ("gru", "hyper")])
def test_a_network_is_trained_and_its_controller_plays_longer_trials(
    cell: str, head: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, out = tmp_path / "run", tmp_path / "out.json"
    network = ["--cell", cell, "--head", head]
    assert main(["train", "HalfCheetahDir", "--steps", "80", "--run-dir", str(run), *network, *TINY]) == 0
    assert capsys.readouterr().out.splitlines().count(WHOLE) == (cell == "transformer")
    spec = load_controller(run).policy.spec
    assert (spec.cell, spec.head, spec.context) == (cell, head, 10 if cell == "transformer" else 0)
    assert main(["evaluate", str(run), "--episodes", "5", "--tasks", "3", "--json", str(out)]) == 0
    assert np.shape(json.loads(out.read_text())["returns"]) == (3, 5)


def test_a_belief_network_is_trained_resumed_evaluated_and_exported(tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "out.json"
    budget = ["--steps", "80", "--run-dir", str(run), *TINY]
    assert main(["train", "HalfCheetahDir", "--belief-size", "4", *budget]) == 0
    assert main(["train", "--resume", "--run-dir", str(run), "--steps", "160", "--wandb", "disabled"]) == 0
    controller = load_controller(run)
    assert (controller.policy.spec.belief_size, controller.policy.spec.belief_dim, controller.card.steps) == (4, 1, 160)
    assert main(["evaluate", str(run), "--episodes", "5", "--tasks", "3", "--json", str(out)]) == 0
    assert np.shape(json.loads(out.read_text())["returns"]) == (3, 5)
    assert main(["export", str(run), "--out", str(tmp_path / "step.onnx")]) == 0


def test_a_search_among_candidates_is_trained_resumed_evaluated_and_exported(tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "out.json"
    budget = ["--steps", "80", "--run-dir", str(run), *TINY]
    assert main(["train", "AntGoal", "--variant", "sparse", *budget]) == 0
    assert main(["train", "--resume", "--run-dir", str(run), "--steps", "160", "--wandb", "disabled"]) == 0
    spec = load_controller(run).policy.spec
    assert (spec.belief_size, spec.belief_dim, spec.num_candidates) == (32, 2, 128)
    assert json.loads((run / "config.json").read_text())["ppo"]["told_share"] == 1.0
    assert main(["evaluate", str(run), "--episodes", "5", "--tasks", "3", "--json", str(out)]) == 0
    assert np.shape(json.loads(out.read_text())["returns"]) == (3, 5)
    assert main(["export", str(run), "--out", str(tmp_path / "step.onnx")]) == 0


def test_a_comparison_tells_who_is_guided(tmp_path: Path) -> None:
    """Of a family that guides nobody, and of methods that are told nothing, it tells nothing."""
    for variant, guided in (
        ("sparse", {"limbshift", "hyper", "belief", "oracle", "ceiling", "rma"}),
        ("default", {"belief"}),
    ):
        config = CompareConfig("AntGoal", variant=variant, out=tmp_path / "out")
        family = family_of(config)
        told = {
            method: training_settings(method, setting_of(method, 0, config, family=family, tuned={}), config)
            for method in METHODS
        }
        assert {method for method, settings in told.items() if "told_share" in settings["ppo"]} == guided
        searching = {method for method, settings in told.items() if "candidates" in settings}
        assert searching == guided - {"oracle", "ceiling", "rma"} - ({"belief"} if variant == "default" else set())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--observe-task"], "belief_size is 4, expected 0 for a policy that sees its task"),
        (["--no-memory"], "belief_size is 4, expected 0 for a policy without memory"),
        (["--cell", "transformer"], "belief_size is 4, expected 0 for a policy whose cell is transformer"),
    ],
)
def test_a_belief_network_that_cannot_be_is_refused(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main(["train", "HalfCheetahDir", "--belief-size", "4", "--run-dir", str(run), *options]) == 2
    assert capsys.readouterr().err == f"limbshift: {message}\n"
    assert not run.exists()


def test_a_comparison_tells_of_a_belief_network_where_there_is_one(tmp_path: Path) -> None:
    config = CompareConfig("HalfCheetahDir", out=tmp_path / "out", cell="transformer")
    told = {
        method: training_settings(method, setting_of(method, 0, config, family=family_of(config), tuned={}), config)
        for method in ("limbshift", "belief")
    }
    assert (told["belief"]["belief_size"], told["belief"]["ppo"]["told_share"]) == (64, 0.85)
    assert (told["belief"]["cell"], told["limbshift"]["cell"]) == ("lstm", "transformer")
    assert "belief_size" not in told["limbshift"]
    assert "told_share" not in told["limbshift"]["ppo"]


def test_a_comparison_gives_a_familys_own_belief_network_to_the_methods_that_have_one(tmp_path: Path) -> None:
    config = CompareConfig("AntDir", out=tmp_path / "out")
    family = family_of(config)
    found = {method for method in METHODS if setting_of(method, 0, config, family=family, tuned={}).belief_size == 64}
    assert found == {"limbshift", "hyper", "belief"}
    assert setting_of("limbshift", 0, config, family=family, tuned={"cell": "transformer"}).belief_size == 0


def test_a_familys_own_belief_network_is_kept_with_the_run(tmp_path: Path) -> None:
    """Nor has one who imitates, unless it is asked for."""
    family, cpu = make_family("AntDir"), torch.device("cpu")
    for options, expected in (
        ({}, 64),
        ({"belief_size": 4}, 4),
        ({"observe_task": True}, 0),
        ({"teacher": tmp_path}, 0),
        ({"teacher": tmp_path, "belief_size": 4}, 4),
    ):
        assert resolved(TrainConfig("AntDir", **options), family, cpu).belief_size == expected


def test_a_transformer_of_a_width_that_cannot_be_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    options = ["--cell", "transformer", "--hidden-size", "12", "--run-dir", str(run)]
    assert main(["train", "HalfCheetahDir", *options]) == 2
    told = "limbshift: hidden_size is 12, expected a multiple of 8 for a transformer\n"
    assert capsys.readouterr().err == told
    assert not run.exists()


@pytest.mark.parametrize(
    ("algorithm", "options"),
    [
        ("lstm", {"cell": "lstm", "no_memory": False}),
        ("gru", {"cell": "gru", "no_memory": False}),
        ("hyper", {"cell": "lstm", "head": "hyper", "no_memory": False}),
        ("transformer", {"cell": "transformer", "head": "linear", "no_memory": False}),
        ("no-memory", {"cell": "lstm", "no_memory": True}),
    ],
)
def test_an_algorithm_is_options_of_train(algorithm: Algorithm, options: dict[str, object]) -> None:
    preset = preset_of({"algorithm": algorithm, "gamma": 0.9}, {})
    assert (preset.method, preset.settings) == ("limbshift", {**options, "gamma": 0.9})


@pytest.mark.parametrize(
    ("method", "network"),
    [
        ("limbshift", ("gru", "linear")),
        ("hyper", ("gru", "hyper")),
        ("transformer", ("transformer", "linear")),
    ],
)
def test_a_training_of_a_comparison_tells_its_network(method: str, network: tuple[str, str], tmp_path: Path) -> None:
    config = CompareConfig("HalfCheetahDir", out=tmp_path / "out", cell="gru")
    setting = setting_of(method, 0, config, family=family_of(config), tuned={})
    told = training_settings(method, setting, config)
    assert (told["cell"], told["head"]) == network


def test_what_is_tuned_for_ours_leaves_other_networks_theirs(tmp_path: Path) -> None:
    config = CompareConfig("HalfCheetahDir", out=tmp_path / "out")
    tuned = {"cell": "gru", "head": "hyper", "hidden_size": 64}
    setting = setting_of("transformer", 0, config, family=family_of(config), tuned=tuned)
    assert (setting.cell, setting.head, setting.hidden_size) == ("transformer", "linear", 64)
