"""The latency of a controller's step at tiny sizes. Speed is no test."""

import json
import time
from pathlib import Path

import pytest

from limbshift.experiments.benchmarks import latency
from limbshift.experiments.cli import main


def test_each_step_is_measured_beside_the_period(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "latency.json"
    assert main(["bench", "ReacherGoal", "--latency", "--seconds", "0.05", "--json", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "ReacherGoal" in printed
    (measured,) = json.loads(out.read_text())["controllers"]
    assert (measured["name"], measured["period"]) == ("ReacherGoal", 0.02)
    for way in ("torch", "onnx"):
        median, rare, rarest = measured[way]
        assert 0 < median <= rare <= rarest
    met = "is met" if measured["onnx"][-1] <= 0.002 else "is not met"
    assert f"500 Hz, 2 ms, {met}" in printed


def test_quantiles_are_of_what_was_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of 1 to 5 s, and no time between them."""
    moments = iter([0.0, 0.0, 1.0, 1.0, 1.0, 3.0, 3.0, 3.0, 6.0, 6.0, 6.0, 10.0, 10.0, 10.0, 15.0, 15.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(moments))
    median, rare, rarest = latency.quantiles(lambda: None, seconds=15.0)
    assert (median, round(rare, 3), round(rarest, 3)) == (3.0, 4.96, 4.996)


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_what_is_missing_is_told(
    missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(latency, "find_spec", lambda name: None if name == missing else name)
    assert main(["bench", "--latency"]) == 2
    assert capsys.readouterr().err == f"limbshift: bench --latency needs {missing}: pip install '.[onnx]'\n"


def test_a_family_without_a_controller_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("limbshift.experiments.runs.controllers.SHIPPED", tmp_path)
    assert main(["bench", "HumanoidDir", "--latency"]) == 2
    assert capsys.readouterr().err.startswith("limbshift: HumanoidDir has no shipped controller: train one by")
