"""When a robot of one's own has fallen: measured from its start, and set by whoever trains it."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from limbshift.envs.errors import InputError
from limbshift.envs.mjcf.fall_rule import FallLimit, FallRule
from limbshift.envs.mjcf.families import MjcfFamily, about, check_stands
from limbshift.envs.mjcf.robot import MjcfRobot
from limbshift.experiments.cli import main
from limbshift.experiments.commands.train import train
from limbshift.experiments.runs.controllers import load_with_family
from tests.envs.robots.own_robots import begun, written

AT_ITS_FEET = """
<mujoco><worldbody><geom type="plane" size="9 9 .1"/>
  <body name="base"><freejoint/><geom type="box" size=".2 .2 .1" pos="0 0 .1" mass="10"/>
    <body name="leg" pos="0 0 .2"><joint name="knee" axis="0 1 0"/><geom size=".1" mass="10" pos="0 0 .1"/></body>
  </body>
</worldbody><actuator><motor joint="knee" ctrlrange="-1 1"/></actuator></mujoco>"""
SUBMARINE = """
<mujoco><option gravity="0 0 {gravity}" density="1000"/><worldbody>
  <body name="hull" pos="0 0 -2"><freejoint/><geom type="capsule" size=".1" fromto="-.4 0 0 .4 0 0" mass="25"/>
    <body pos="-.5 0 0"><joint name="fin" axis="0 0 1"/><geom type="box" size=".1 .01 .1" mass=".5"/></body></body>
</worldbody><actuator><position joint="fin" kp="5" ctrlrange="-1 1"/></actuator></mujoco>"""
BASE, RAISED = '<body name="base">', '<body name="base" pos="0 0 .3">'
TINY: dict[str, Any] = {"steps": 1, "num_envs": 4, "episodes": 1, "horizon": 5, "hidden_size": 8, "wandb": "disabled"}


def fallen_at(robot: MjcfRobot, *heights: float) -> list[bool]:
    """Whether the robot has fallen where it is lifted so far from its start, m."""
    env = begun(robot, num_envs=len(heights))
    env.physics.state("qpos")[:, :] = torch.tensor(robot.model.qpos0)
    env.physics.state("qpos")[:, 2] += torch.tensor(heights, dtype=torch.float64)
    env.physics.forward(env.all_envs)
    fallen = robot.fallen(env.physics)
    return [False] * len(heights) if fallen is None else fallen.tolist()


# Half of the mass is at 0.1 m, half at 0.3 m: the centre of mass is at 0.2 m, and falls below 0.1 m.
def test_height_is_that_of_the_centre_of_mass(tmp_path: Path) -> None:
    assert fallen_at(written(tmp_path, AT_ITS_FEET), 0.0, -0.09, -0.11) == [False, False, True]
    assert fallen_at(written(tmp_path, AT_ITS_FEET, fall_height=0.2), -0.11, -0.15, -0.17) == [False, False, True]
    assert fallen_at(written(tmp_path, AT_ITS_FEET, fall_height="none"), -5.0) == [False]


def test_height_is_above_the_ground(tmp_path: Path) -> None:
    """A platform 1 m high, made of a box that hangs on the world."""
    box = '<geom type="box" size="5 5 .5" pos="0 0 .5"/><body name="base" pos="0 0 1">'
    robot = written(tmp_path, AT_ITS_FEET.replace('<body name="base">', box))
    assert fallen_at(robot, 0.0, -0.09, -0.11) == [False, False, True]


def test_tilt_is_from_the_start(tmp_path: Path) -> None:
    def fallen(*, degrees: float, limit: FallLimit) -> bool:
        robot = written(tmp_path, AT_ITS_FEET, fall_height="none", fall_tilt=limit)
        env = begun(robot)
        half = torch.deg2rad(torch.tensor(degrees / 2))
        env.physics.state("qpos")[:, 3:7] = torch.tensor([half.cos(), half.sin(), 0, 0])
        env.physics.forward(env.all_envs)
        result = robot.fallen(env.physics)
        return result is not None and bool(result.all())

    assert [fallen(degrees=degrees, limit=None) for degrees in (59, 61)] == [False, True]
    assert [fallen(degrees=degrees, limit=30.0) for degrees in (29, 31)] == [False, True]
    assert not fallen(degrees=170, limit="none")


def test_what_floats_does_not_fall(tmp_path: Path) -> None:
    robot = written(tmp_path, SUBMARINE.format(gravity=0))
    assert robot.fall_rule == FallRule(None, None)
    assert robot.fallen(begun(robot).physics) is None
    assert not (robot.model.geom_type == 0).any(), "it needs no ground"
    check_stands(MjcfFamily("Limbs", robot))
    carried = SUBMARINE.format(gravity=-9.81).replace("<body ", '<body gravcomp="1" ')
    assert written(tmp_path, carried).fall_rule == FallRule(None, None)


def test_below_zero_the_ground_that_is_given_is_below_too(tmp_path: Path) -> None:
    robot = written(tmp_path, SUBMARINE.format(gravity=-9.81))
    assert robot.model.geom("ground").pos[2] == pytest.approx(-2.1)
    check_stands(MjcfFamily("Limbs", robot))


@pytest.mark.parametrize(
    ("fall", "message"),
    [
        ({"fall_height": 1.2}, "fall_height is 1.2, expected a number above 0 and below 1, or none"),
        ({"fall_height": 0.0}, "fall_height is 0.0, expected a number above 0 and below 1, or none"),
        ({"fall_tilt": float("nan")}, "fall_tilt is nan, expected a number above 0 and below 180, or none"),
    ],
)
def test_a_limit_that_cannot_be_used_is_refused(tmp_path: Path, fall: dict[str, FallLimit], message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}$"):
        written(tmp_path, AT_ITS_FEET, **fall)
    with pytest.raises(
        InputError, match=r"^fall_height is 0\.0, expected none: robot does not travel, and cannot fall$"
    ):
        written(tmp_path, AT_ITS_FEET.replace("<freejoint/>", ""), fall_height=0.0)
    rooted = AT_ITS_FEET.replace("<freejoint/>", "")
    with pytest.raises(
        InputError, match=r"^fall_tilt is 20\.0, expected none: robot does not travel, and cannot fall$"
    ):
        written(tmp_path, rooted, fall_tilt=20.0)


def test_a_robot_that_falls_at_once_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From 0.3 m above the ground, under a gravity by which it falls 0.4 m in a control step of 0.02 s."""
    path, run = tmp_path / "robot.xml", tmp_path / "run"
    path.write_text(AT_ITS_FEET.replace("<mujoco>", '<mujoco><option gravity="0 0 -2000"/>').replace(BASE, RAISED))
    assert main(["train", "--robot", str(path), "--steps", "1", "--run-dir", str(run)]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "robot robot has fallen after its first step, whatever it does (it falls when its centre of mass is" in err
    assert "other limits: fall_height, fall_tilt" in err
    assert not run.exists()


def test_a_robot_that_diverges_at_once_is_refused(tmp_path: Path) -> None:
    heavy = AT_ITS_FEET.replace("<freejoint/>", "").replace("<mujoco>", '<mujoco><option gravity="1e13 0 0"/>')
    with pytest.raises(InputError, match=r"^robot robot cannot be simulated: it diverges in its first step"):
        check_stands(MjcfFamily("Limbs", written(tmp_path, heavy)))


def test_the_rule_is_told_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, run = tmp_path / "robot.xml", tmp_path / "run"
    path.write_text(AT_ITS_FEET)
    given = ["--robot", str(path), "--run-dir", str(run), "--fall-height", "0.3", "--fall-tilt", "none"]
    sizes = ["--steps", "1", "--num-envs", "4", "--episodes", "1", "--horizon", "5", "--hidden-size", "8"]
    assert main(["train", *given, *sizes, "--wandb", "disabled"]) == 0
    told = "Robot robot: its root is base; it falls when its centre of mass is below 30 % of its starting height\n"
    assert told in capsys.readouterr().out
    config = json.loads((run / "config.json").read_text())
    assert (config["fall_height"], config["fall_tilt"]) == (0.3, "none")
    robot = load_with_family(run)[1].robot
    assert isinstance(robot, MjcfRobot)
    assert robot.fall_rule == FallRule(0.3, None)
    resumed = ["--resume", "--run-dir", str(run), "--steps", "50", "--wandb", "disabled"]
    assert main(["train", *resumed]) == 0
    assert told in capsys.readouterr().out
    assert main(["train", *resumed, "--fall-height", "0.4"]) == 2
    assert "fall_height is 0.4, expected 0.3 as the run was begun with" in capsys.readouterr().err


def test_a_rule_in_python(tmp_path: Path) -> None:
    path = tmp_path / "robot.xml"
    path.write_text(AT_ITS_FEET)
    run = train(robot=path, fall_height="none", fall_tilt=45, run_dir=tmp_path / "run", **TINY)
    robot = load_with_family(run)[1].robot
    assert isinstance(robot, MjcfRobot)
    assert robot.fall_rule == FallRule(None, 45.0)
    with pytest.raises(InputError, match="fall_height and fall_tilt are for robots of one's own"):
        train("HalfCheetahDir", fall_tilt=45, run_dir=tmp_path / "other", **TINY)
    with pytest.raises(InputError, match="fall_height and fall_tilt are for robots of one's own"):
        train(MjcfFamily("Limbs", robot), fall_tilt=45, run_dir=tmp_path / "other", **TINY)


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    mjcf = AT_ITS_FEET.replace("<actuator>", '<actuator><damper name="brake" joint="knee" kv="1" ctrlrange="0 1"/>')
    robot = written(tmp_path, mjcf)
    assert about(MjcfFamily("Wiring", robot))[1:] == ["Left out of Wiring, as it cannot change them: brake"]
    assert not about(MjcfFamily("Motors", robot))[1:]
