"""`limbshift distill`: a student of a run that is shown its task."""

from pathlib import Path

import pytest
import torch

import limbshift
from limbshift.experiments.cli import main

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
