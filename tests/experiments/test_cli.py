"""The command line: what it does, and what it says to bad input."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from safetensors.numpy import save_file

from limbshift.experiments.cli import main
from limbshift.experiments.logs.metrics_file import read_metrics
from limbshift.experiments.runs.trainers import trainer_of
from limbshift.experiments.usage_errors import MAX_LENGTH
from tests.gl import needs_gl

TINY = ["--num-envs", "4", "--episodes", "2", "--horizon", "5", "--hidden-size", "8", "--wandb", "disabled"]
TRIAL_STEPS = 4 * 2 * 5


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory after three iterations of training."""
    path = tmp_path_factory.mktemp("runs") / "tiny"
    assert main(["train", "HalfCheetahLimbs", "--steps", str(3 * TRIAL_STEPS), "--run-dir", str(path), *TINY]) == 0
    return path


def test_training_leaves_everything_that_a_run_holds(run: Path) -> None:
    config = json.loads((run / "config.json").read_text())
    assert config["family"] == "HalfCheetahLimbs"
    assert config["num_envs"] == 4
    rows = read_metrics(run / "metrics.jsonl")
    assert rows[-1]["step"] == 3 * TRIAL_STEPS
    assert {"train/return_episode_2", "loss/policy", "speed/steps_per_second"} <= rows[2].keys()
    learning = {f"train/{name}" for name in ("learning_rate", "grad_norm", "explained_variance", "reward_scale")}
    assert learning <= rows[2].keys()
    assert "validation/return_episode_1" in rows[-1]
    for name in ("checkpoint.pt", "controller.safetensors"):
        assert (run / name).stat().st_size > 1000


def test_resume_goes_on_to_the_new_total(tmp_path: Path) -> None:
    path = str(tmp_path / "run")
    assert main(["train", "HalfCheetahDir", "--steps", str(2 * TRIAL_STEPS), "--run-dir", path, *TINY]) == 0
    resumed = ["train", "HalfCheetahDir", "--steps", str(5 * TRIAL_STEPS), "--run-dir", path, "--resume"]
    assert main([*resumed, "--wandb", "disabled"]) == 0
    steps = [row["step"] for row in read_metrics(tmp_path / "run" / "metrics.jsonl") if "loss/total" in row]
    assert steps == [TRIAL_STEPS * number for number in (2, 3, 4, 5)]  # the first iteration has no losses


def test_a_resumed_run_keeps_to_its_few_tasks(tmp_path: Path) -> None:
    path = str(tmp_path / "run")
    command = ["train", "HalfCheetahLimbs", "--run-dir", path, "--train-tasks", "2"]
    assert main([*command, "--steps", "1", *TINY]) == 0
    resumed = ["train", "HalfCheetahLimbs", "--run-dir", path, "--resume", "--steps", "80", "--wandb", "disabled"]
    with patch("limbshift.experiments.commands.train.trainer_of", wraps=trainer_of) as made:
        assert main(resumed) == 0
    assert len(made.call_args.args[1].task_space.listed_tasks["train"]) == 2


def test_a_budget_below_one_iteration_is_rounded_up(tmp_path: Path) -> None:
    assert main(["train", "HalfCheetahDir", "--steps", "1", "--run-dir", str(tmp_path / "run"), *TINY]) == 0
    assert read_metrics(tmp_path / "run" / "metrics.jsonl")[0]["step"] == TRIAL_STEPS


@pytest.mark.parametrize("flag", ["--no-memory", "--observe-task", "--hide-reward"])
def test_what_the_policy_senses_is_chosen_by_a_flag(flag: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert main(["train", "HalfCheetahLimbs", "--steps", "1", "--run-dir", str(run), flag, *TINY]) == 0
    assert main(["evaluate", str(run), "--tasks", "3"]) == 0


def test_evaluation_writes_the_contracts_json_and_a_plot(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, plot = tmp_path / "a.json", tmp_path / "a.png"
    assert main(["evaluate", str(run), "--tasks", "5", "--json", str(out), "--plot", str(plot)]) == 0
    result = json.loads(out.read_text(), parse_constant=pytest.fail)
    assert np.shape(result["returns"]) == np.shape(result["falls"]) == (5, 2)
    assert len(result["tasks"]) == result["num_tasks"] == 5
    assert result["unseen"] is True
    assert (result["family"], result["split"], result["physics"]) == ("HalfCheetahLimbs", "heldout", "mujoco")
    for figures in (result, *result["controls"].values()):
        assert len(figures["iqm"]) == len(figures["mean"]) == len(figures["worst10"]) == len(figures["ci95"]) == 2
        assert "adaptation_time_s" in figures
    assert result["controls"].keys() == {"memory_off", "memory_wiped_each_episode", "random"}
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert "memory wiped" in capsys.readouterr().out


def test_the_table_says_that_a_run_of_a_moment_has_not_adapted(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(run), "--tasks", "5"]) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if "adapted" in line and "│" in line)
    assert [cell.strip() for cell in row.strip("│").split("│")] == ["adapted", "-", "", "", ""]


def test_the_same_seed_gives_the_same_evaluation(run: Path, tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        assert main(["evaluate", str(run), "--tasks", "4", "--sample", "--json", str(tmp_path / name)]) == 0
    assert (tmp_path / "a.json").read_text() == (tmp_path / "b.json").read_text()


def test_families_are_listed_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["families"]) == 0
    assert main(["families", "HalfCheetahVel"]) == 0
    printed = capsys.readouterr().out
    assert "HalfCheetahWiring" in printed
    assert "-|v_x - target_velocity| - 0.05 * sum(a^2)" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "a command is missing, expected one of demo, train"),
        (["fly"], "unknown command 'fly': expected one of demo, train"),
        (["trian", "HalfCheetahDir"], "unknown command 'trian': did you mean train?\n"),
        (["--version"], "unknown command '--version': expected one of demo, train"),
        (["train"], "FAMILY is missing, expected one that `limbshift families` lists, --robot or --family-file\n"),
        (["evaluate"], "CONTROLLER is missing: see limbshift evaluate --help\n"),
        (["compare"], "--out is missing: see limbshift compare --help\n"),
        (["compare", "HalfCheetahDir"], "--out is missing: see limbshift compare --help\n"),
        (["train", "HalfCheetahDir", "--minuts", "3"], "limbshift: unknown option --minuts: did you mean --minutes?\n"),
        (["train", "HalfCheetahDir", "--minuts=3"], "limbshift: unknown option --minuts: did you mean --minutes?\n"),
        (["render", "{run}", "--ppo.gamma", "1"], "unknown option --ppo.gamma: see limbshift render --help\n"),
        (["train", "HalfCheetahDir", "HalfCheetahVel"], "unexpected argument 'HalfCheetahVel': see limbshift train"),
        (["evaluate", "{run}", "--sample", "yes"], "unexpected argument 'yes': see limbshift evaluate --help\n"),
        (["train", "HalfCheetahDir", "--minutes"], "limbshift: --minutes needs a value: see limbshift train --help\n"),
        (["train", "HalfCheetahDir", "--minutes", "ten"], "limbshift: --minutes is 'ten', expected a number\n"),
        (["train", "--robot", "x", "--fall-height", "low"], "--fall-height is 'low', expected a number or none\n"),
        (["train", "HalfCheetahDir", "--ppo.vf-coef", "x"], "--ppo.vf-coef is 'x', expected a number\n"),
        (["evaluate", "{run}", "--tasks", "3.5"], "limbshift: --tasks is '3.5', expected a whole number\n"),
        (["tune", "HalfCheetahDir", "--algorithms", "lstm", "rnn"], "--algorithms is 'rnn', expected one of lstm"),
        (["tune", "HalfCheetahDir", "--algorithms"], "limbshift: algorithms is (), expected at least 1\n"),
        (["bench", "--worlds", "64", "many"], "--worlds cannot be '64 many': see limbshift bench --help\n"),
        (["bench", "--worlds"], "limbshift: worlds is (), expected at least 1\n"),
        (["demo", "--minutes", "0"], "limbshift: minutes is 0.0, expected a number above 0\n"),
        (["train", "HalfChetahDir"], "unknown task family 'HalfChetahDir': did you mean HalfCheetahDir?"),
        (["train", "HalfCheetahDir", "--minutes", "0"], "minutes is 0.0, expected a number above 0"),
        (["train", "HalfCheetahDir", "--steps", "-3"], "steps is -3, expected a number above 0"),
        (["train", "HalfCheetahDir", "--num-envs", "0"], "num_envs is 0, expected a number above 0"),
        (["train", "HalfCheetahDir", "--ppo.num-minibatches", "0"], "ppo.num_minibatches is 0, expected a number"),
        (["train", "HalfCheetahDir", "--initial-log-std", "9"], "initial_log_std is 9.0, expected a number from"),
        (["train", "HalfCheetahDir", "--device", "gpu"], "--device is 'gpu', expected one of auto, cpu, cuda\n"),
        (["train", "ReacherGoal", "--variant", "sparse"], "variant of ReacherGoal is 'sparse', expected one of"),
        (["evaluate", "Nobody"], "unknown controller 'Nobody': expected a run directory, a .safetensors file or"),
        (["evaluate", "HalfChetahDir"], "unknown controller 'HalfChetahDir': did you mean HalfCheetahDir?\n"),
        (["render", "runs/nothere"], "no run directory runs/nothere, expected one that `limbshift train` made\n"),
        (["evaluate", "{run}/.."], "holds no controller.safetensors, expected the directory of a run"),
        (["evaluate", "missing.safetensors"], "no controller at missing.safetensors"),
        (["evaluate", "{run}", "--tasks", "0"], "tasks is 0, expected a number above 0"),
        (["evaluate", "{run}", "--split", "test"], "split is 'test', expected one of train, heldout, validation"),
        (["evaluate", "{run}/config.json"], "truncated or no .safetensors file"),
        (["evaluate", "{run}", "--json", "{run}/config.json/a.json"], "cannot be written"),
        (["render", "{run}", "--out", "{run}/config.json/a.mp4"], "cannot be written"),
        (["train", "HalfCheetahLimbs", "--run-dir", "{run}"], "is not empty"),
        (["train", "HalfCheetahDir", "--run-dir", "{run}", "--resume"], "is HalfCheetahDir, expected HalfCheetahLimbs"),
        (["train", "HalfCheetahLimbs", "--run-dir", "{run}", "--resume", "--seed", "3"], "seed is 3, expected 0"),
        (["train", "HalfCheetahLimbs", "--run-dir", "{run}/none", "--resume"], "holds no config.json"),
        (["train", "HalfCheetahLimbs", "--run-dir", "{run}/config.json/below"], "cannot be written to"),
        (["families", "Foo"], "unknown task family 'Foo'"),
    ],
)  # fmt: skip
def test_bad_input_gets_one_line_and_status_2(
    arguments: list[str], message: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(path.name for path in run.iterdir())
    assert main([argument.format(run=run) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert "Config" not in captured.err
    if str(run) not in captured.err:
        assert len(captured.err) <= len("limbshift: \n") + MAX_LENGTH
    assert not captured.out
    assert sorted(path.name for path in run.iterdir()) == before


def test_paths_are_printed_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rich would take square brackets for its markup, and words in colons for emoji."""
    run = tmp_path / "[bold]run[red]:smile:"
    shape = ["--steps", "1", "--num-envs", "2", "--episodes", "1", "--horizon", "3", "--hidden-size", "4"]
    assert main(["train", "InvertedPendulumBody", "--run-dir", str(run), "--wandb", "disabled", *shape]) == 0
    assert str(run) in capsys.readouterr().out
    assert main(["evaluate", str(run), "--tasks", "2", "--json", str(run / "[/]a.json")]) == 0
    assert (run / "[/]a.json").is_file() or (run / "[" / "]a.json").is_file()


@pytest.mark.parametrize("path", ["a" * 300, "a" * 300 + "/b", "a/" + "b" * 300])
@pytest.mark.parametrize(
    "command",
    [
        ["families", "--picture"],
        ["evaluate", "HalfCheetahDir", "--json"],
        ["render", "HalfCheetahDir", "--out"],
        ["train", "HalfCheetahDir", "--run-dir"],
        ["train", "--robot"],
        ["compare", "HalfCheetahDir", "--out"],
        ["tune", "HalfCheetahDir", "--out"],
        ["regression", "--plot"],
        ["demo", "--out"],
        ["evaluate"],
    ],
    ids=" ".join,
)
def test_names_that_no_file_system_takes_are_refused_before_anything_is_made(
    command: list[str], path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*command, path]) == 2
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1
    assert not printed.out
    assert not list(tmp_path.iterdir())


def test_cuda_is_refused_where_there_is_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert main(["train", "HalfCheetahDir", "--device", "cuda", "--run-dir", str(tmp_path / "run")]) == 2
    assert "device is cuda, expected cpu" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_run_directory_in_use_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from limbshift.experiments.runs.directory import open_run

    with open_run(tmp_path / "run", resume=False):
        assert main(["train", "HalfCheetahDir", "--run-dir", str(tmp_path / "run"), *TINY]) == 2
    assert "is in use by another process" in capsys.readouterr().err


def test_a_foreign_safetensors_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_file({"weight": np.zeros(3)}, tmp_path / "foreign.safetensors")
    assert main(["evaluate", str(tmp_path / "foreign.safetensors")]) == 2
    assert "expected limbshift-controller-2" in capsys.readouterr().err


def test_ctrl_c_saves_and_exits_cleanly(tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = [
        sys.executable,
        "-m",
        "limbshift.experiments.cli",
        "train",
        "HalfCheetahDir",
        "--minutes",
        "5",
        "--run-dir",
        str(run),
    ]
    root = Path(__file__).parents[2]
    process = subprocess.Popen([*command, *TINY], cwd=root, stdout=subprocess.PIPE, text=True, env=os.environ)
    metrics = run / "metrics.jsonl"
    for _ in range(600):
        if metrics.exists() and metrics.stat().st_size:
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Interrupted: saving." in out
    assert (run / "controller.safetensors").exists()
    assert (run / "checkpoint.pt").exists()


@pytest.mark.parametrize("module", ["published.run", "published.catalogue", "benchmarks.gpu.page"])
def test_what_make_runs_takes_wrong_options(module: str) -> None:
    command = [sys.executable, "-m", f"limbshift.experiments.{module}", "--bogus"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert f"unknown option --bogus: see python -m limbshift.experiments.{module} --help" in done.stderr


@needs_gl
def test_a_film_that_is_terminated_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "limbshift.experiments.cli", "render", "HalfCheetahDir", "--tasks", "2"]
    with subprocess.Popen([*command, "--out", str(tmp_path / "film.mp4")], stderr=subprocess.PIPE, text=True) as film:
        while film.poll() is None and not [*tmp_path.iterdir()]:
            time.sleep(0.02)
        film.terminate()
        assert film.communicate()[1] == ""
    assert film.returncode == 128 + signal.SIGTERM
    assert [*tmp_path.iterdir()] == []
