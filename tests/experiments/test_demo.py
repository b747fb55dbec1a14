"""The demonstration and the benchmark, short, and whether the shipped controllers do what is said of them."""

import json
from pathlib import Path

import pytest

from experiments.cli import main
from experiments.evaluate import evaluate
from experiments.shipped import SHIPPED, load_controller, shipped_names


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


def test_the_benchmark_prints_its_ratio_and_shares(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "ReacherGoal", "--num-envs", "4", "--episodes", "1", "--horizon", "5", "--rounds", "1"]) == 0
    printed = capsys.readouterr().out
    for text in ("bare Batch.step loop", "meta-training, all in", "env / bare loop: ", "physics", "policy", "update"):
        assert text in printed


@pytest.mark.parametrize("name", shipped_names())
def test_a_shipped_controller_is_small_and_has_a_card(name: str) -> None:
    assert (SHIPPED / f"{name}.safetensors").stat().st_size < 1.5e6
    assert (SHIPPED / f"{name}.md").read_text().startswith(f"# {name}")
    assert load_controller(name).card.family == name


def test_the_reachers_controller_adapts_across_episodes() -> None:
    result = evaluate("ReacherGoal", tasks=32)
    wiped = result.controls["memory_wiped_each_episode"]
    third, first, wiped_third = result.ci95[2], result.ci95[0], wiped.ci95[2]
    assert third
    assert first
    assert wiped_third
    assert third[0] > first[1]
    assert third[0] > wiped_third[1]
