"""What stored trainings were made with, and what is not mixed in."""

import html
import itertools
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from limbshift.envs.errors import InputError
from limbshift.experiments import machine
from limbshift.experiments.cli import main
from limbshift.experiments.comparison.compare import check_comparison, check_directory, family_of, open_comparison
from limbshift.experiments.comparison.config import CompareConfig
from limbshift.experiments.comparison.html import processors
from limbshift.experiments.comparison.provenance import Provenance, code_of, hash_of, provenance_of
from limbshift.experiments.comparison.settings import setting_of, training_settings
from limbshift.experiments.comparison.timed_training import CLOCKS, HeldoutCurvePoint, Pace
from limbshift.experiments.comparison.training_run import Timer, TrainingRun, read_run, read_runs, run_file, write_run
from limbshift.experiments.machine import versions


def config(out: Path, **given: Any) -> CompareConfig:
    return CompareConfig("InvertedPendulumBody", out=out, methods=("limbshift", "maml", "ppo"), **given)


def stored(out: Path, method: str, **given: Any) -> TrainingRun:
    """Writes a training by these settings, and returns it."""
    own = config(out, **given)
    look = HeldoutCurvePoint(1.5, 10, [[0.125, 1.0]])
    setting = setting_of(method, 0, own, family=family_of(own), tuned={})
    provenance = provenance_of(training_settings(method, setting, own))
    run = TrainingRun(method, 0, machine.cpu_model(), [look], {"heldout": [[1.0, 2.0]]}, provenance=provenance)
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


def on_another_processor(out: Path, run: TrainingRun) -> TrainingRun:
    """Rewrites a run as one of another machine."""
    moved = replace(run, cpu="another one")
    write_run(out, moved)
    return moved


def timer_in(out: Path, **given: Any) -> Timer | None:
    return check_directory(check_comparison(config(out, **given)))


def test_minutes_of_another_processor_are_counted_by_env_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the command to the page: seed 0 was timed elsewhere, and seed 1 takes as many steps here."""
    ticks = itertools.count()
    monkeypatch.setitem(CLOCKS, "wall", lambda: next(ticks) / 10)
    shape = ["--minutes", "0.02", "--num-envs", "4", "--episodes", "2", "--horizon", "5", "--tasks", "4"]
    command = ["compare", "InvertedPendulumBody", "--out", str(tmp_path), *shape, "--methods", "limbshift", "oracle"]
    assert main([*command, "--seeds", "1"]) == 0
    first = {run.method: on_another_processor(tmp_path, run) for run in read_runs(tmp_path)}
    monkeypatch.setitem(CLOCKS, "wall", lambda: next(ticks) * 1000)  # no glance at it ends a training
    assert main([*command, "--seeds", "2"]) == 0
    assert main([*command, "--seeds", "2"]) == 0, "nothing to do"
    runs = read_runs(tmp_path)
    assert [(run.method, run.seed) for run in runs] == [(name, seed) for name in first for seed in (0, 1)][:-1]
    for run in runs[1:4:2]:
        there, here = first[run.method].looks[-1], run.looks[-1]
        pace = there.steps / there.seconds
        assert run.pace == Pace("another one", pace)
        assert run.cpu == machine.cpu_model()
        assert round(1.2 * pace) <= here.steps < 1.2 * pace + 4 * 2 * 5, "0.02 minutes, to the end of an iteration"
        assert here.seconds == pytest.approx(here.steps / pace)
    told = f"(another one; 2 of 4 trainings took as many env steps on {machine.cpu_model()})"
    assert told in html.unescape((tmp_path / "index.html").read_text())
    assert main([*command, "maml", "--seeds", "2"]) == 2, "a method that was never timed there"


def test_the_machine_that_trains_counts_by_its_own_processor(tmp_path: Path) -> None:
    """As on a cluster, whatever processor the command runs on."""
    on_another_processor(tmp_path, stored(tmp_path, "limbshift"))
    timer = timer_in(tmp_path)
    assert timer == Timer("another one", {"limbshift": 10 / 1.5})
    assert timer.pace("limbshift", here="another one") is None
    assert timer.pace("maml", here="another one") is None
    assert timer.pace("limbshift", here="a third one") == Pace("another one", 10 / 1.5)
    assert timer.pace("random", here="a third one") is None
    with pytest.raises(InputError) as refused:
        timer.pace("maml", here="a third one")
    assert str(refused.value) == (
        "maml was not trained on another one, whose minutes this comparison counts, expected one training of it there,"
        " to go on here with as many env steps; or another directory"
    )


def test_minutes_of_two_processors_are_not_mixed(tmp_path: Path) -> None:
    stored(tmp_path, "maml")
    on_another_processor(tmp_path, stored(tmp_path, "limbshift"))
    with pytest.raises(InputError, match=r"-0\.json took minutes of .*: remove those of one processor to have them"):
        check_comparison(config(tmp_path))


def test_env_steps_are_the_same_on_any_processor(tmp_path: Path) -> None:
    stored(tmp_path, "maml", steps=1000)
    on_another_processor(tmp_path, stored(tmp_path, "limbshift", steps=1000))
    assert timer_in(tmp_path, steps=1000) is None


def test_what_took_no_time_has_no_pace(tmp_path: Path) -> None:
    look = HeldoutCurvePoint(0.0, 0, [[0.125, 1.0]])
    write_run(tmp_path, replace(stored(tmp_path, "random"), looks=[look]))
    assert timer_in(tmp_path) is None


def test_a_pace_that_is_none_is_told_with_its_file(tmp_path: Path) -> None:
    stored(tmp_path, "maml")
    path = run_file(tmp_path, "maml", 0)
    path.write_text(path.read_text().replace('"pace": null', '"pace": {"processor": "another one"}'))
    with pytest.raises(InputError, match=r"^pace in .*maml-0\.json lacks steps_per_second"):
        check_comparison(config(tmp_path))


def test_processors_are_counted_where_there_are_several() -> None:
    look = HeldoutCurvePoint(1.0, 1, [[0.0]])
    cpus = ("an old one", "a new one", "a new one")
    runs = [TrainingRun("limbshift", seed, cpu, [look], {}) for seed, cpu in enumerate(cpus)]
    assert processors(runs[1:]) == "a new one"
    assert processors(runs) == "an old one: 1 of 3 trainings, a new one: 2 of 3 trainings"
    paced = [replace(run, pace=Pace("an old one (family 1)", 1.0)) for run in runs[1:]]
    assert (
        processors([runs[0], *paced]) == "an old one (family 1); 2 of 3 trainings took as many env steps on a new one"
    )
    assert processors(paced) == "an old one (family 1); 2 of 2 trainings took as many env steps on a new one"


def test_an_older_name_of_this_processor_is_known(tmp_path: Path) -> None:
    run = stored(tmp_path, "limbshift")
    assert run.provenance
    write_run(tmp_path, replace(run, cpu=machine.cpu_model().split(" (")[0]))
    timer = timer_in(tmp_path)
    assert timer
    assert timer.pace("maml", here=machine.cpu_model()) is None


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
