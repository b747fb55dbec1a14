"""The benchmark at tiny sizes: what it prints and writes. Speed is no test."""

import json
import os
import re
from pathlib import Path

import pytest

from limbshift.experiments.benchmarks import bench
from limbshift.experiments.benchmarks.bench import MEASURES, chosen
from limbshift.experiments.benchmarks.config import BenchConfig
from limbshift.experiments.benchmarks.measure import Measure, Outcome, rates_in_turn
from limbshift.experiments.cli import main

TINY = ["--num-envs", "4", "--episodes", "2", "--horizon", "4", "--rounds", "2", "--minutes", "0.02"]
MEASURE = {
    "measure": str,
    "family": str,
    "num_envs": int,
    "ours": dict,
    "theirs": dict,
    "unit": str,
    "ratio": float,
    "ratios": list,
    "goal": float,
    "better": str,
    "met": bool,
    "notes": list,
    "details": dict,
}
"""What the JSON holds of each measure, and of what kind."""


@pytest.mark.slow  # it trains and begins processes; each takes seconds
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")  # Gymnasium's AsyncVectorEnv forks
def test_every_measure_is_taken_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.json"
    by_default = [name for name in MEASURES if name not in ("learn", "learn-recurrent-ppo")]
    assert main(["bench", *TINY, "--json", str(out), "--measures", *by_default]) == 0
    printed = capsys.readouterr().out
    result = json.loads(out.read_text())
    assert [each["measure"] for each in result["measures"]] == by_default
    for each in result["measures"]:
        assert {name: type(value) for name, value in each.items()} == MEASURE
        assert len(each["ratios"]) == 2
        assert all(ratio > 0 for ratio in each["ratios"])
        assert each["ours"]["median"] > 0 < each["theirs"]["median"]
        goal = f"{'at least' if each['better'] == 'more' else 'at most'} {each['goal']:g}"
        assert f"{each['measure']}: " in printed
        assert f": {each['ratio']:.2f} (goal {goal})" in printed
    details = {each["measure"]: each["details"] for each in result["measures"]}
    assert sum(details["overlap"].values()) == pytest.approx(1, abs=0.1)
    assert details["worlds"]["bytes_per_trial"] > 0


def test_the_json_tells_machine_sizes_and_ratios(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.json"
    assert main(["bench", *TINY, "--measures", "trials", "gymnasium-sync", "--json", str(out)]) == 0
    printed = capsys.readouterr().out
    result = json.loads(out.read_text())
    assert sorted(result) == [
        *("date", "episodes", "format", "horizon", "left_out", "machine", "measures", "num_envs", "rounds"),
    ]
    assert (result["format"], result["num_envs"], result["episodes"], result["horizon"]) == (1, 4, 2, 4)
    assert result["machine"]["cores"] == len(os.sched_getaffinity(0))
    assert {"mujoco", "torch", "gymnasium"} <= set(result["machine"]["versions"])
    trials, sync = result["measures"]
    assert {name: type(value) for name, value in trials.items()} == MEASURE
    assert (trials["family"], trials["num_envs"], sync["num_envs"]) == ("HalfCheetahLimbs", 4, 1)
    assert "trials: trials / bare steps of the simulator, HalfCheetahLimbs, 4 envs: " in printed
    assert "gymnasium-sync: trials / Gymnasium's SyncVectorEnv of HalfCheetah, HalfCheetahLimbs, 1 env: " in printed


def test_the_help_names_every_measure(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["bench", "--help"])
    words = set(re.findall(r"[a-z-]+", capsys.readouterr().out))
    assert words >= set(MEASURES)


def test_another_family_is_measured_by_what_can_be_measured_of_any(capsys: pytest.CaptureFixture[str]) -> None:
    assert chosen(BenchConfig("ReacherGoal")) == (
        *("trials", "overlap", "cores", "cores-overlap", "ranks", "recurrent-ppo-few", "worlds"),
    )
    assert main(["bench", "ReacherGoal", *TINY, "--measures", "trials", "overlap"]) == 0
    printed = capsys.readouterr().out
    assert "overlap: meta-training, overlapped / meta-training in turn, by whole trials, ReacherGoal, 4 " in printed
    assert "shares of the time of meta-training in turn, by whole trials: physics " in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--measures", "flight"], "measures has 'flight', expected one of trials, envpool, ant, "),
        (["ReacherGoal", "--measures", "envpool"], "measure envpool cannot be taken: it is of HalfCheetahLimbs, expec"),
        (["--physics", "warp", "--measures", "cores"], "measure cores cannot be taken: it is of MuJoCo on CPU threads"),
        (["--measures", "ant"], "measure ant cannot be taken: envpool is not installed: pip install '.[bench]'\n"),
        (["--json", "/proc/no/where.json"], "cannot be written"),
    ],
)
def test_what_cannot_be_measured_is_told_in_one_line(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "find_spec", lambda name: None)
    assert main(["bench", *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert not captured.out


def test_what_is_missing_is_left_out_of_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*arguments: object) -> Outcome:
        return Outcome("s", 1.0, 2.0, (0.5, 0.5))

    there = Measure("this", "that", 0.4, run, "HalfCheetahDir")
    missing = Measure("this", "others", 2.0, run, "HalfCheetahDir", package="envpool")
    names = {"there": there, "one": missing, "two": missing}
    monkeypatch.setattr(bench, "MEASURES", names)
    monkeypatch.setattr(bench, "find_spec", lambda name: None)
    out = tmp_path / "out.json"
    assert main(["bench", "--json", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "there: this / that, HalfCheetahDir, 64 envs: 0.50 (goal at least 0.4)\n" in printed
    row = next(line for line in printed.splitlines() if line.startswith("│"))
    assert row.strip("│").replace(" ", "") == "0.50│>=0.4│1│2│s│there"
    assert "left out: one, two: envpool is not installed: pip install '.[bench]'\n" in printed
    result = json.loads(out.read_text())
    assert [(each["measure"], each["met"]) for each in result["measures"]] == [("there", True)]
    assert [each["measure"] for each in result["left_out"]] == ["one", "two"]


@pytest.mark.parametrize(
    ("better", "ratio", "met"), [("more", 2.0, True), ("more", 1.9, False), ("less", 2.0, True), ("less", 2.1, False)]
)
def test_a_goal_is_reached_from_the_side_that_is_better(better: str, ratio: float, met: bool) -> None:
    measure = Measure("", "", 2.0, lambda *_: Outcome("", 0, 0, ()), "", better=better)  # type: ignore[arg-type]
    assert measure.met(ratio) is met


def test_ratios_are_taken_round_by_round_after_one_that_warms_up() -> None:
    """Of three rounds, 60 steps each, ours take 2, 3, 6 s and theirs 4, 12, 6 s: ratios of 2, 4 and 1."""
    ours, theirs = iter([99.0, 2.0, 3.0, 6.0]), iter([1.0, 4.0, 12.0, 6.0])
    outcome = rates_in_turn(lambda: next(ours), lambda: next(theirs), steps=60, rounds=3)
    assert (outcome.ours, outcome.theirs, outcome.ratios, outcome.ratio) == (20.0, 10.0, (2.0, 4.0, 1.0), 2.0)
