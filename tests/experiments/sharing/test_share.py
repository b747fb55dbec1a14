"""Folders to share: what is in them, what is told of it, and that they are controllers like any other."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from limbshift.experiments.cli import main
from limbshift.experiments.commands.evaluate import evaluate
from limbshift.experiments.runs.controllers import SHIPPED, load_controller, shipped_names
from limbshift.experiments.sharing.card import card
from limbshift.experiments.sharing.listing import catalogue
from limbshift.experiments.sharing.record import SplitRecord
from limbshift.experiments.sharing.record_file import RECORD, read_record

SIZES = ["--num-envs", "2", "--horizon", "5", "--hidden-size", "8", "--steps", "1", "--wandb", "disabled"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of a moment, without a video."""
    path = tmp_path_factory.mktemp("trained") / "run"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("limbshift.experiments.runs.session.render_policy", lambda *_, **__: False)
        assert main(["train", "HalfCheetahVel", *SIZES, "--hide-reward", "--run-dir", str(path)]) == 0
    return path


def test_a_folder_to_share_tells_how_to_train_again_and_what_came_of_it(run: Path, tmp_path: Path) -> None:
    (run / "adaptation.mp4").write_bytes(b"film")
    out = tmp_path / "shared"
    told = ["--words", "It hardly moves.", "--where", "two cores"]
    assert main(["share", str(run), "--out", str(out), "--tasks", "3", *told]) == 0
    assert {path.name for path in out.iterdir()} == {"README.md", RECORD, "controller.safetensors", "adaptation.mp4"}
    assert (out / "controller.safetensors").read_bytes() == (run / "controller.safetensors").read_bytes()
    assert (out / "adaptation.mp4").read_bytes() == b"film"
    text = " ".join((out / "README.md").read_text().split())
    command = "limbshift train HalfCheetahVel --steps 1 --num-envs 2 --horizon 5 --hide-reward --hidden-size 8"
    assert f"0.0 minutes (0.0 M env steps) on two cores, in trials of 2 x 5 steps: `{command}`." in text
    heldout, beyond = (evaluate(run, split=split, num_tasks=3) for split in ("heldout", "extrapolation"))
    assert f"| 2 | {heldout.iqm[1]:.1f} (" in text
    assert f"| outside the training ranges | {beyond.iqm[1]:.1f} (" in text
    assert "It hardly moves. [A video of it adapting](adaptation.mp4)" in text
    assert evaluate(out, num_tasks=3).returns == heldout.returns  # the folder is used as a run directory is
    assert main(["share", str(run), "--out", str(out), "--tasks", "2", "--no-video"]) == 0  # again, in its place
    assert not (out / "adaptation.mp4").exists(), "a film of what was shared before"


def test_metadata_is_what_hugging_face_reads(run: Path, tmp_path: Path) -> None:
    assert main(["share", str(run), "--out", str(tmp_path / "shared"), "--tasks", "3", "--no-video"]) == 0
    _, front, _ = (tmp_path / "shared" / "README.md").read_text().split("---\n", 2)
    about = yaml.safe_load(front)
    assert (about["library_name"], about["pipeline_tag"]) == ("limbshift", "reinforcement-learning")
    (model,) = about["model-index"]
    splits = [result["dataset"]["name"] for result in model["results"]]
    assert splits == [f"HalfCheetahVel, {split} tasks" for split in ("train", "heldout", "extrapolation")]
    value = read_record(tmp_path / "shared" / RECORD).heldout.returns.iqm[-1]
    assert model["results"][1]["metrics"][0]["value"] == round(value, 1)


def test_a_folder_that_holds_other_things_is_left_alone(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "README.md").write_text("mine")
    assert main(["share", str(run), "--out", str(tmp_path)]) == 2
    expected = "expected a new one, or one of an earlier share"
    assert capsys.readouterr().err == f"limbshift: folder {tmp_path} holds README.md, {expected}\n"
    (tmp_path / "notes.txt").write_text("mine")
    assert main(["share", str(run), "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"limbshift: folder {tmp_path} holds notes.txt, {expected}\n"
    assert {path.name for path in tmp_path.iterdir()} == {"README.md", "notes.txt"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"steps": -1}, "steps is -1, expected"),
        ({"splits": [{"split": "heldout"}]}, "lacks unseen"),
        ({"colour": "red"}, "holds an unknown 'colour'"),
    ],
)
def test_a_broken_record_is_named(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, object], told: str
) -> None:
    path = tmp_path / RECORD
    content = json.loads((SHIPPED / "ReacherGoal" / RECORD).read_text())
    path.write_text(json.dumps({**content, **change}))
    with pytest.raises(ValueError, match=told):
        read_record(path)


@pytest.mark.parametrize("name", shipped_names())
def test_a_shipped_controller_lies_in_such_a_folder(name: str) -> None:
    record, about = read_record(SHIPPED / name / RECORD), load_controller(name).card
    assert (record.family, record.steps, record.horizon) == (about.family, about.steps, about.horizon)
    assert (SHIPPED / name / "README.md").read_text() == card(record)


def test_a_card_tells_of_trials_where_tasks_are_fewer() -> None:
    found = SplitRecord.of(evaluate("AntCrippled", num_tasks=3, horizon=2))
    record = replace(read_record(SHIPPED / "AntCrippled" / RECORD), splits=(found,))
    assert "Return per episode in 3 trials of 1 held-out task, never trained on:" in card(record)


def test_the_list_is_in_the_readme(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["controllers", "--markdown"]) == 0
    assert capsys.readouterr().out == catalogue() + "\n"
    readme = (Path(__file__).parents[3] / "README.md").read_text()
    assert catalogue() in readme, "print it anew: limbshift controllers --markdown"


def test_the_list_has_a_line_for_each_in_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["controllers"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if " M steps " in line] == shipped_names()
    (line,) = (line for line in lines if line.split()[:1] == ["AntCrippled"])
    assert line.split() == ["AntCrippled", "2", "x", "200", "8.0", "M", "steps", "407", "408", "5", "%", "11.9"]


def test_what_is_shared_again_keeps_what_was_told_of_it(tmp_path: Path) -> None:
    out = tmp_path / "again"
    assert main(["share", "ReacherGoal", "--out", str(out), "--tasks", "1", "--no-video"]) == 0
    before, after = read_record(SHIPPED / "ReacherGoal" / RECORD), read_record(out / RECORD)
    assert (after.how, after.where, after.words) == (before.how, before.where, before.words)
    assert main(["share", str(out), "--out", str(out), "--tasks", "1", "--no-video"]) == 0  # in its own place
    assert read_record(out / RECORD).how == before.how
