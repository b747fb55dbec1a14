"""Tuning, and the presets that come of it."""

import functools
import itertools
import json
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import Any
from unittest.mock import patch

import optuna
import pytest
import yaml

from limbshift.envs.catalogue import make_family
from limbshift.experiments.cli import main, parse
from limbshift.experiments.commands.tune import JudgedTraining, default_settings, train_once
from limbshift.experiments.comparison.config import TuneConfig
from limbshift.experiments.configs import TrainConfig
from limbshift.experiments.runs.presets import FORMAT
from limbshift.meta.rl2.config import PPOConfig

SHAPE = ["--num-envs", "8", "--episodes", "2", "--horizon", "5", "--tasks", "4"]


@pytest.fixture(autouse=True, scope="module")
def steady_clock() -> Iterator[None]:
    """A tenth of a second between glances at the clock, so that a slow machine trains as long as a fast one."""
    ticks = itertools.count()
    with patch(
        "limbshift.experiments.commands.tune.JudgedTraining",
        functools.partial(JudgedTraining, clock=lambda: next(ticks) / 10),
    ):
        yield


@pytest.fixture(scope="module")
def preset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a few short trainings of the smallest family give."""
    out = tmp_path_factory.mktemp("tune") / "preset.json"
    arguments = ["--minutes", "0.03", "--trial-minutes", "0.02", "--algorithms", "lstm", "gru", "no-memory"]
    assert main(["tune", "InvertedPendulumBody", "--out", str(out), *arguments, *SHAPE]) == 0
    return out


def test_the_best_settings_become_a_preset(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where each training returns how little its learning rate is off 1e-3, in hundredths of that, and the second is
    given up.
    """
    tried: list[dict[str, Any]] = []

    def train_once(settings: dict[str, Any], config: object, family: object, trial: optuna.Trial) -> float:
        tried.append(settings)
        trial.report(-1000.0, 1)
        if len(tried) == 2:
            raise optuna.TrialPruned
        return off(settings)

    def off(settings: dict[str, Any]) -> float:
        return -abs(float(settings["ppo.learning_rate"]) * 1e5 - 100)

    monkeypatch.setattr("limbshift.experiments.commands.tune.train_once", train_once)
    monkeypatch.setattr("limbshift.experiments.commands.tune.monotonic", lambda: 1e9 if len(tried) == 6 else 0.0)
    out = tmp_path / "preset.json"
    assert main(["tune", "HalfCheetahDir", "--out", str(out), *SHAPE]) == 0
    assert tried[0] == {
        "algorithm": "lstm", "hidden_size": 128, "gamma": 0.98, "initial_log_std": -0.5, "ppo.learning_rate": 7e-4,
        "ppo.clip_coef": 0.2, "ppo.gae_lambda": 0.95, "ppo.ent_coef": 0.002, "ppo.update_epochs": 4,
        "ppo.num_minibatches": PPOConfig.num_minibatches,
    }, "the defaults come first"  # fmt: skip
    best = max((settings for number, settings in enumerate(tried) if number != 1), key=off)
    assert (tried[0]["ppo.learning_rate"], len(tried)) != (best["ppo.learning_rate"], 1)
    content = json.loads(out.read_text())
    assert (content["format"], content["family"], content["return"]) == (FORMAT, "HalfCheetahDir", off(best))
    expected = {"cell": "lstm", "no_memory": False, **best}
    assert content["settings"] == {name: value for name, value in expected.items() if name != "algorithm"}
    printed = capsys.readouterr().out
    assert printed.startswith(
        "1: mean return -30.0, algorithm lstm, hidden_size 128, gamma 0.98, initial_log_std -0.5, learning_rate 0.0007,"
    )
    assert "\n2: given up at -1000.0, " in printed


class Doomed:
    """A trial that is to be given up at its third look."""

    def __init__(self) -> None:
        self.reported: list[int] = []

    def report(self, value: float, step: int) -> None:
        assert -200 < value < 0
        self.reported.append(step)

    def should_prune(self) -> bool:
        return len(self.reported) == 3


def test_a_loser_is_given_up() -> None:
    config = TuneConfig("HalfCheetahDir", trial_minutes=0.04, num_envs=8, episodes=2, horizon=5, num_tasks=4)
    family, trial = make_family("HalfCheetahVel"), Doomed()
    settings = default_settings(config, family)
    with pytest.raises(optuna.TrialPruned):
        train_once(settings, config, family, trial=trial)  # type: ignore[arg-type]  # all of a Trial that it uses
    assert trial.reported == [1, 2, 3]


def test_a_preset_trains(preset: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shape = ["--num-envs", "16", "--episodes", "2", "--horizon", "5"]
    arguments = ["--preset", str(preset), "--steps", "1", "--run-dir", str(run), "--wandb", "disabled", *shape]
    assert main(["train", "InvertedPendulumBody", *arguments]) == 0
    trained, settings = json.loads((run / "config.json").read_text()), json.loads(preset.read_text())["settings"]
    for name, value in settings.items():
        part, _, last = name.rpartition(".")
        assert (trained[part] if part else trained)[last] == pytest.approx(value)


def write_preset(path: Path, **settings: object) -> Path:
    path.write_text(json.dumps({"format": "limbshift-preset-1", "settings": settings}))
    return path


def test_what_is_given_beside_a_preset_goes_before(tmp_path: Path) -> None:
    preset = write_preset(tmp_path / "p.json", cell="gru", gamma=0.9, no_memory=False, **{"ppo.update_epochs": 7})
    config = parse(["train", "HalfCheetahDir", "--gamma", "0.5", "--preset", str(preset)])
    assert isinstance(config, TrainConfig)
    assert (config.cell, config.gamma, config.no_memory) == ("gru", 0.5, False)
    assert config.ppo == PPOConfig(update_epochs=7)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no preset at"),
        ("{", "is broken: EOF while parsing an object"),
        ('{"settings": {}}', "is a file without a format, expected limbshift-preset-1"),
        ('{"format": "limbshift-preset-1", "settings": {"cell": "rnn"}}', "--cell is 'rnn', expected one of lstm, gru"),
        ('{"format": "limbshift-preset-1", "settings": {"colour": 1}}', "sets 'colour', expected options of train"),
        ('{"format": "limbshift-preset-1", "settings": {"help": true}}', "sets 'help', expected options of train"),
        ('{"format": "limbshift-preset-1", "settings": {"allow_outside": true}}', "sets allow_outside, expected"),
        ('{"format": "a\\nb", "settings": {}}', "is 'a\\nb', expected limbshift-preset-1"),
        ('{"format": "limbshift-preset-1"}', "holds no settings"),
    ],
)
def test_a_broken_preset_is_one_line(
    content: str | None, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    preset = tmp_path / "preset.json"
    if content is not None:
        preset.write_text(content)
    assert main(["train", "HalfCheetahDir", "--preset", str(preset)]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1


def test_without_the_extra_the_command_to_install_it_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("limbshift.experiments.commands.tune.find_spec", lambda name: None)
    assert main(["tune", "HalfCheetahDir", "--out", str(tmp_path / "preset.json")]) == 2
    assert capsys.readouterr().err == "limbshift: tune needs optuna: pip install '.[tune]'\n"


@pytest.mark.parametrize("algorithm", ["ppo", "recurrent-ppo"])
def test_a_rival_is_tuned_for_a_comparison(algorithm: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "preset.json"
    arguments = ["--minutes", "0.01", "--trial-steps", "200", "--algorithms", algorithm, "--out", str(out), *SHAPE]
    assert main(["tune", "InvertedPendulumBody", *arguments]) == 0
    content = json.loads(out.read_text())
    assert (content["method"], content["steps"]) == (algorithm, 200)
    assert content["trainings"] >= 1
    assert content["search_minutes"] == 0.01
    assert "cell" not in content["settings"]
    assert f"--methods limbshift {algorithm} --presets {out}" in capsys.readouterr().out
    compare = ["--methods", algorithm, "--seeds", "1", "--steps", "50", "--presets", str(out), *SHAPE]
    assert main(["compare", "InvertedPendulumBody", "--out", str(tmp_path / "compared"), *compare]) == 0
    assert main(["train", "InvertedPendulumBody", "--preset", str(out)]) == 2
    assert f"{out} is for '{algorithm}', expected settings of limbshift's own training" in capsys.readouterr().err


def test_a_rival_is_tuned_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tune", "InvertedPendulumBody", "--algorithms", "lstm", "ppo"]) == 2
    assert capsys.readouterr().err == "limbshift: algorithms are lstm, ppo, expected ppo to be tuned alone\n"


def test_a_sweep_of_wandb_goes_through_the_same_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each end of each range, and each choice, is a command line of `train`."""
    path = tmp_path / "sweep.yaml"
    asked = ["--algorithms", "lstm", "gru", "--trial-steps", "5000", "--episodes", "3", "--wandb-sweep", str(path)]
    assert main(["tune", "AntDir", *asked]) == 0
    assert f"wandb sweep {path}" in capsys.readouterr().out
    content = yaml.safe_load(path.read_text())
    assert content["metric"] == {"name": "validation/return_episode_3", "goal": "maximize"}
    program, *arguments, given = content["command"]
    assert (program, given) == ("limbshift", "${args}")
    settings = default_settings(TuneConfig("AntDir"), make_family("AntDir"))
    names = {name.replace("_", "-") for name in settings} - {"algorithm"} | {"cell"}
    assert content["parameters"].keys() == names
    for name, part in content["parameters"].items():
        for value in part.get("values", [part.get("min"), part.get("max")]):
            config = parse([*arguments, f"--{name}={value}"])
            assert isinstance(config, TrainConfig)
            assert attrgetter(name.replace("-", "_"))(config) == value
            assert (config.family, config.steps, config.episodes, config.wandb) == ("AntDir", 5000, 3, "online")


def test_a_sweep_of_other_methods_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "sweep.yaml"
    assert main(["tune", "AntDir", "--algorithms", "ppo", "--wandb-sweep", str(path)]) == 2
    assert capsys.readouterr().err == "limbshift: algorithms are ppo, expected lstm or gru in a W&B sweep\n"
    assert not path.exists()
