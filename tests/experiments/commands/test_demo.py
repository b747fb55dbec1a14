"""The demonstration, short."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from limbshift.experiments.cli import main
from limbshift.experiments.commands.demo import summary


def test_the_demo_leaves_its_results_and_says_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "demo"
    assert main(["demo", "--minutes", "0.01", "--out", str(out), "--wandb", "disabled"]) == 0
    result = json.loads((out / "adaptation.json").read_text())
    assert (result["family"], result["num_tasks"], result["episodes"], result["horizon"]) == (
        "HalfCheetahDir",
        64,
        2,
        100,
    )
    for name in ("adaptation.png", "controller.safetensors", "checkpoint.pt", "metrics.jsonl"):
        assert (out / name).stat().st_size > 300
    printed = capsys.readouterr().out.replace("\n", "")
    assert "What was learned" in printed
    assert "Return per episode" in printed


@pytest.mark.parametrize(
    ("worst", "time", "told"),
    [
        (12.0, 0.5, "Within 0.5 s of robot time it finds out which way and runs"),
        (-18.0, 0.5, "It has not learned to run both ways yet: on one of them it is no better than random actions."),
        (12.0, None, "It has not learned to adapt yet."),
    ],
)
def test_what_was_learned_is_of_both_ways(worst: float, time: float | None, told: str, tmp_path: Path) -> None:
    off, random = SimpleNamespace(iqm=[0.0, 0.0]), SimpleNamespace(iqm=[0.0, 0.0])
    result: Any = SimpleNamespace(
        iqm=[9.0, 9.0], worst10=[worst, worst], adaptation_time_s=time, controls={"memory_off": off, "random": random}
    )
    assert summary(result, tmp_path).splitlines()[1].startswith(told)
