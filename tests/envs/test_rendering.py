"""Frames that show the robot and its task."""

import ctypes.util
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from limbshift import envs
from limbshift.envs.catalogue import make_family
from limbshift.envs.mjcf.robot import MjcfRobot
from limbshift.envs.physics.engine import Engine
from limbshift.envs.rendering import HIGH, LOW, NEUTRAL, SWITCHED, TaskRenderer, body_colors, effect_color
from limbshift.envs.task_env import TaskEnv
from limbshift.envs.tasks.common import DIRECTION
from limbshift.envs.tasks.parameter import TaskParameter
from tests.gl import needs_gl

WIDTH, HEIGHT = 160, 120
TWO_LEGS = Path(__file__).parents[2] / "examples" / "two_legs.xml"
RANGE = TaskParameter("torso_mass", 0.25, 4.0, "", scale="log")
SWITCH = TaskParameter("torso_sign", -1.0, 1.0, "", choices=(-1.0, 1.0))


class Stage:
    """One simulation, whose task and state are set, and its frames."""

    def __init__(self, family: str) -> None:
        self.env = TaskEnv(make_family(family), 1, engine=Engine(num_threads=1))
        self.renderer = TaskRenderer(self.env.family, WIDTH, HEIGHT)

    def frame(self, x: float = 0.0, **task: float) -> NDArray[np.uint8]:
        """(HEIGHT, WIDTH, 3) of the robot in its default state, x metres along the track."""
        full: Mapping[str, float] = {**self.env.family.nominal, **task}
        self.env.set_tasks([full], self.env.all_envs)
        self.env.physics.reset(self.env.all_envs)
        self.env.family.place_goal(self.env.physics, self.env.task, self.env.all_envs)
        self.env.physics.state("qpos")[:, 0] += x
        return self.renderer.frame(self.env.physics, 0, full)

    def close(self) -> None:
        self.renderer.close()
        self.env.close()


@pytest.fixture
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    stage = Stage(request.param)
    yield stage
    stage.close()


def pixels_like(frame: NDArray[np.uint8], red: int, green: int, blue: int) -> int:
    """How many pixels are that way coloured: each sign says whether a channel is far above or below the mean."""
    channels = frame.astype(int)
    away = channels - channels.mean(axis=-1, keepdims=True)
    wanted = np.array([red, green, blue])
    return int(((away * wanted > 25) | (wanted == 0)).all(axis=-1).sum())


def test_colours_of_a_range_diverge_from_neutral() -> None:
    assert effect_color(RANGE, 1.0) == pytest.approx(NEUTRAL)
    assert effect_color(RANGE, 0.25) == pytest.approx(LOW)
    assert effect_color(RANGE, 4.0) == pytest.approx(HIGH)
    assert effect_color(RANGE, 100.0) == pytest.approx(HIGH)  # outside the range, the end's colour
    half = [(start + end) / 2 for start, end in zip(NEUTRAL, HIGH, strict=True)]
    assert effect_color(RANGE, 2.0) == pytest.approx(half)  # half way from 1 to 4, on a scale of logarithms


def test_colours_of_a_switch() -> None:
    assert effect_color(SWITCH, 1.0) == NEUTRAL
    assert effect_color(SWITCH, -1.0) == SWITCHED


@needs_gl
@pytest.mark.parametrize("stage", ["HalfCheetahLimbs"], indirect=True)
def test_masses_are_seen(stage: Stage) -> None:
    nominal, light, heavy = stage.frame(), stage.frame(torso_mass=0.3), stage.frame(torso_mass=3.3)
    assert nominal.shape == (HEIGHT, WIDTH, 3)
    assert nominal.dtype == np.uint8
    assert pixels_like(nominal, 1, -1, -1) == 0
    assert pixels_like(heavy, 1, -1, -1) > 50
    assert pixels_like(light, -1, 0, 1) > pixels_like(nominal, -1, 0, 1) + 50


@needs_gl
@pytest.mark.parametrize("stage", ["HalfCheetahWiring"], indirect=True)
def test_a_reversed_motor_is_orange(stage: Stage) -> None:
    assert pixels_like(stage.frame(), 1, 0, -1) == 0
    one, two = stage.frame(bthigh_sign=-1), stage.frame(bthigh_sign=-1, fthigh_sign=-1)
    assert pixels_like(two, 1, 0, -1) > pixels_like(one, 1, 0, -1) > 20


@needs_gl
@pytest.mark.parametrize("stage", ["HalfCheetahGround"], indirect=True)
def test_bodies_keep_their_colours_where_no_parameter_tells_by_them(stage: Stage) -> None:
    """Friction and slope change the model, but no body that would show it; the cheetah is orange by itself."""
    assert body_colors(stage.env.family, stage.env.physics, stage.env.family.nominal) == {}
    assert pixels_like(stage.frame(), 1, 0, -1) > 100


@needs_gl
@pytest.mark.parametrize("stage", ["HalfCheetahDir"], indirect=True)
def test_the_camera_follows_over_a_moving_floor(stage: Stage) -> None:
    """The floor repeats itself every 2 m, so 60 m on the picture is the same, and half a metre on it is not."""
    start, far, near = stage.frame(0.0), stage.frame(60.0), stage.frame(0.5)
    assert np.abs(start.astype(int) - far).mean() < 1
    assert np.abs(start.astype(int) - near).mean() > 4


@needs_gl
@pytest.mark.parametrize("stage", ["HalfCheetahDir"], indirect=True)
def test_the_arrow_points_where_the_robot_should_run(stage: Stage) -> None:
    for direction in (1, -1):
        frame = stage.frame(direction=direction).astype(int)
        arrow = frame[: HEIGHT // 2, :, 1] - frame[: HEIGHT // 2, :, 0] > 40
        columns = np.flatnonzero(arrow.any(axis=0))
        assert len(columns) > 10
        head = arrow.sum(axis=0).argmax()  # where it is thickest
        assert direction * (head - columns.mean()) > 2


@needs_gl
def test_the_arrow_is_in_the_frame_of_a_robot_of_ones_own() -> None:
    family = make_family("HalfCheetahDir")
    family.robot = MjcfRobot.from_xml(TWO_LEGS)
    env, renderer = TaskEnv(family, 1, engine=Engine(num_threads=1)), TaskRenderer(family, WIDTH, HEIGHT)
    frame = renderer.frame(env.physics, 0, {"direction": 1.0}).astype(int)
    arrow = frame[: HEIGHT // 2, :, 1] - frame[: HEIGHT // 2, :, 0] > 40
    assert arrow.sum() > 100
    assert not arrow[0].any(), "none of it is cut off"
    renderer.close()
    env.close()


@needs_gl
def test_a_mark_depends_on_no_name() -> None:
    """The same goal by another name looks the same; without its mark nothing shows it."""
    pictures = []
    for parameter in (DIRECTION, replace(DIRECTION, name="way"), replace(DIRECTION, mark=None)):
        family = make_family("HalfCheetahDir")
        family.parameters = (parameter,)
        env, renderer = TaskEnv(family, 1, engine=Engine(num_threads=1)), TaskRenderer(family, WIDTH, HEIGHT)
        pictures.append(renderer.frame(env.physics, 0, {parameter.name: -1.0}))
        renderer.close()
        env.close()
    named, renamed, unmarked = pictures
    assert np.array_equal(named, renamed)
    assert not np.array_equal(named, unmarked)


@needs_gl
@pytest.mark.parametrize("stage", ["ReacherGoal"], indirect=True)
def test_the_hidden_goal_is_seen_where_it_is(stage: Stage) -> None:
    """x to the right, y up."""
    frame = stage.frame(goal_x=0.15, goal_y=0.1)
    green = frame[..., 1].astype(int) - frame[..., 0] > 40
    inside = green[HEIGHT // 10 : -HEIGHT // 10]
    rows, columns = np.nonzero(inside[: len(inside) // 3])
    assert len(rows) > 30
    assert columns.mean() > WIDTH / 2
    assert not green[2 * HEIGHT // 3 :].any()


@needs_gl
@pytest.mark.parametrize("stage", ["HalfCheetahVel"], indirect=True)
def test_rendering_leaves_the_simulation_alone(stage: Stage) -> None:
    stage.frame(x=1.0)
    physics = stage.env.physics
    qpos, nominal = physics.state("qpos").clone(), physics.model.geom_rgba.copy()
    again = stage.renderer.frame(physics, 0, stage.env.family.nominal)
    assert torch.equal(physics.state("qpos"), qpos)
    assert np.array_equal(physics.model.geom_rgba, nominal)
    assert np.array_equal(again, stage.renderer.frame(physics, 0, stage.env.family.nominal))


@pytest.mark.parametrize("gl", ["disable", "no-such-thing", "wgl"])
def test_without_opengl_one_line_says_what_to_do(gl: str) -> None:
    """In a process of its own: MuJoCo reads MUJOCO_GL as it is imported, and refuses a name that it does not know."""
    program = """
from limbshift.envs.catalogue import make_family
from limbshift.envs.errors import RenderingError
from limbshift.envs.rendering import TaskRenderer
from limbshift.envs.task_env import TaskEnv
TaskEnv(make_family("HalfCheetahDir"), 1)
try:
    TaskRenderer(make_family("HalfCheetahDir"))
except RenderingError as error:
    print(error)
"""
    environment = {**os.environ, "MUJOCO_GL": gl}
    ended = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert ended.stderr == ""
    assert len(ended.stdout.splitlines()) == 1
    assert "apt-get install libegl1" in ended.stdout
    assert f"MUJOCO_GL is {gl}" in ended.stdout


@pytest.mark.parametrize(
    ("asked", "library", "chosen"),
    [
        ("osmesa", None, "off"),
        ("EGL", None, "off"),
        ("egl", "libEGL.so.1", "egl"),
        ("nonsense", "libEGL.so.1", "off"),
        ("glfw", None, "glfw"),
        ("", None, ""),
        (None, "libEGL.so.1", "egl"),
        (None, None, None),
    ],
)
def test_mujoco_is_told_to_draw_by_what_is_there(
    asked: str | None, library: str | None, chosen: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: library)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    if asked is not None:
        monkeypatch.setenv("MUJOCO_GL", asked)
    monkeypatch.setattr(envs, "ASKED_GL", asked)
    envs._choose_gl()
    assert (os.environ.get("MUJOCO_GL") or "").lower() == (chosen or "")


@needs_gl
@pytest.mark.skipif(not importlib.util.find_spec("triton"), reason="PyTorch for CPUs comes without Triton")
def test_triton_is_imported_after_a_picture() -> None:
    """As torch.compile does; its LLVM and that of Mesa's OpenGL crash if Mesa's comes first."""
    program = (
        "from limbshift.envs.catalogue import make_family\n"
        "from limbshift.envs.rendering import TaskRenderer\n"
        "TaskRenderer(make_family('ReacherGoal'), 64, 64)\n"
        "import triton\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_what_one_parameter_changed_stays_seen_though_another_of_the_same_body_did_not() -> None:
    family = make_family("HalfCheetahAnyChange")
    env = TaskEnv(family, 1)
    masses = [name for name in family.nominal if name.endswith("_mass")]
    heavy = body_colors(family, env.physics, {**family.nominal, **dict.fromkeys(masses, 2.25)})
    env.close()
    assert len(masses) == len(heavy)
    assert NEUTRAL not in heavy.values()
