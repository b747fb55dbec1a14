"""`limbshift report`: what the page tells of runs and of shipped controllers, and what is refused."""

import re
import shutil
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


def test_a_wiring_names_the_motors_that_are_reversed(tmp_path: Path) -> None:
    """And its charts have no training range: they are of two values."""
    out = tmp_path / "wiring.html"
    assert main(["report", "HalfCheetahWiring", "--out", str(out), "--tasks", "4", "--no-video"]) == 0
    told = words(out)
    assert re.search(r"held out reversed: \w+(, \w+)* [\d,]+ 0 ", told)
    assert "wiring +" not in told
    assert "Grey: where training tasks are drawn" not in told


def test_several_trials_of_one_task_are_told_as_such(tmp_path: Path) -> None:
    out = tmp_path / "crippled.html"
    assert main(["report", "AntCrippled", "--out", str(out), "--tasks", "2", "--no-video"]) == 0
    told = words(out)
    assert "2 trials each" in told
    assert "held out (1 task)" in told
    assert "in 2 trials of 1 held-out task, never trained on" in told
    assert "interquartile mean over trials" in told
    assert "The trials in which it does worst" in told
    assert "2 held-out tasks" not in told


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


OWN = """
<mujoco><worldbody><geom type="plane" size="5 5 .1"/>
  <body name="trunk" pos="0 0 .4"><freejoint/><geom type="box" size=".2 .1 .05" mass="{mass}"/>
    <body pos=".2 0 0"><joint name="knee" axis="0 1 0" range="-60 60"/><geom size=".05" mass=".5"/></body></body>
</worldbody><actuator><motor joint="knee" ctrlrange="-1 1"/></actuator></mujoco>"""


def test_robots_of_one_name_and_other_bodies_stand_on_no_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("limbshift.experiments.runs.session.render_policy", lambda *_, **__: False)
    for name, mass in (("one", 2), ("two", 3)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "own.xml").write_text(OWN.format(mass=mass))
        assert main(["train", "--robot", str(folder / "own.xml"), *SIZES, "--run-dir", str(folder / "run")]) == 0
    runs = [str(tmp_path / name / "run") for name in ("one", "two")]
    capsys.readouterr()
    assert main(["report", *runs, "--out", str(tmp_path / "no.html")]) == 2
    assert "moves another robot of the name own" in capsys.readouterr().err
    assert main(["render", runs[0], "--against", runs[1], "--out", str(tmp_path / "no.mp4")]) == 2
    assert f"{runs[1]} moves another robot than {runs[0]}, expected the same" in capsys.readouterr().err


@pytest.mark.parametrize(
    "line",
    ["garbage", '{"step": [1], "validation/return_episode_2": 1}', '{"step": 3, "validation/return_episode_2": "hi"}'],
)
def test_a_broken_log_is_refused_before_anything_is_played(
    runs: list[Path], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs[0], run)
    with (run / "metrics.jsonl").open("a") as log:
        log.write(f"{line}\n")
    assert main(["report", str(run), "--out", str(tmp_path / "no.html")]) == 2
    told = capsys.readouterr()
    assert "metrics.jsonl" in told.err
    assert "tasks" not in told.out


def test_a_file_beside_a_runs_own_has_no_film_and_no_command_of_it(runs: list[Path], tmp_path: Path) -> None:
    other = runs[0] / "teacher.safetensors"
    shutil.copy(runs[1] / "controller.safetensors", other)
    out = tmp_path / "page.html"
    assert main(["report", str(other), "--out", str(out), "--tasks", "1", "--no-video"]) == 0
    assert "limbshift train" not in words(out)
