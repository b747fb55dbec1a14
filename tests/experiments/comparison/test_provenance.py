"""What stored trainings were made with, and what is not mixed in."""

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from limbshift.envs.errors import InputError
from limbshift.experiments import machine
from limbshift.experiments.comparison.compare import check_comparison, family_of, open_comparison
from limbshift.experiments.comparison.config import CompareConfig
from limbshift.experiments.comparison.provenance import Provenance, code_of, hash_of, provenance_of
from limbshift.experiments.comparison.settings import setting_of, training_settings
from limbshift.experiments.comparison.timed_training import HeldoutCurvePoint
from limbshift.experiments.comparison.training_run import TrainingRun, read_run, read_runs, run_file, write_run
from limbshift.experiments.machine import versions


def config(out: Path, **given: Any) -> CompareConfig:
    return CompareConfig("InvertedPendulumBody", out=out, methods=("limbshift", "maml", "ppo"), **given)


def stored(out: Path, method: str, **given: Any) -> TrainingRun:
    """Writes a training by these settings, and returns it."""
    own = config(out, **given)
    look = HeldoutCurvePoint(1.5, 10, [[0.125, 1.0]])
    setting = setting_of(method, 0, own, family=family_of(own), tuned={})
    provenance = provenance_of(training_settings(method, setting, own))
    run = TrainingRun(method, 0, "a CPU", [look], {"heldout": [[1.0, 2.0]]}, provenance=provenance)
    write_run(out, run)
    return run


def test_a_training_tells_what_it_was_made_with(tmp_path: Path) -> None:
    run = stored(tmp_path, "limbshift", minutes=3.0)
    (read,) = read_runs(tmp_path)
    assert read == run
    assert read.provenance
    assert read.provenance.versions == versions()
    assert read.provenance.processor == machine.cpu_model()
    settings = read.provenance.settings
    assert (settings["method"], settings["seed"], settings["minutes"], settings["episodes"]) == ("limbshift", 0, 3.0, 2)
    assert settings["parameters"].keys() == {each.name for each in family_of(config(tmp_path)).parameters}
    assert settings["ppo"]["learning_rate"] == 7e-4
    assert read.provenance.settings_hash == hash_of(settings)


def test_the_same_settings_go_on(tmp_path: Path) -> None:
    for method in ("limbshift", "maml", "ppo"):
        stored(tmp_path, method)
    check_comparison(config(tmp_path))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"minutes": 3.0}, "maml-0.json was trained with minutes 3.0, expected 2.0 as here: remove it"),
        ({"first_order": True}, "maml-0.json was trained with maml {'inner_lr': 0.3, "),
        ({"num_envs": 8}, "maml-0.json was trained with num_envs 8, expected 32 as here"),
    ],
)
def test_a_training_with_other_settings_is_not_mixed_in(tmp_path: Path, changed: dict[str, Any], told: str) -> None:
    """Though comparison.json was removed, or never told of them."""
    stored(tmp_path, "maml", **changed)
    with pytest.raises(InputError) as refused:
        open_comparison(check_comparison(config(tmp_path)))
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "comparison.json").exists(), "nothing is written before"


def with_version(out: Path, method: str, package: str) -> None:
    run = stored(out, method)
    assert run.provenance
    changed = replace(run.provenance, versions={**run.provenance.versions, package: "0.0.1"})
    write_run(out, replace(run, provenance=changed))


@pytest.mark.parametrize(
    ("method", "package", "refused"),
    [
        ("limbshift", "torch", True),
        ("limbshift", "stable-baselines3", False),
        ("ppo", "stable-baselines3", True),
        ("limbshift", "a package that is not here", False),
    ],
)
def test_a_training_by_other_versions_is_not_mixed_in(tmp_path: Path, method: str, package: str, refused: bool) -> None:
    with_version(tmp_path, method, package)
    if not refused:
        check_comparison(config(tmp_path))
        return
    with pytest.raises(InputError, match=rf"{method}-0.json was trained with {package} '0\.0\.1', expected "):
        check_comparison(config(tmp_path))


@pytest.mark.parametrize(
    ("method", "budget", "refused"),
    [
        ("limbshift", {"minutes": 2.0}, True),
        ("limbshift", {"steps": 1000}, False),
        ("random", {"minutes": 2.0}, False),
    ],
)
def test_minutes_of_another_processor_are_not_mixed_in(
    tmp_path: Path, method: str, budget: dict[str, Any], refused: bool
) -> None:
    run = stored(tmp_path, method, **budget)
    assert run.provenance
    write_run(tmp_path, replace(run, provenance=replace(run.provenance, processor="another one")))
    if not refused:
        check_comparison(config(tmp_path, **budget))
        return
    with pytest.raises(InputError, match=r"limbshift-0\.json was trained with processor 'another one', expected "):
        check_comparison(config(tmp_path, **budget))


def test_an_older_name_of_this_processor_is_known(tmp_path: Path) -> None:
    run = stored(tmp_path, "limbshift")
    assert run.provenance
    older = machine.cpu_model().split(" (")[0]
    write_run(tmp_path, replace(run, provenance=replace(run.provenance, processor=older)))
    check_comparison(config(tmp_path))


def test_older_trainings_are_read_and_marked(tmp_path: Path) -> None:
    write_run(tmp_path, replace(stored(tmp_path, "maml"), provenance=None))
    path = run_file(tmp_path, "maml", 0)
    path.write_text(path.read_text().replace('"format": 3', '"format": 2').replace(', "provenance": null', ""))
    assert read_run(path).provenance is None
    check_comparison(config(tmp_path, minutes=7.0))


def test_the_page_tells_which_code_trained() -> None:
    own = Provenance("0123456789abcdef", False, {}, "", {}, "a CPU")
    codes = [own, own, replace(own, dirty=True), replace(own, commit=None, versions={"limbshift": "0.1.0"}), None]
    assert code_of(codes) == (
        "2 trainings by commit 0123456789, 1 training by commit 0123456789 with changes, "
        "1 training by limbshift 0.1.0, installed, 1 training without provenance"
    )


def test_a_checkout_tells_its_commit_and_whether_its_code_was_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*arguments: str) -> None:
        own = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", "-C", str(tmp_path), *own, *arguments], check=True, capture_output=True)

    code = tmp_path / "experiments" / "machine.py"
    code.parent.mkdir()
    code.write_text("")
    monkeypatch.setattr(machine, "__file__", str(code))
    assert machine.checkout() is None, "an installed package, which may lie in another's repository"
    git("init")
    assert machine.checkout() is None, "no commit yet"
    git("add", ".")
    git("commit", "-m", "first")
    commit, changed = machine.checkout() or ("", True)
    assert (len(commit), changed) == (40, False)
    (tmp_path / "notes.md").write_text("no code")
    assert machine.checkout() == (commit, False)
    code.write_text("pass")
    assert machine.checkout() == (commit, True)
