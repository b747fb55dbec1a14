"""`limbshift report`: what the page tells of runs and of shipped controllers, and what is refused."""

import re
from pathlib import Path

import pytest

from limbshift.experiments.cli import main
from limbshift.experiments.commands.evaluate import evaluate
from limbshift.experiments.reporting.report import names_of
from limbshift.experiments.runs.directory import VIDEO
from tests.browser import browser_page, needs_chromium

SIZES = ["--num-envs", "2", "--horizon", "5", "--hidden-size", "8", "--steps", "1", "--wandb", "disabled"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Trainings of a moment, by two seeds, with a film that is none."""
    paths = [tmp_path_factory.mktemp("runs") / name for name in ("plain", "other")]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("limbshift.experiments.runs.session.render_policy", lambda *_, **__: False)
        for seed, path in enumerate(paths):
            options = [*SIZES, "--seed", str(seed), "--run-dir", str(path)]
            assert main(["train", "HalfCheetahLimbsDir", *options]) == 0
            (path / VIDEO).write_bytes(b"film")
    return paths


def words(page: Path) -> str:
    """What stands in the page before its scripts, without tags."""
    text = page.read_text()
    return " ".join(re.sub(r"<[^>]*>", " ", text[text.index("<main>") : text.index("</main>")]).split())


def test_a_page_tells_returns_falls_tasks_settings_and_commands(runs: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "a page.html"
    assert main(["report", str(runs[0]), "--out", str(out), "--tasks", "6"]) == 0
    told = words(out)
    assert told.startswith("HalfCheetahLimbsDir: how it adapts")
    for split in ("heldout", "extrapolation"):
        assert f"{evaluate(runs[0], split=split, num_tasks=6).worst10[-1]:.4g}" in told
    assert told.count("episodes with a fall") == 1
    assert "limbshift train HalfCheetahLimbsDir --steps 1 --num-envs 2 --horizon 5 --hidden-size 8" in told
    assert f"limbshift report {runs[0]} --out '{out}' --tasks 6 --seed 0" in told.replace("&#39;", "'")
    assert "hidden_size 8" in told
    assert "The tasks on which it does worst" in told
    assert told.count("outside the training ranges direction") == 5
    assert 'src="data:video/mp4;base64,ZmlsbQ=="' in out.read_text()


def test_several_runs_stand_beside_each_other(runs: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "both.html"
    assert main(["report", *map(str, runs), "--out", str(out), "--tasks", "2", "--no-video"]) == 0
    told = words(out)
    assert told.startswith("HalfCheetahLimbsDir: plain, other")
    assert told.count("The tasks on which plain does worst") == told.count("The tasks on which other does worst") == 1
    assert "<video" not in out.read_text()


@needs_chromium
def test_a_browser_draws_the_page_of_a_shipped_controller(tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    assert main(["report", "ReacherGoal", "--out", str(out), "--tasks", "4", "--no-video"]) == 0
    assert "limbshift train ReacherGoal" in words(out)  # from its folder
    with browser_page() as browser:
        browser.open(out.as_uri(), width=390)
        browser.wait_for("document.querySelectorAll('.chart').length > 3")
        browser.wait_for("[...document.querySelectorAll('.chart')].every(c => c.querySelector('.main-svg'))")
        assert browser.evaluate("document.documentElement.scrollWidth") <= 390
        assert browser.faults == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], "CONTROLLER is missing: see limbshift report --help"),
        (
            ["HalfCheetahDir", "ReacherGoal"],
            "ReacherGoal was trained on ReacherGoal, expected HalfCheetahDir as HalfCheetahDir",
        ),
        (["HalfCheetahDir", "HalfCheetahDir"], "controllers are HalfCheetahDir, HalfCheetahDir, expected each once"),
        (["HalfCheetahDir", "--out", "page.htm"], "out is page.htm, expected a name that ends in .html"),
    ],
)
def test_what_makes_no_page_is_refused_on_one_line(
    given: list[str], expected: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["report", *given]) == 2
    assert capsys.readouterr().err == f"limbshift: {expected}\n"
    assert list(tmp_path.iterdir()) == []


def test_trials_of_another_length_are_refused(
    runs: list[Path], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["report", "HalfCheetahLimbsDir", str(runs[0]), "--out", str(tmp_path / "no.html")]) == 2
    assert "plain was trained in trials of 2 x 5, expected 2 x 200 as" in capsys.readouterr().err.replace("\n", "")
    assert names_of(["a/run", "b/run", "c"]) == ["a/run", "b/run", "c"]
