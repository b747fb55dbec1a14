"""Robots that come as a file, of other projects too: what is known of them, and how they are trained."""

from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest
import torch

from limbshift.envs.errors import InputError
from limbshift.envs.mjcf.families import KINDS, MjcfFamily
from limbshift.envs.mjcf.robot import MjcfRobot
from limbshift.envs.task_env import TaskEnv
from limbshift.experiments.cli import main
from limbshift.experiments.commands.evaluate import evaluate
from limbshift.experiments.commands.train import train
from limbshift.experiments.runs.controllers import load_with_family
from tests.envs.robots.own_robots import CRAWLER, FIXED, TRAVELLERS, begun, each_of, needs_suite, suite_xml

TINY: dict[str, Any] = {"steps": 1, "num_envs": 4, "episodes": 2, "horizon": 5, "hidden_size": 8, "wandb": "disabled"}


pytestmark = pytest.mark.filterwarnings("ignore:.*settotalmass")  # half-cheetah's XML uses this deprecated attribute


def test_what_is_known_of_a_robot_by_hand(crawler: MjcfRobot) -> None:
    assert crawler.name == "crawler"
    assert crawler.frame_skip == 5  # 0.02 s of 0.004 s each
    assert crawler.travels
    names = [crawler.model.body(number).name for number in range(1, 3)]
    assert names == ["trunk", "body_2"]
    assert crawler.model.geom("ground").type == 0
    env = begun(crawler)
    assert env.obs_dim == 8 - 2 + 7
    # From the keyframe's 0.5 the ends of the range, -0.5 and 1.5, are both 1 away.
    action = torch.tensor([[-1.0], [0.5]], dtype=torch.float64)
    assert crawler.controls(action).flatten().tolist() == [-0.5, 1.0]
    assert env.observe()[:, 0].tolist() == pytest.approx([0.35, 0.35])
    assert env.observe()[:, 5].tolist() == pytest.approx([0.3, 0.3], abs=0.0101)


def test_a_robot_falls_when_it_is_low_or_tilted(crawler: MjcfRobot) -> None:
    env = begun(crawler, num_envs=3)
    qpos = env.physics.state("qpos")
    qpos[1, 2] = 0.17
    qpos[2, 3:7] = torch.tensor([np.cos(np.pi / 5), np.sin(np.pi / 5), 0, 0])  # 72 degrees about x
    env.physics.forward(env.all_envs)
    fallen = crawler.fallen(env.physics)
    assert fallen is not None
    assert fallen.tolist() == [False, True, True]


def test_a_payload_and_a_dead_motor_reach_the_model(crawler: MjcfRobot) -> None:
    env = TaskEnv(MjcfFamily("Payload", crawler), 1)
    env.set_tasks([{"payload": 0.75}], env.all_envs)
    assert env.physics.model_field("body_mass")[0].tolist() == [0.0, 2.75, 0.5]
    env = TaskEnv(MjcfFamily("Motors", crawler), 2)
    env.set_tasks([{"motor_strength": 0.5}, {"dead_motor": 1}], env.all_envs)
    assert env.physics.model_field("actuator_gainprm")[:, 0, 0].tolist() == [10.0, 0.0]
    assert env.physics.model_field("actuator_biasprm")[:, 0, 1].tolist() == [-10.0, 0.0]


@pytest.mark.parametrize("kind", KINDS)
@each_of([*TRAVELLERS, *FIXED])
def test_every_family_of_a_robot_of_another_project(xml: Path, kind: str) -> None:
    env = begun(MjcfRobot.from_xml(xml), kind)
    assert env.robot.fallen(env.physics) is None or xml in TRAVELLERS
    for action in torch.rand(10, 2, env.action_dim):
        step = env.step(2 * action - 1)
        assert step.reward.isfinite().all()
        assert env.observe().isfinite().all()
    assert set(step.terms) == {"run" if xml in TRAVELLERS else "pose", "control"}
    env.set_tasks([{}, {}], env.all_envs)
    for field in env.family.model_fields:
        nominal = env.physics.nominal(field)
        assert torch.equal(env.physics.model_field(field), nominal.expand(2, *nominal.shape))


@needs_suite
def test_a_robot_of_another_package_is_trained_from_its_run_alone(tmp_path: Path) -> None:
    run = tmp_path / "run"
    given = ["--robot", str(suite_xml("walker.xml")), "--run-dir", str(run), "--wandb", "disabled"]
    sizes = ["--steps", "1", "--num-envs", "4", "--episodes", "2", "--horizon", "5", "--hidden-size", "8"]
    assert main(["train", "Motors", *given, *sizes]) == 0
    assert evaluate(run, num_tasks=2).family == "Motors"


def test_a_run_goes_on_and_is_evaluated_without_the_original(tmp_path: Path) -> None:
    original = tmp_path / "my_robot.xml"
    original.write_text(CRAWLER)
    run = train(robot=original, run_dir=tmp_path / "run", **TINY)
    first = evaluate(run, num_tasks=4)
    assert first.family == "Limbs"
    assert list(first.tasks[0]) == ["trunk_mass", "body_2_mass"]
    original.unlink()
    moved = run.rename(tmp_path / "elsewhere")
    assert evaluate(moved, num_tasks=4) == first
    assert main(["train", "--resume", "--run-dir", str(moved), "--steps", "100", "--wandb", "disabled"]) == 0
    assert load_with_family(moved)[0].card.steps == 120  # three iterations of 40
    (moved / "robot.zip").unlink()
    with pytest.raises(InputError, match=r"moves the robot my_robot, expected its robot\.zip beside"):
        evaluate(moved)


def test_a_run_goes_on_with_its_own_robot_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    original, moved, other = (tmp_path / name for name in ("robot.xml", "moved.xml", "other.xml"))
    original.write_text(CRAWLER)
    run = train(robot=original, run_dir=tmp_path / "run", **TINY)
    resumed = ["train", "--resume", "--run-dir", str(run), "--wandb", "disabled", "--steps"]
    other.write_text(CRAWLER.replace('mass="2"', 'mass="3"'))
    assert main([*resumed, "50", "--robot", str(other)]) == 2
    assert f"robot {other} differs from the one that {run} was begun with" in capsys.readouterr().err
    original.rename(moved)
    assert main([*resumed, "50", "--robot", str(moved)]) == 0
    original.write_text(other.read_text())
    with pytest.raises(InputError, match=f"^robot {original} differs from the one"):
        train(robot=original, run_dir=run, resume=True, steps=100)
    assert load_with_family(run)[0].card.steps == 80


def test_a_run_whose_robot_reaches_outside_goes_on_with_it(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "crawler.xml").write_text(CRAWLER)
    robot = tmp_path / "own" / "robot.xml"
    robot.write_text('<mujoco><include file="../crawler.xml"/></mujoco>')
    run = train(robot=robot, allow_outside=True, run_dir=tmp_path / "run", **TINY)
    assert train(robot=robot, run_dir=run, resume=True, steps=50) == run
    assert load_with_family(run)[0].card.steps == 80


def test_a_family_that_robots_do_not_have_is_refused(crawler: MjcfRobot) -> None:
    with pytest.raises(InputError, match=r"^a robot of one's own has no family 'Motor': did you mean Motors\?$"):
        MjcfFamily("Motor", crawler)


def chain(links: int) -> str:
    """A robot of so many hinges in a row that MuJoCo takes its Jacobian for sparse."""
    link = (
        '<body pos="0.05 0 0"><joint name="j{0}" axis="0 {1} {2}" range="-20 20"/>'
        '<geom size=".02" fromto="0 0 0 .05 0 0" type="capsule"/>'
    )
    bodies = "".join(link.format(number, number % 2, 1 - number % 2) for number in range(links)) + "</body>" * links
    motor = '<motor joint="j0" ctrlrange="-1 1"/>'
    return f"<mujoco><worldbody>{bodies}</worldbody><actuator>{motor}</actuator></mujoco>"


def test_a_long_chain_has_a_dense_jacobian(tmp_path: Path) -> None:
    path = tmp_path / "chain.xml"
    path.write_text(chain(64))
    plain = mujoco.MjModel.from_xml_path(str(path))
    robot = MjcfRobot.from_xml(path)
    assert mujoco.mj_isSparse(plain)
    assert not mujoco.mj_isSparse(robot.model)
    robot.save(tmp_path / "robot.zip")
    assert not mujoco.mj_isSparse(MjcfRobot.load(tmp_path / "robot.zip", "chain").model)
