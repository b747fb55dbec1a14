"""Robots that come as a file: one of our own to work out by hand, and those of other projects."""

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import pytest

from limbshift.envs.mjcf.fall_rule import FallLimit
from limbshift.envs.mjcf.families import MjcfFamily
from limbshift.envs.mjcf.robot import MjcfRobot
from limbshift.envs.physics.models import gymnasium_xml
from limbshift.envs.task_env import TaskEnv

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


def written(folder: Path, mjcf: str, *, fall_height: FallLimit = None, fall_tilt: FallLimit = None) -> MjcfRobot:
    """The robot of an MJCF text."""
    path = folder / "robot.xml"
    path.write_text(mjcf)
    return MjcfRobot.from_xml(path, fall_height=fall_height, fall_tilt=fall_tilt)


SUITE = find_spec("dm_control")
needs_suite = pytest.mark.skipif(
    SUITE is None, reason="no dm_control: labmaze, which it needs, has no wheel for Python 3.13"
)


def suite_xml(name: str) -> Path:
    """A robot of the DeepMind Control Suite, which need not be there."""
    return Path((SUITE and SUITE.origin) or "dm_control/__init__.py").with_name("suite") / name


def each_of(robots: Iterable[Path]) -> pytest.MarkDecorator:
    """Runs a test on each of these robots, as `xml`."""
    marked = [(xml, needs_suite if "dm_control" in xml.parts else ()) for xml in robots]
    named = [pytest.param(xml, marks=marks, id=f"{xml.parents[1].name}-{xml.stem}") for xml, marks in marked]
    return pytest.mark.parametrize("xml", named)


TRAVELLERS = (
    *map(gymnasium_xml, ("ant.xml", "half_cheetah.xml", "humanoid.xml", "swimmer.xml")),
    *map(suite_xml, ("cheetah.xml", "dog.xml", "fish.xml", "humanoid_CMU.xml", "quadruped.xml", "walker.xml")),
)

FIXED = (*map(gymnasium_xml, ("pusher_v5.xml", "reacher.xml")), *map(suite_xml, ("finger.xml", "manipulator.xml")))


def begun(robot: MjcfRobot, kind: str = "Limbs", num_envs: int = 2) -> TaskEnv:
    env = TaskEnv(MjcfFamily(kind, robot), num_envs)
    env.begin_tasks(env.all_envs)
    env.begin_episodes(env.all_envs)
    return env
