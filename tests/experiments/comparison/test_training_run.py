"""Runs' files: written, read, and taken over from the format before."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from limbshift.experiments.comparison.compare import check_comparison, open_comparison
from limbshift.experiments.comparison.config import CompareConfig
from limbshift.experiments.comparison.provenance import Provenance
from limbshift.experiments.comparison.timed_training import HeldoutCurvePoint
from limbshift.experiments.comparison.training_run import (
    Consumed,
    TrainingRun,
    Trials,
    convert_runs,
    read_runs,
    run_file,
    write_run,
)
from limbshift.experiments.runs.directory import RunError

OLD = {"plain-rl2": "rl2", "rl2": "limbshift", "maml": "maml"}
"""Methods of a comparison of format 1, and their names today."""


def run(method: str) -> TrainingRun:
    looks = [HeldoutCurvePoint(1.5, 10, [[0.125, float(len(method))]])]
    return TrainingRun(method, 0, "a CPU", looks, {"heldout": [[1.0, 2.0]]}, [Consumed(1, [3.0])])


def write_old(out: Path) -> None:
    """Files as they were before formats were marked."""
    for name in OLD:
        write_run(out, run(name))
        path = run_file(out, name, 0)
        content = json.loads(path.read_text())
        del content["format"]
        path.write_text(json.dumps(content))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    for name in ("maml", "limbshift"):
        write_run(tmp_path, run(name))
    assert read_runs(tmp_path) == [run("limbshift"), run("maml")]
    assert json.loads(run_file(tmp_path, "maml", 0).read_text())["format"] == 3


@pytest.mark.parametrize("converted", [False, True])
def test_an_old_file_is_read_by_todays_name(tmp_path: Path, converted: bool) -> None:
    write_old(tmp_path)
    if converted:
        convert_runs(tmp_path)
        convert_runs(tmp_path)  # harmless when repeated
        assert {path.name for path in (tmp_path / "cells").iterdir()} == {f"{name}-0.json" for name in OLD.values()}
    found = {each.method: each.looks[0].returns[0][1] for each in read_runs(tmp_path)}
    assert found == {today: len(old) for old, today in OLD.items()}, "each kept its numbers"


def test_an_old_comparison_goes_on_under_todays_names(tmp_path: Path) -> None:
    config = CompareConfig("InvertedPendulumBody", out=tmp_path, methods=("limbshift", "rl2", "maml"))
    open_comparison(check_comparison(config))
    about = json.loads((tmp_path / "comparison.json").read_text())
    assert about.pop("format") == 3
    (tmp_path / "comparison.json").write_text(json.dumps(about))
    write_old(tmp_path)
    open_comparison(check_comparison(config))
    assert json.loads((tmp_path / "comparison.json").read_text())["format"] == 3
    assert all(run_file(tmp_path, method, 0).is_file() for method in config.methods), "none is trained again"


def test_a_file_of_a_later_format_is_refused(tmp_path: Path) -> None:
    write_run(tmp_path, run("maml"))
    path = run_file(tmp_path, "maml", 0)
    path.write_text(path.read_text().replace('"format": 3', '"format": 4'))
    with pytest.raises(RunError, match="is of format 4, expected 3 or an older one"):
        read_runs(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"splits": {"heldout": [[1.0, 2.0]] * 2}}, r"heldout in .*rl2-0\.json has shape \(2, 2\), expected \(1, 2\)"),
        ({"consumed": [Consumed(1, [3.0, 4.0])]}, r"consumed in .* has shape \(2,\), expected \(1,\)"),
        ({"looks": [HeldoutCurvePoint(1.5, 10, [[0.1]])]}, r"looks in .* has shape \(1, 1\), expected \(1, 2\)"),
        (
            {"trials": Trials(0.05, [[1.0] * 3], [[1.0] * 10])},
            r"mean_reward_per_step in .* has shape \(1, 3\), expected \(2, 3\) as the other runs",
        ),
        (
            {"trials": Trials(0.05, [[1.0] * 3] * 2, [[1.0] * 10] * 2)},
            r"longer in .* has shape \(2, 10\), expected \(1, 10\) as the other runs",
        ),
    ],
)
def test_a_run_of_another_shape_is_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    write_run(tmp_path, run("limbshift"))
    write_run(tmp_path, replace(run("rl2"), **change))
    with pytest.raises(RunError, match=message):
        read_runs(tmp_path)


def test_a_copied_run_is_not_counted_twice(tmp_path: Path) -> None:
    write_run(tmp_path, run("limbshift"))
    for name in ("limbshift-1", "rl2-0"):
        copy = tmp_path / "cells" / f"{name}.json"
        copy.write_text(run_file(tmp_path, "limbshift", 0).read_text())
        with pytest.raises(
            RunError, match=rf"{name}\.json holds limbshift by seed 0, expected it to be called limbshi"
        ):
            read_runs(tmp_path)
        copy.unlink()


def test_a_run_of_another_family_is_refused(tmp_path: Path) -> None:
    (tmp_path / "comparison.json").write_text(json.dumps({"family": "AntDir", "variant": "default"}))
    settings = {"family": "AntDir", "variant": "default"}
    for other, message in (({}, ""), ({"family": "AntGoal"}, "family AntGoal"), ({"variant": "sparse"}, "variant spa")):
        provenance = Provenance(None, None, {**settings, **other}, "0", {}, "a CPU")
        write_run(tmp_path, replace(run("limbshift"), provenance=provenance))
        if not other:
            assert read_runs(tmp_path)
            continue
        with pytest.raises(
            RunError, match=rf"limbshift-0\.json was trained on {message}.*, expected (AntDir|default) as"
        ):
            read_runs(tmp_path)
