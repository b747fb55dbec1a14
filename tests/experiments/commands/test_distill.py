"""`limbshift distill`: a student of a run that is shown its task."""

from pathlib import Path

import pytest
import torch

import limbshift
from limbshift.envs.errors import InputError
from limbshift.experiments.cli import main
from tests.envs.robots.own_robots import CRAWLER

SMALL = ["--steps", "60", "--num-envs", "4", "--horizon", "5", "--hidden-size", "8", "--wandb", "disabled"]


@pytest.fixture(autouse=True)
def no_video(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limbshift.experiments.runs.session.render_policy", lambda *_, **__: False)


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("teacher") / "oracle"
    arguments = ["train", "HalfCheetahDir", "--variant", "gymnasium", "--observe-task", "--run-dir", str(run)]
    assert main([*arguments, *SMALL]) == 0
    return run


def test_a_student_is_of_its_teachers_family_and_sees_no_task(oracle: Path, tmp_path: Path) -> None:
    student = tmp_path / "student"
    assert main(["distill", str(oracle), "--run-dir", str(student), *SMALL]) == 0
    controller = limbshift.load_controller(student)
    assert (controller.card.family, controller.card.variant) == ("HalfCheetahDir", "gymnasium")
    assert controller.policy.spec.task_dim == 0
    kept, own = (limbshift.load_controller(path).policy for path in (student / "teacher.safetensors", oracle))
    assert torch.equal(*(torch.nn.utils.parameters_to_vector(policy.parameters()) for policy in (kept, own)))


def test_it_goes_on_without_the_teachers_run(oracle: Path, tmp_path: Path) -> None:
    student = tmp_path / "student"
    assert main(["distill", str(oracle / "controller.safetensors"), "--run-dir", str(student), *SMALL]) == 0
    moved = oracle.rename(oracle.with_name("elsewhere"))
    try:
        assert main(["train", "--resume", "--run-dir", str(student), "--steps", "120"]) == 0
    finally:
        moved.rename(oracle)
    assert limbshift.load_controller(student).card.steps == 120


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["distill"], "TEACHER is missing, expected a run that was trained with --observe-task"),
        (
            ["distill", "HalfCheetahDir"],
            "teacher does not see its task, expected one that was trained with --observe-task",
        ),
        (["distill", "nowhere/run"], "no run directory nowhere/run, expected one that `limbshift train` made"),
    ],
)
def test_what_is_no_teacher_is_told_in_one_line(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*arguments, *SMALL]) == 2
    assert capsys.readouterr().err == f"limbshift: {message}\n"
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def own_oracle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """On a robot of the user's own."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "mine.xml").write_text(CRAWLER)
    run = folder / "oracle"
    arguments = ["--robot", str(folder / "mine.xml"), "--observe-task", "--run-dir", str(run), *SMALL]
    assert main(["train", "Ground", *arguments]) == 0
    return run


def test_a_student_on_a_robot_of_ones_own_goes_on(own_oracle: Path, tmp_path: Path) -> None:
    student = tmp_path / "student"
    assert main(["distill", str(own_oracle), "--run-dir", str(student), *SMALL]) == 0
    assert main(["train", "--resume", "--run-dir", str(student), "--steps", "120"]) == 0
    card = limbshift.load_controller(student).card
    assert (card.robot, card.family, card.steps) == ("mine", "Ground", 120)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["distill", "{own}", "--robot", "{other}"],
            "robot is {other}, expected none beside a teacher",
        ),
        (["distill", "{gymnasium}", "--variant", "default"], "unknown option --variant"),
        (
            ["train", "HalfCheetahDir", "--teacher", "{gymnasium}"],
            "teacher was trained on variant gymnasium, expected default as the student's",
        ),
        (
            ["train", "Ground", "--robot", "{other}", "--teacher", "{own}"],
            "teacher moves the robot in {own}/robot.zip, expected the student's other",
        ),
    ],
)
def test_a_teacher_of_another_body_is_refused(
    arguments: list[str],
    message: str,
    oracle: Path,
    own_oracle: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "other.xml").write_text(CRAWLER.replace("0 1 0", "1 0 0"))
    paths = {"own": own_oracle, "gymnasium": oracle, "other": tmp_path / "other.xml"}
    run = tmp_path / "run"
    given = [argument.format(**paths) for argument in arguments]
    assert main([*given, "--run-dir", str(run), *SMALL]) == 2
    assert capsys.readouterr().err.startswith(f"limbshift: {message.format(**paths)}")
    assert not run.exists()


def test_a_teachers_variant_is_the_students_in_python_too(oracle: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="variant is zzz, expected gymnasium as the teacher's"):
        limbshift.train(teacher=oracle, variant="zzz", run_dir=tmp_path / "run")
