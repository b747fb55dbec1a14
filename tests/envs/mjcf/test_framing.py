"""Films of robots of one's own: of the robot, which fills about half of the frame, whatever its size."""

from pathlib import Path

import numpy as np
import pytest

from limbshift.envs.mjcf.robot import MjcfRobot
from limbshift.envs.physics.models import gymnasium_xml
from limbshift.envs.rendering import NEUTRAL
from tests.envs.film import HEIGHT, WIDTH, Film
from tests.envs.robots.own_robots import each_of, suite_xml, written
from tests.gl import needs_gl

WALKER = """
<mujoco><asset><material name="red" rgba="1 0 0 1"/></asset><worldbody>{scenery}
  <body name="trunk" pos="{x} 0 {height}"><freejoint/>
    <geom type="box" size="{long} {half} {half}" mass="{mass}" material="red"/>
    <body pos="{long} 0 0"><joint name="knee" axis="0 1 0"/>
      <geom type="capsule" size="{thin}" fromto="0 0 0 0 0 -{leg}" mass="{mass}"/></body></body>
</worldbody><actuator><motor joint="knee" ctrlrange="-1 1"/></actuator></mujoco>"""
FLOOR = '<geom type="plane" size="500 500 .1"/>'
BALL = '<body name="ball" pos="0 {0} {1}"><freejoint/><geom size="{1}"/></body>'


def walker(folder: Path, scale: float, *, x: float = 0.0, scenery: str = FLOOR) -> MjcfRobot:
    sizes = {"height": 0.4, "long": 0.2, "half": 0.05, "thin": 0.03, "leg": 0.3}
    scaled = {name: scale * size for name, size in sizes.items()}
    return written(folder, WALKER.format(scenery=scenery, x=x, mass=10 * scale**3, **scaled))


def share(film: Film) -> float:
    """The larger share of the frame's width and height that the robot's box takes; the box must lie amid the frame."""
    rows, columns = np.nonzero(film.seen())
    for places, size in ((rows, HEIGHT), (columns, WIDTH)):
        assert abs((places.min() + places.max() + 1) / 2 - size / 2) < size / 10
    return float(max((np.ptp(rows) + 1) / HEIGHT, (np.ptp(columns) + 1) / WIDTH))


@needs_gl
@pytest.mark.parametrize("scale", [0.05, 1.0, 12.0])
@pytest.mark.parametrize("scenery", [FLOOR, "", BALL + FLOOR], ids=["floor", "none", "ball"])
def test_a_robot_of_any_size_fills_half_of_the_frame(tmp_path: Path, scale: float, scenery: str) -> None:
    robot = walker(tmp_path, scale, scenery=scenery.format(scale, scale / 9))
    for film in (Film(robot), Film(robot, x=30.0, z=2.0)):
        assert 1 / 3 < share(film) < 2 / 3
        film.close()


@needs_gl
@pytest.mark.filterwarnings("ignore:.*settotalmass")
@each_of([*map(gymnasium_xml, ("ant.xml", "reacher.xml")), *map(suite_xml, ("fish.xml", "manipulator.xml"))])
def test_a_robot_of_another_project_fills_half_of_the_frame(xml: Path) -> None:
    film = Film(MjcfRobot.from_xml(xml))
    assert 1 / 3 < share(film) < 2 / 3
    film.close()


@needs_gl
def test_colours_are_the_robots(tmp_path: Path) -> None:
    """The red of its material gives way to neutral colours, on which its masses show."""
    film = Film(walker(tmp_path, 1.0, scenery=BALL.format(1, 0.1) + FLOOR))
    picture, seen = film.frame().astype(int), film.seen()
    red, green, _ = picture[seen].mean(axis=0)
    assert red / green == pytest.approx(NEUTRAL[0] / NEUTRAL[1], rel=0.1)
    film.close()


def test_an_underwater_vehicle_is_looked_at_where_it_is(tmp_path: Path) -> None:
    mjcf = WALKER.format(scenery="", x=3, height=-2, long=0.2, half=0.05, thin=0.05, leg=0.05, mass=1)
    robot = written(tmp_path, mjcf.replace("<mujoco>", '<mujoco><option gravity="0 0 0"/>'))
    assert robot.framing is not None
    # From -0.05 - 0.05 - 0.05 below the trunk to 0.05 above it; from -0.2 behind it to 0.2 + 0.05 before it.
    assert robot.framing.height == pytest.approx(0.15)
    assert robot.framing.center[0] == pytest.approx(3.025, abs=0.02)
    assert robot.framing.center[2] == pytest.approx(-2.025, abs=0.02)
    assert robot.camera["distance"] < 2
