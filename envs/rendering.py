"""Frames of one simulation: the camera follows the robot, and colours and marks show the task."""

import contextlib
import copy
import importlib
import os
import warnings
from collections.abc import Mapping

import mujoco
import numpy as np
import torch
from numpy.typing import NDArray

from limbshift.envs import ASKED_GL
from limbshift.envs.errors import RenderingError
from limbshift.envs.family import Robot, TaskFamily
from limbshift.envs.physics.protocol import Physics
from limbshift.envs.tasks.parameter import Mark, ModelEffect, TaskParameter

Color = tuple[float, float, float]
"""Red, green and blue in [0, 1]."""

NEUTRAL: Color = (0.90, 0.89, 0.86)
"""A body whose parameter is nominal."""
LOW: Color = (0.10, 0.45, 0.95)
HIGH: Color = (0.55, 0.02, 0.05)
SWITCHED: Color = (1.00, 0.45, 0.00)
"""A body whose parameter has two values, and not its nominal one: a reversed motor."""
GOAL: Color = (0.05, 0.60, 0.25)

_SKY, _HORIZON = np.array((0.40, 0.60, 0.85)), np.array((0.86, 0.91, 0.96))
_FLOOR_TILES = np.array(((0.57, 0.65, 0.71), (0.82, 0.87, 0.90)))
_FLOOR_HALF_SIZE = 40.0
"""Metres of floor drawn around the camera, an even number: the pattern repeats every 2 m."""
_LEVEL = 0.99
"""Cosine of the angle to the horizontal up to which a plane is a floor."""
_SUN = np.array((0.33, 0.42, -0.85))
"""Where the light shines, a unit vector: aslant, so that shadows tell heights."""
_SUN_DISTANCE = 2.0
IN_FRAME = 0.3
"""How far above what is looked at a mark is still seen, of the camera's distance."""
_MAX_GEOMS = 1000


def effect_color(parameter: TaskParameter, value: float) -> Color:
    """Returns the colour of a body that the parameter changes: neutral where the value is nominal.

    A range goes from blue (low) to dark red (high); a choice other than the nominal one is orange.
    """
    if parameter.choices:
        return NEUTRAL if value == parameter.nominal else SWITCHED
    unit = float(parameter.to_unit(torch.tensor(value, dtype=torch.float64)).clamp(-1.0, 1.0))
    red, green, blue = np.array(NEUTRAL) + abs(unit) * (np.array(HIGH if unit > 0 else LOW) - NEUTRAL)
    return float(red), float(green), float(blue)


def body_colors(family: TaskFamily, physics: Physics, task: Mapping[str, float]) -> dict[int, Color]:
    """Returns the colours of the bodies that a parameter changes where one cannot see it; others are neutral then.

    Empty for a family that has no such parameter, whose bodies keep their own colours.
    """
    colors = dict[int, Color]()
    for parameter in family.parameters:
        if not isinstance(parameter.effect, ModelEffect):
            continue
        color = effect_color(parameter, task[parameter.name])
        for body in parameter.effect.shown_on(physics):
            if color != NEUTRAL or body not in colors:  # what another parameter has changed stays seen
                colors[body] = color
    return colors


class TaskRenderer:
    """Draws a family's simulations, whichever and however many, in one OpenGL context.

    Raises RenderingError, one line that says what to install, where OpenGL does not work.
    """

    def __init__(
        self, family: TaskFamily, width: int = 480, height: int = 360, *, camera: Mapping[str, float] | None = None
    ) -> None:
        """camera: distance (m), azimuth and elevation (degrees), where they are not to be the robot's own."""
        self.family = family
        self._camera = _Camera(family.robot, camera or {})
        self._option = mujoco.MjvOption()
        self._renderer = _open_renderer(_model_for_context(family.robot.model, width, height), width, height)
        self._renderer.scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0  # would draw everything twice

    def frame(self, physics: Physics, sim: int, task: Mapping[str, float]) -> NDArray[np.uint8]:
        """Returns a (height, width, 3) picture of simulation number sim, which runs this task.

        A goal that the task leaves out is not marked.
        """
        model, data = physics.snapshot(sim)
        lookat = self._camera.aim(data)
        _light(model, data, lookat, reach=self._camera.view.distance)
        if self._camera.follows:
            _lay_floor(model, data, lookat)
        self._paint(model, physics, task)
        scene, every = self._renderer.scene, int(mujoco.mjtCatBit.mjCAT_ALL)
        mujoco.mjv_updateScene(model, data, self._option, None, self._camera.view, every, scene)
        self._mark_goal(scene, task, time=data.time, lookat=lookat)
        picture: NDArray[np.uint8] = self._renderer.render()
        return picture

    def close(self) -> None:
        self._renderer.close()

    def _paint(self, model: mujoco.MjModel, physics: Physics, task: Mapping[str, float]) -> None:
        """Colours the bodies that a parameter changes where one cannot see it, and the rest of the robot neutrally."""
        colors = body_colors(self.family, physics, task)
        if not colors:
            return
        robot = np.isin(model.geom_bodyid, self._camera.bodies)  # and not what lies about
        model.geom_matid[robot] = -1  # a material would hide the colour
        model.geom_rgba[robot, :3] = NEUTRAL
        for body, color in colors.items():
            model.geom_rgba[model.geom_bodyid == body, :3] = color

    def _mark_goal(
        self, scene: mujoco.MjvScene, task: Mapping[str, float], *, time: float, lookat: NDArray[np.float64]
    ) -> None:
        """Adds the goal's marks to the scene: an arrow, a post that moves, a disc."""
        x, y, z = lookat
        height = self._camera.height
        marks: dict[Mark, TaskParameter] = {p.mark: p for p in self.family.parameters if p.mark and p.name in task}
        values = {mark: task[parameter.name] for mark, parameter in marks.items()}
        if "arrow" in marks:
            heading = np.deg2rad(arrow_angle(marks["arrow"], values["arrow"]))
            right, back = 0.35 * np.cos(heading), 0.35 * np.sin(heading)
            above = z + min(height, IN_FRAME * self._camera.view.distance)
            start, end = (x - right, y - back, above), (x + right, y + back, above)
            _connect(scene, mujoco.mjtGeom.mjGEOM_ARROW, width=0.035, start=start, end=end)
        if "post" in marks:
            post, behind = values["post"] * time, y + 0.6
            start, end = (post, behind, 0.0), (post, behind, 1.5 * height)
            _connect(scene, mujoco.mjtGeom.mjGEOM_CAPSULE, width=0.03, start=start, end=end)
        if "disc_x" in marks and "disc_y" in marks:
            goal, radius = (values["disc_x"], values["disc_y"]), self.family.goal_radius
            start, end = (*goal, 0.0005), (*goal, 0.001)
            _connect(scene, mujoco.mjtGeom.mjGEOM_CYLINDER, width=radius, start=start, end=end, opacity=0.4)


def arrow_angle(parameter: TaskParameter, value: float) -> float:
    """Returns where an arrow points, in degrees from +x towards +y."""
    if parameter.kind == "angle":
        return value
    return 180.0 if value < 0 else 0.0


class _Camera:
    """Follows a robot that travels, and rises with its leaps; stands still over one that is fixed to the ground."""

    def __init__(self, robot: Robot, view: Mapping[str, float]) -> None:
        model, self._framing = robot.model, robot.framing
        self._root = int(model.jnt_bodyid[0])
        travel = (int(mujoco.mjtJoint.mjJNT_FREE), int(mujoco.mjtJoint.mjJNT_SLIDE))
        self.follows = bool(np.isin(model.jnt_type[model.jnt_bodyid == self._root], travel).any())
        self._start = np.array(model.body_pos[self._root])
        self.height = float(self._start[2])
        """Of the robot's root as it stands, m; marks are drawn that far above what is looked at."""
        self.bodies = np.flatnonzero(model.body_rootid == model.body_rootid[self._root])
        """Of the robot."""
        if self._framing:
            self.follows, self.height = self._framing.travels, self._framing.height
            self.bodies = np.array(self._framing.bodies)
        self.view = mujoco.MjvCamera()
        for name, value in {**robot.camera, **view}.items():
            setattr(self.view, name, value)

    def aim(self, data: mujoco.MjData) -> NDArray[np.float64]:
        """Returns the (3,) point looked at: under the centre of mass, which sways less than any one body."""
        lookat = self._framing.lookat(data) if self._framing else self._start.copy()
        if self.follows and not self._framing:
            lookat[:2] = data.subtree_com[self._root, :2]
            lookat[2] = max(self.height / 2, data.subtree_com[self._root, 2] - self.height / 2)
        self.view.lookat = lookat
        return lookat


_failure: list[RenderingError] = []
"""The first failure to open a context: MuJoCo aborts the process at a second try."""


def _open_renderer(model: mujoco.MjModel, width: int, height: int) -> mujoco.Renderer:
    if _failure:
        raise _failure[0]
    with contextlib.suppress(ImportError):  # Mesa's LLVM and Triton's, of PyTorch for CUDA, crash unless that is first
        importlib.import_module("triton")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # GLFW warns of what the exception says
            return mujoco.Renderer(model, height, width, max_geom=_MAX_GEOMS)
    except Exception as error:  # each of the OpenGL backends fails in its own way
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        gl = os.environ.get("MUJOCO_GL", "not set") if ASKED_GL is None else ASKED_GL
        _failure.append(
            RenderingError(
                "OpenGL does not work here: install it (apt-get install libegl1 libgl1-mesa-dri), set MUJOCO_GL to"
                " egl, osmesa or glfw, or, without a display, import limbshift before mujoco"
                f" (MUJOCO_GL is {gl or 'empty'}): {reason}"
            )
        )
        raise _failure[0] from error


def _model_for_context(nominal: mujoco.MjModel, width: int, height: int) -> mujoco.MjModel:
    """Returns a copy that holds what the OpenGL context reads once: sizes, qualities and textures."""
    model = copy.copy(nominal)
    model.vis.global_.offwidth, model.vis.global_.offheight = width, height
    quality = model.vis.quality
    # MuJoCo's 4, 4096, 28, 16 and 4 take four times as long without a graphics card, for little that shows in a video
    quality.offsamples, quality.shadowsize = 0, 1024
    quality.numslices, quality.numstacks, quality.numquads = 16, 8, 1
    model.vis.rgba.haze[:3] = _HORIZON
    for texture in np.flatnonzero(model.tex_nchannel == 3):
        height, width = int(model.tex_height[texture]), int(model.tex_width[texture])
        start = model.tex_adr[texture]
        pixels = model.tex_data[start : start + 3 * height * width].reshape(height, width, 3)
        if model.tex_type[texture] == int(mujoco.mjtTexture.mjTEXTURE_SKYBOX):
            pixels[:] = _sky(width)
        elif model.tex_type[texture] == int(mujoco.mjtTexture.mjTEXTURE_2D):
            pixels[:] = _checker(height, width)
    return model


def _checker(height: int, width: int) -> NDArray[np.uint8]:
    """Returns (height, width, 3) two by two squares."""
    odd = (np.arange(height)[:, None] * 2 // height + np.arange(width) * 2 // width) % 2
    squares: NDArray[np.float64] = 255 * _FLOOR_TILES[odd]
    return squares.astype(np.uint8)


def _sky(width: int) -> NDArray[np.uint8]:
    """Returns (6 width, width, 3) faces of a cube, of which the third is above and the fourth below."""
    blue = np.clip(1 - 2 * np.arange(width) / width, 0, 1)[:, None, None]
    side = np.broadcast_to(blue * _SKY + (1 - blue) * _HORIZON, (width, width, 3))
    above, below = np.broadcast_to(_SKY, side.shape), np.broadcast_to(_HORIZON, side.shape)
    faces = 255 * np.concatenate([side, side, above, below, side, side])
    return faces.astype(np.uint8)


def _light(model: mujoco.MjModel, data: mujoco.MjData, lookat: NDArray[np.float64], *, reach: float) -> None:
    """Lights by a sun that travels with the camera, so that there are shadows everywhere, and a brighter headlight."""
    model.stat.extent = reach  # shadows and clipping planes are measured in it
    headlight = model.vis.headlight
    headlight.ambient[:] = 0.35
    headlight.diffuse[:] = 0.35 if model.nlight else 0.6
    headlight.specular[:] = 0.05
    model.light_ambient[:] = 0.0
    model.light_diffuse[:] = 0.55
    data.light_xdir[:] = _SUN
    data.light_xpos[:] = lookat - _SUN_DISTANCE * _SUN
    model.mat_reflectance[:] = 0.0


def _lay_floor(model: mujoco.MjModel, data: mujoco.MjData, lookat: NDArray[np.float64]) -> None:
    """Lays checkered squares of 1 m as far as the eye reaches: for contacts the floor has no end either."""
    floor = (model.geom_type == int(mujoco.mjtGeom.mjGEOM_PLANE)) & (data.geom_xmat[:, 8] > _LEVEL)  # walls stay
    model.geom_size[floor] = _FLOOR_HALF_SIZE, _FLOOR_HALF_SIZE, 1.0
    data.geom_xpos[floor, :2] += 2 * np.round(lookat[:2] / 2)
    model.geom_rgba[floor] = 1.0
    material = model.geom_matid[floor]
    material = material[material >= 0]
    model.mat_texuniform[material] = 0
    model.mat_texrepeat[material] = _FLOOR_HALF_SIZE  # a texture, two squares wide, for every 2 m
    model.mat_specular[material] = 0.0


def _connect(
    scene: mujoco.MjvScene,
    shape: mujoco.mjtGeom,
    *,
    width: float,
    start: tuple[float, float, float],
    end: tuple[float, float, float],
    opacity: float = 1.0,
) -> None:
    """Adds a shape that reaches from start to end to the scene."""
    geom = scene.geoms[scene.ngeom]
    rgba = np.array((*GOAL, opacity), dtype=np.float32)
    mujoco.mjv_initGeom(geom, int(shape), np.zeros(3), np.zeros(3), np.eye(3).flatten(), rgba)
    mujoco.mjv_connector(geom, int(shape), width, np.array(start), np.array(end))
    scene.ngeom += 1
