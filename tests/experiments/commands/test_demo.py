"""The demonstration, short."""

import json
from pathlib import Path

import pytest

from limbshift.experiments.cli import main


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
