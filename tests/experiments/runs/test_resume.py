"""Runs that are resumed: what they keep, what they may change, and what is refused."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree
from typing import Any
from unittest.mock import patch

import pytest

import limbshift
from limbshift.envs.errors import InputError
from limbshift.experiments.cli import main, parse
from limbshift.experiments.configs import TrainConfig
from limbshift.experiments.logs.metrics_file import read_metrics
from limbshift.experiments.runs.resume import read_config
from limbshift.experiments.runs.session import Session
from limbshift.meta.rl2.trainer import Trainer

TRIAL_STEPS = 4 * 2 * 5
SIZES = ["--num-envs", "4", "--episodes", "2", "--horizon", "5", "--hidden-size", "8", "--wandb", "disabled"]


def train(run: Path, *options: str) -> int:
    """Begins a run of the tiniest size."""
    return main(["train", "HalfCheetahDir", "--run-dir", str(run), *SIZES, *options])


def resume(run: Path, *options: str) -> int:
    return main(["train", "--run-dir", str(run), "--resume", *options])


@pytest.fixture(scope="module", autouse=True)
def no_video() -> Iterator[None]:
    """Spares the tests a video of each training."""
    with patch("limbshift.experiments.runs.session.render_policy", return_value=False):
        yield


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory, no_video: None) -> Path:
    """A run of two iterations, whose seed is not the default's."""
    path = tmp_path_factory.mktemp("runs") / "begun"
    assert train(path, "--steps", str(2 * TRIAL_STEPS), "--seed", "3", "--eval-minutes", "7") == 0
    return path


@pytest.fixture
def run(begun: Path, tmp_path: Path) -> Path:
    """A copy of that run."""
    return Path(copytree(begun, tmp_path / "run"))


def config_of(run: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run / "config.json").read_text())
    return content


def edit_config(run: Path, **changes: Any) -> None:
    (run / "config.json").write_text(json.dumps(config_of(run) | changes))


def last_step(run: Path) -> float:
    step = read_metrics(run / "metrics.jsonl")[-1]["step"]
    assert step is not None
    return step


def everything(run: Path) -> dict[str, tuple[bytes, int]]:
    """Content and time of each file."""
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in run.iterdir()}


def test_what_is_not_given_stays(run: Path) -> None:
    before = config_of(run)
    assert resume(run, "--steps", str(3 * TRIAL_STEPS)) == 0
    changed = {"steps": 3 * TRIAL_STEPS, "resume": True, "run_dir": str(run)}
    assert config_of(run) == before | changed
    assert (before["seed"], before["eval_minutes"], before["wandb"], before["steps"]) == (3, 7.0, "disabled", 80)
    assert last_step(run) == 3 * TRIAL_STEPS


def test_a_run_by_minutes_goes_on_to_its_own_minutes(tmp_path: Path) -> None:
    """As after Ctrl-C: 20 of 60 minutes are spent, more than the default of 10."""
    run = tmp_path / "run"
    assert train(run, "--steps", "1") == 0
    edit_config(run, minutes=60.0, steps=None)
    spent = Trainer.load_state_dict

    def after_20_minutes(trainer: Trainer, state: dict[str, Any]) -> None:
        spent(trainer, state)
        trainer.progress = trainer.progress._replace(seconds=20 * 60.0)

    def one_iteration_of_40_minutes(trainer: Trainer, share: float) -> Any:
        iteration = iterate(trainer, share)
        shares.append(share)
        trainer.progress = trainer.progress._replace(seconds=60 * 60.0)
        return iteration

    iterate, shares = Trainer.iterate, list[float]()
    with (
        patch.object(Trainer, "load_state_dict", after_20_minutes),
        patch.object(Trainer, "iterate", one_iteration_of_40_minutes),
    ):
        assert resume(run) == 0
    assert shares == [pytest.approx(1 / 3)]
    assert (config_of(run)["minutes"], config_of(run)["steps"]) == (60.0, None)


def test_a_run_by_steps_goes_on_to_its_own_steps(run: Path) -> None:
    edit_config(run, steps=4 * TRIAL_STEPS)  # as after Ctrl-C at half of the budget
    assert resume(run) == 0
    assert last_step(run) == 4 * TRIAL_STEPS


def test_a_given_budget_replaces_that_of_the_run(tmp_path: Path) -> None:
    """Steps on a run by minutes, and the other way round."""
    run = tmp_path / "run"
    assert train(run, "--minutes", "0.000001") == 0
    assert resume(run, "--steps", str(2 * TRIAL_STEPS)) == 0
    assert (config_of(run)["minutes"], config_of(run)["steps"]) == (None, 2 * TRIAL_STEPS)
    assert last_step(run) == 2 * TRIAL_STEPS
    config = parse(["train", "--resume", "--run-dir", str(run), "--minutes", "0.5"])
    assert isinstance(config, TrainConfig)
    assert (config.minutes, config.steps) == (0.5, None)


def test_after_a_doubled_budget_half_of_it_is_spent(run: Path) -> None:
    """The trainer is told so; that its learning rate does not rise again is tested with the trainer."""
    with patch.object(Trainer, "iterate", autospec=True, side_effect=Trainer.iterate) as iterate:
        assert resume(run, "--steps", str(4 * TRIAL_STEPS)) == 0
    assert [call.args[1] for call in iterate.call_args_list] == [0.5, 0.75]


@pytest.mark.parametrize(
    ("budget", "given", "message"),
    [
        ({}, [], "the budget of 80 steps is spent; give a larger --steps to go on"),
        ({}, ["--steps", "50"], "the budget of 50 steps is spent; give a larger --steps to go on"),
        (
            {"steps": None, "minutes": 1e-6},
            [],
            "the budget of 1e-06 minutes is spent; give a larger --minutes to go on",
        ),
        ({"steps": 10**6, "minutes": 1e-6}, [], "the budget of 1e-06 minutes is spent; give a larger --minutes to go"),
    ],
)
def test_a_spent_budget_is_told_and_nothing_is_changed(
    run: Path, capsys: pytest.CaptureFixture[str], budget: dict[str, Any], given: list[str], message: str
) -> None:
    edit_config(run, **budget)
    before = everything(run)
    capsys.readouterr()
    assert resume(run, *given) == 0
    captured = capsys.readouterr()
    assert message in captured.out
    assert captured.out.count("\n") == 1
    assert not captured.err
    assert everything(run) == before


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--seed", "0"], "seed is 0, expected 3"),  # 0 is the default
        (["--num-envs", "64"], "num_envs is 64, expected 4"),  # and so is 64
        (["--num_envs=64"], "num_envs is 64, expected 4"),
        (["--no-memory"], "no_memory is True, expected False"),
        (["--ppo.learning-rate", "0.1"], "ppo.learning_rate is 0.1, expected 0.0007"),
        (["--robot", "other.xml"], "robot is other.xml, expected the default"),
        (["HalfCheetahVel"], "family is HalfCheetahVel, expected HalfCheetahDir"),
    ],
)
def test_a_contradiction_is_refused_in_one_line(
    run: Path, capsys: pytest.CaptureFixture[str], given: list[str], message: str
) -> None:
    before = everything(run)
    capsys.readouterr()
    assert resume(run, *given) == 2
    captured = capsys.readouterr()
    assert captured.err == f"limbshift: {message} as the run was begun with\n"
    assert everything(run) == before


def test_what_agrees_with_the_run_may_be_said_again(run: Path) -> None:
    assert resume(run, "HalfCheetahDir", "--steps", str(3 * TRIAL_STEPS), "--seed", "3", "--num-envs", "4") == 0
    assert last_step(run) == 3 * TRIAL_STEPS


def test_a_switch_that_is_off_agrees_too(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert resume(run, "--no-overlap", "--steps", str(3 * TRIAL_STEPS)) == 0
    assert last_step(run) == 3 * TRIAL_STEPS
    assert resume(run, "--overlap", "--steps", str(4 * TRIAL_STEPS)) == 2
    assert "overlap is True, expected False as the run was begun with" in capsys.readouterr().err


def test_how_it_is_watched_and_where_it_runs_may_change(run: Path) -> None:
    changes = ["--device", "cpu", "--wandb", "disabled", "--eval-minutes", "1", "--video-minutes", "2"]
    assert resume(run, "--steps", "90", *changes) == 0
    assert (config_of(run)["eval_minutes"], config_of(run)["video_minutes"]) == (1.0, 2.0)


def test_a_config_without_newer_options_takes_their_defaults(run: Path) -> None:
    content = config_of(run)
    for name in ("shift_probability", "cell", "family_file"):
        del content[name]
    del content["ppo"]["final_task_coef"]
    (run / "config.json").write_text(json.dumps(content))
    assert resume(run, "--steps", str(3 * TRIAL_STEPS)) == 0
    assert config_of(run)["cell"] == "lstm"
    assert config_of(run)["ppo"]["final_task_coef"] == 0.0


def test_a_run_that_is_older_than_pieces_goes_on_by_whole_trials(run: Path) -> None:
    content = config_of(run)
    del content["ppo"]["sequence_length"]
    (run / "config.json").write_text(json.dumps(content))
    assert read_config(run).ppo.sequence_length is None


def test_a_run_that_is_older_than_belief_networks_has_none(tmp_path: Path) -> None:
    """Even of a family whose controllers have one by default."""
    (tmp_path / "config.json").write_text(json.dumps({"family": "AntDir"}))
    assert read_config(tmp_path).belief_size == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": "red"}, "config.json holds an unknown 'colour'\n"),
        ({"ppo": {"colour": "red"}}, "config.json holds an unknown 'colour'\n"),
        ({"ppo": {"clip_coeff": 1}}, "holds an unknown 'clip_coeff': did you mean clip_coef?\n"),
        ({"ppo": 3}, "config.json is 3, expected an object\n"),
        ({"ppo": {"learning_rate": -1.0}}, "config.json: learning_rate is -1.0, expected a number above 0\n"),
        ({"num_envs": "four"}, "config.json: num_envs is 'four', expected a whole number\n"),
        ({"num_envs": 2.5}, "num_envs is 2.5, expected a whole number\n"),
        ({"num_envs": 10**12}, "num_envs is 1000000000000, expected at most 1000000\n"),
        ({"seed": -1}, "seed is -1, expected a number from 0 to 4294967295\n"),
        ({"physics": "bullet"}, "physics is 'bullet', expected one of mujoco, warp\n"),
        ({"no_memory": "no"}, "no_memory is 'no', expected True or False\n"),
        ({"run_dir": [1]}, "run_dir is [1], expected a path\n"),
    ],
)
def test_a_config_that_is_no_config_is_refused(
    run: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any], message: str
) -> None:
    edit_config(run, **change)
    capsys.readouterr()
    assert resume(run, "--steps", "200") == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_anew(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for run in (whole, killed):
        assert train(run, "--steps", "80", "--seed", "7") == 0
    for path in (*killed.glob("checkpoint*"), killed / "controller.safetensors"):
        path.unlink()
    assert resume(killed) == 0
    assert (killed / "controller.safetensors").is_file()
    timeless = [
        [{name: value for name, value in row.items() if "minutes" not in name and "speed" not in name} for row in rows]
        for rows in (read_metrics(run / "metrics.jsonl") for run in (whole, killed))
    ]
    assert timeless[0] == timeless[1]


@pytest.mark.parametrize("name", ["config.json", "metrics.jsonl"])
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_never_ends_is_not_read(run: Path, capsys: pytest.CaptureFixture[str], name: str, kind: str) -> None:
    (run / name).unlink()
    if kind == "pipe":
        os.mkfifo(run / name)
    else:
        (run / name).symlink_to("/dev/zero")
    capsys.readouterr()
    assert resume(run, "--steps", "200") == 2
    error = capsys.readouterr().err
    assert f"{name} is no regular file, expected" in error
    assert error.count("\n") == 1


def test_rows_that_are_no_rows_are_dropped_however_deep(run: Path) -> None:
    with (run / "metrics.jsonl").open("ab") as metrics:
        metrics.write(b"[" * 200_000 + b"\n")
    assert resume(run, "--steps", "200") == 0
    assert read_metrics(run / "metrics.jsonl")[-1]["step"] == last_step(run)


@pytest.mark.parametrize("name", ["a\udcffb", "a\nb"])
def test_a_directory_must_have_a_name_that_can_be_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert main(["train", "HalfCheetahDir", "--run-dir", str(tmp_path / name), "--steps", "1"]) == 2
    error = capsys.readouterr().err
    assert "holds control characters, or bytes that are no UTF-8, expected a path" in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_run_to_resume_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "HalfCheetahDir", "--resume"]) == 2
    assert capsys.readouterr().err == "limbshift: run_dir is missing, expected the directory of the run to resume\n"


def test_in_python_too_what_is_given_counts_and_defaults_do_not(run: Path) -> None:
    assert limbshift.train(run_dir=str(run), resume=True, steps=3 * TRIAL_STEPS) == run
    assert last_step(run) == 3 * TRIAL_STEPS
    with pytest.raises(InputError, match="seed is 0, expected 3 as the run was begun with"):
        limbshift.train(run_dir=run, resume=True, seed=0, steps=200)
    with pytest.raises(InputError, match="family is HalfCheetahVel, expected HalfCheetahDir"):
        limbshift.train("HalfCheetahVel", run_dir=run, resume=True)


def test_the_last_look_and_video_are_taken_once(tmp_path: Path) -> None:
    """Every iteration is due for a look, the last one too."""
    with patch.object(Session, "_film", autospec=True) as film:
        assert train(tmp_path / "run", "--steps", "80", "--eval-minutes", "1e-9", "--video-minutes", "1e-9") == 0
    rows = read_metrics(tmp_path / "run" / "metrics.jsonl")
    looks = [row["step"] for row in rows if "validation/return_episode_1" in row]
    assert looks == [TRIAL_STEPS, 2 * TRIAL_STEPS]
    assert film.call_count == 2
