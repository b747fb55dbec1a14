"""Robots that come as a file: those of other projects, and what is wrong with files that are none."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from limbshift.envs.errors import InputError
from limbshift.envs.physics.models import gymnasium_xml
from limbshift.envs.robots.mjcf_robot import KINDS, MjcfFamily, MjcfRobot
from limbshift.envs.task_env import TaskEnv
from limbshift.experiments.cli import main
from limbshift.experiments.commands.evaluate import evaluate
from limbshift.experiments.commands.train import train
from limbshift.experiments.runs.controllers import load_with_family

TINY: dict[str, Any] = {"steps": 1, "num_envs": 4, "episodes": 2, "horizon": 5, "hidden_size": 8, "wandb": "disabled"}


def suite_xml(name: str) -> Path:
    """A robot of the DeepMind Control Suite."""
    package = find_spec("dm_control")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).with_name("suite") / name


TRAVELLERS = (
    *map(gymnasium_xml, ("ant.xml", "half_cheetah.xml", "humanoid.xml", "swimmer.xml")),
    *map(suite_xml, ("cheetah.xml", "dog.xml", "fish.xml", "humanoid_CMU.xml", "quadruped.xml", "walker.xml")),
)
FIXED = (*map(gymnasium_xml, ("pusher_v5.xml", "reacher.xml")), *map(suite_xml, ("finger.xml", "manipulator.xml")))

pytestmark = pytest.mark.filterwarnings("ignore:.*settotalmass")  # half-cheetah's XML uses this deprecated attribute

CRAWLER = """
<mujoco>
  <option timestep="0.004"/>
  <worldbody>
    <body name="trunk" pos="0 0 0.4">
      <freejoint/>
      <geom type="box" size="0.2 0.1 0.05" mass="2"/>
      <body pos="0.2 0 0">
        <joint name="knee" type="hinge" axis="0 1 0" range="-60 90"/>
        <geom type="capsule" size="0.03" fromto="0 0 0 0 0 -0.3" mass="0.5"/>
      </body>
    </body>
  </worldbody>
  <actuator><position name="servo" joint="knee" kp="20" ctrlrange="-0.5 1.5"/></actuator>
  <keyframe><key qpos="0 0 0.35 1 0 0 0 0.3" ctrl="0.5"/></keyframe>
</mujoco>
"""


@pytest.fixture
def crawler(tmp_path: Path) -> MjcfRobot:
    path = tmp_path / "crawler.xml"
    path.write_text(CRAWLER)
    return MjcfRobot.from_xml(path)


def begun(robot: MjcfRobot, kind: str = "Limbs", num_envs: int = 2) -> TaskEnv:
    env = TaskEnv(MjcfFamily(kind, robot), num_envs)
    env.begin_tasks(env.all_envs)
    env.begin_episodes(env.all_envs)
    return env


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
@pytest.mark.parametrize("xml", [*TRAVELLERS, *FIXED], ids=lambda path: f"{path.parents[1].name}-{path.stem}")
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
    (moved / "robot.mjb").unlink()
    with pytest.raises(InputError, match=r"moves the robot my_robot, expected its robot\.mjb beside"):
        evaluate(moved)


@pytest.mark.parametrize(
    ("mjcf", "message"),
    [
        ("<mujoco><wrldbody/></mujoco>", "unrecognized element Element 'wrldbody', line 1"),
        ("<mujoco><worldbody><body><geom size='0'/></body></worldbody></mujoco>", "size 0 must be positive"),
        ("<mujoco><worldbody><body><geom size='1'/></body></worldbody></mujoco>", "has no actuators"),
        (CRAWLER.replace(' ctrlrange="-0.5 1.5"', ""), "actuator servo of robot .* has no ctrlrange"),
    ],
)
def test_what_is_no_robot_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], mjcf: str, message: str
) -> None:
    path = tmp_path / "robot.xml"
    path.write_text(mjcf)
    with pytest.raises(InputError, match=message):
        MjcfRobot.from_xml(path)
    assert main(["train", "--robot", str(path), "--run-dir", str(tmp_path / "run")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_family_that_robots_do_not_have_is_refused(crawler: MjcfRobot) -> None:
    with pytest.raises(InputError, match=r"^a robot of one's own has no family 'Motor': did you mean Motors\?$"):
        MjcfFamily("Motor", crawler)


def test_a_broken_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "robot.mjb"
    path.write_bytes(b"no model")
    with pytest.raises(InputError, match="is no compiled model of MuJoCo"):
        MjcfRobot.load(path, "x")
