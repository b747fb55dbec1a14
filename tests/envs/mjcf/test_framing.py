"""Films of robots of one's own: of the robot, which fills about half of the frame, whatever its size."""

from pathlib import Path

import mujoco
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from limbshift.envs.mjcf.families import MjcfFamily
from limbshift.envs.physics.engine import Engine
from limbshift.envs.physics.models import gymnasium_xml
from limbshift.envs.rendering import NEUTRAL, TaskRenderer
from limbshift.envs.robots.mjcf_robot import MjcfRobot
from limbshift.envs.task_env import TaskEnv
from tests.envs.robots.own_robots import suite_xml, written
from tests.gl import needs_gl

WIDTH, HEIGHT = 160, 120
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


class Film:
    """Pictures of a robot at its start, moved so far."""

    def __init__(self, robot: MjcfRobot, x: float = 0.0, z: float = 0.0) -> None:
        self.robot = robot
        self.env = TaskEnv(MjcfFamily("Limbs", robot), 1, engine=Engine(num_threads=1))
        self.env.set_tasks([{}], self.env.all_envs)
        self.env.physics.state("qpos")[:] = robot.start.like(torch.zeros(1, dtype=torch.float64))
        if robot.travels:
            free = int(robot.model.jnt_qposadr[robot.model.body_jntadr[robot.root]])
            self.env.physics.state("qpos")[:, free] += x
            self.env.physics.state("qpos")[:, free + 2] += z
        self.env.physics.forward(self.env.all_envs)
        self.renderer = TaskRenderer(self.env.family, WIDTH, HEIGHT)

    def frame(self) -> NDArray[np.uint8]:
        return self.renderer.frame(self.env.physics, 0, self.env.family.nominal)

    def seen(self) -> NDArray[np.bool_]:
        """(HEIGHT, WIDTH) whether a pixel shows the robot."""
        self.frame()
        inner = self.renderer._renderer
        inner.enable_segmentation_rendering()
        picture = inner.render()
        inner.disable_segmentation_rendering()
        geoms = np.flatnonzero(np.isin(self.robot.model.geom_bodyid, self.robot.mechanism.shown))
        is_geom = picture[..., 1] == int(mujoco.mjtObj.mjOBJ_GEOM)
        shown: NDArray[np.bool_] = is_geom & np.isin(picture[..., 0], geoms)
        return shown

    def close(self) -> None:
        self.renderer.close()
        self.env.close()


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
@pytest.mark.parametrize(
    "xml",
    [gymnasium_xml("ant.xml"), gymnasium_xml("reacher.xml"), suite_xml("fish.xml"), suite_xml("manipulator.xml")],
    ids=lambda path: path.stem,
)
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
