"""The benchmark of GPUs, where there is none; and the page that its JSON makes."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from limbshift.envs.catalogue import make_family
from limbshift.envs.errors import InputError
from limbshift.experiments.benchmarks.config import BenchConfig
from limbshift.experiments.benchmarks.gpu import rates as rates_module
from limbshift.experiments.benchmarks.gpu import suite
from limbshift.experiments.benchmarks.gpu.page import page_of, write_page
from limbshift.experiments.benchmarks.gpu.rates import Rates, rates
from limbshift.experiments.cli import main

ROOT = Path(__file__).resolve().parents[3]
TINY = ["--gpu", "--device", "cpu", "--worlds", "2", "4", "--seconds", "0.01", "--episodes", "2", "--horizon", "3"]
ROW = {"worlds", "physics", "inference", "training", "shares", "memory"}
LEARNING = {"family", "physics", "worlds", "episodes", "horizon", "goal", "best", "seconds", "steps", "reached"}


def test_the_page_is_what_its_json_makes(tmp_path: Path) -> None:
    page = tmp_path / "gpu.md"
    write_page(ROOT / "docs" / "gpu.json", page)
    assert page.read_text() == (ROOT / "docs" / "gpu.md").read_text()


def test_json_of_another_format_makes_no_page(tmp_path: Path) -> None:
    file = tmp_path / "gpu.json"
    file.write_text('{"format": 2}')
    with pytest.raises(InputError, match="is of format 2, expected 1"):
        write_page(file, tmp_path / "gpu.md")
    assert not (tmp_path / "gpu.md").exists()


def check_content(content: dict[str, Any], families: list[tuple[str, str, list[int]]]) -> None:
    """The JSON has the keys of that beside the page, whose rows are those that were asked for."""
    committed = json.loads((ROOT / "docs" / "gpu.json").read_text())
    assert set(content) == set(committed)
    assert set(content["machine"]) == set(committed["machine"])
    found = [(each["family"], each["physics"], [row["worlds"] for row in each["rows"]]) for each in content["speed"]]
    assert found == families
    for document in (content, committed):
        assert all(set(row) == ROW for each in document["speed"] for row in each["rows"])
        assert all(set(each) == LEARNING for each in document["learning"])


@pytest.mark.slow  # the kernels of the robots take most of a minute to compile
@pytest.mark.parametrize(
    ("family", "families"),
    [([], ["HalfCheetahDir", "AntDir"]), (["InvertedPendulumBody"], ["InvertedPendulumBody"])],
)
def test_the_suite_runs_without_a_gpu(
    family: list[str], families: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, page = tmp_path / "gpu.json", tmp_path / "gpu.md"
    assert main(["bench", *family, *TINY, "--goal", "-1000", "--json", str(out)]) == 0
    content, printed = json.loads(out.read_text()), " ".join(capsys.readouterr().out.split())
    first, *rest = families
    both = [2, 4]
    check_content(content, [(first, "warp", both), (first, "mujoco", both), *((name, "warp", both) for name in rest)])
    assert all(row[name] > 0 for each in content["speed"] for row in each["rows"] for name in ("physics", "training"))
    assert "HalfCheetahDir on warp, trials of 2 x 6: return -1000 after " in printed
    assert "says nothing of a GPU" in printed
    write_page(out, page)
    assert page.read_text().count("not measured") == 0


def test_a_number_of_worlds_is_measured_in_three_ways() -> None:
    """On MuJoCo, whose path is the same but for the engine."""
    config = BenchConfig(gpu=True, device="cpu", episodes=2, horizon=3, seconds=0.01)
    found = rates("mujoco", make_family("InvertedPendulumBody"), 4, config=config)
    assert found.worlds == 4
    assert min(found.physics, found.inference, found.training) > 0
    assert sum(found.shares.values()) == pytest.approx(1, abs=0.1)
    assert found.memory == 0


def test_what_has_no_room_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(physics: str, family: object, worlds: int, *, config: BenchConfig) -> Rates:
        if worlds > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return Rates(worlds, 3.0, 2.0, 1.0, dict.fromkeys(suite.SHARES, 0.25), 0.5)

    monkeypatch.setattr(suite, "rates", measured)
    family = make_family("InvertedPendulumBody")
    rows = suite.rows_of("warp", family, [2, 4, 8], config=BenchConfig())
    assert [row.worlds for row in rows.rows] == [2, 4]
    assert rows.out_of_memory == [8]
    assert suite.speed_table(rows).row_count == 3


def test_more_worlds_than_a_cpu_is_good_for_are_measured_on_warp_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[tuple[str, str, list[int]]] = []

    def rows_of(physics: str, family: Any, worlds: Any, *, config: BenchConfig) -> None:
        found.append((family.name, physics, list(worlds)))

    monkeypatch.setattr(suite, "rows_of", rows_of)
    list(suite.all_rows(BenchConfig()))
    every = [64, 256, 1024, 4096, 16384]
    assert found == [
        ("HalfCheetahDir", "warp", every),
        ("HalfCheetahDir", "mujoco", [64, 256, 1024]),
        ("AntDir", "warp", every),
    ]


@pytest.mark.parametrize(("goal", "reached"), [(-1e6, True), (1e6, False)])
def test_learning_ends_at_its_goal_or_with_its_time(goal: float, reached: bool) -> None:
    config = BenchConfig(device="cpu", episodes=2, horizon=3, minutes=0.005, goal=goal)
    learning = rates_module.time_to_learn("mujoco", make_family("InvertedPendulumBody"), 4, config=config)
    assert learning.reached is reached
    assert learning.steps == 24 if reached else learning.seconds >= 0.3
    told = suite.learning_sentence(rates_module.described(learning))
    assert (f"return {goal:g} after" in told) is reached


def test_without_a_gpu_the_suite_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["bench", "--gpu"]) == 2
    assert "found no CUDA device, expected one, or --device cpu with small --worlds" in capsys.readouterr().err


def test_a_page_tells_what_was_given_up_and_what_had_no_room() -> None:
    content = json.loads((ROOT / "docs" / "gpu.json").read_text())
    content["speed"][0]["out_of_memory"] = [65536]
    content["learning"][0] |= {"reached": False, "best": 812.4}
    page = page_of(content)
    assert "| 65,536 | out of memory |" in page
    assert "| 812 of 1,000: given up |" in page
