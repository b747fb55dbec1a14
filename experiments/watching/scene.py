"""A simulation as meshes in the browser; the robot stays in the middle, and the floor moves under it."""

from collections.abc import Mapping
from typing import NamedTuple

import mujoco
import numpy as np
import trimesh
import viser
from numpy.typing import NDArray

from limbshift.envs.family import TaskFamily
from limbshift.envs.physics.protocol import Physics
from limbshift.envs.rendering import GOAL, NEUTRAL, Color, arrow_angle, body_colors

FLOOR_COLOR, LINE_COLOR = (214, 224, 230), (176, 190, 199)
TILE = 1.0
"""Metres between the lines of the floor, which moves by whole ones."""
SHOWN_GROUPS = 3
"""MuJoCo shows geoms of the groups below this one."""


class Pose(NamedTuple):
    """Where bodies are."""

    position: NDArray[np.float64]
    """(bodies, 3) m."""
    quaternion: NDArray[np.float64]
    """(bodies, 4)"""
    middle: NDArray[np.float64]
    """(3,) the robot's centre of mass."""

    @classmethod
    def of(cls, data: mujoco.MjData, root: int) -> "Pose":
        return cls(data.xpos.copy(), data.xquat.copy(), data.subtree_com[root].copy())

    def towards(self, other: "Pose", share: float) -> "Pose":
        """Returns the pose at this share of the way to another that is near.

        >>> zero, one = np.zeros((1, 3)), np.ones((1, 3))
        >>> upright = np.array([[1.0, 0.0, 0.0, 0.0]])
        >>> Pose(zero, upright, zero[0]).towards(Pose(one, upright, one[0]), 0.25).position.tolist()
        [[0.25, 0.25, 0.25]]
        """
        near = np.sign((self.quaternion * other.quaternion).sum(axis=-1, keepdims=True))  # q and -q are one
        turned = (1 - share) * self.quaternion + share * np.where(near < 0, -1, 1) * other.quaternion
        return Pose(
            (1 - share) * self.position + share * other.position,
            turned / np.linalg.norm(turned, axis=-1, keepdims=True),
            (1 - share) * self.middle + share * other.middle,
        )

    def into_body(self, body: int, point: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns a (3,) point of the world in a body's frame."""
        local: NDArray[np.float64] = (point - self.position[body]) @ self._axes(body)
        return local

    def from_body(self, body: int, point: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns a (3,) point of a body's frame in the world."""
        world: NDArray[np.float64] = self.position[body] + self._axes(body) @ point
        return world

    def _axes(self, body: int) -> NDArray[np.float64]:
        return axes_of(self.quaternion[body])


class Scene:
    """The robot's bodies, the floor, and what marks the goal."""

    def __init__(self, server: viser.ViserServer, family: TaskFamily) -> None:
        self._server, self._family = server, family
        model = family.robot.model
        self.root = int(model.jnt_bodyid[0])
        self._stature = max(float(model.body_pos[self.root][2]), 0.3)
        self._marks = {parameter.mark: parameter for parameter in family.parameters if parameter.mark}
        self._goal: dict[str, viser.MeshHandle] = {}
        self.bodies: dict[int, viser.MeshHandle] = {}
        """By MuJoCo's numbers: those of which anything can be seen."""
        self._floor = server.scene.add_grid(
            "/floor",
            60.0,
            60.0,
            cell_size=TILE,
            section_size=TILE,
            cell_color=LINE_COLOR,
            section_color=LINE_COLOR,
            plane_color=FLOOR_COLOR,
            plane_opacity=1.0,
            shadow_opacity=0.25,
            fade_distance=40.0,
        )
        reach = float(family.robot.camera.get("distance", 3.0))
        server.initial_camera.position = (0.15 * reach, -0.95 * reach, self._stature + 0.35 * reach)
        server.initial_camera.look_at = (0.0, 0.0, 0.7 * self._stature)

    def build(self, physics: Physics, task: Mapping[str, float]) -> None:
        """Makes the bodies anew, as the task makes them, and the goal's marks."""
        model, _ = physics.snapshot(0)
        colours = self._colours(model, physics, task)
        with self._server.atomic():
            for handle in (*self.bodies.values(), *self._goal.values()):
                handle.remove()
            self.bodies = {}
            for body in range(model.nbody):
                if (mesh := body_mesh(model, body)) is not None:
                    self.bodies[body] = self._add(f"/robot/{body}", mesh, colours[body])
            self._goal = self._make_marks(task)

    def show(self, pose: Pose, seconds: float, task: Mapping[str, float]) -> None:
        """Moves everything to where it is so many seconds after the episode began."""
        here = np.array((*pose.middle[:2], 0.0))
        with self._server.atomic():
            for body, handle in self.bodies.items():
                handle.position = tuple(pose.position[body] - here)
                handle.wxyz = tuple(pose.quaternion[body])
            self._floor.position = (*(-here[:2] % TILE - TILE / 2), 0.0)
            for mark, handle in self._goal.items():
                handle.position = tuple(self._place(mark, task, seconds) - (0 if mark == "arrow" else here))

    def of_world(self, point: NDArray[np.float64] | tuple[float, float, float], pose: Pose) -> NDArray[np.float64]:
        """Returns where a (3,) point of the page is in the world."""
        here: NDArray[np.float64] = np.array((*pose.middle[:2], 0.0))
        return here + point

    def _add(self, name: str, mesh: trimesh.Trimesh, color: Color) -> viser.MeshHandle:
        red, green, blue = (round(255 * part) for part in color)
        return self._server.scene.add_mesh_simple(name, mesh.vertices, mesh.faces, color=(red, green, blue))

    def _colours(self, model: mujoco.MjModel, physics: Physics, task: Mapping[str, float]) -> list[Color]:
        """Returns each body's colour: what a parameter changes that cannot be seen is told by it, as in films."""
        told = body_colors(self._family, physics, task)
        if told:
            return [told.get(body, NEUTRAL) for body in range(model.nbody)]
        colours = [NEUTRAL] * model.nbody
        for body in range(model.nbody):
            shown = shown_geoms(model, body)
            if len(shown):
                red, green, blue = (float(part) for part in _rgba(model, shown[0])[:3])
                colours[body] = red, green, blue
        return colours

    def _make_marks(self, task: Mapping[str, float]) -> dict[str, viser.MeshHandle]:
        marks, handles = self._marks, {}
        if "arrow" in marks:
            mesh = arrow(0.35, 0.035)
            parameter = marks["arrow"]
            handles["arrow"] = self._add("/goal/arrow", mesh, GOAL)
            half = np.deg2rad(arrow_angle(parameter, task[parameter.name])) / 2
            handles["arrow"].wxyz = (np.cos(half), 0.0, 0.0, np.sin(half))
        if "post" in marks:
            handles["post"] = self._add("/goal/post", trimesh.creation.cylinder(0.03, 1.5 * self._stature), GOAL)
        if "disc_x" in marks:
            disc = trimesh.creation.cylinder(self._family.goal_radius, 0.002)
            handles["disc"] = self._add("/goal/disc", disc, GOAL)
        return handles

    def _place(self, mark: str, task: Mapping[str, float], seconds: float) -> NDArray[np.float64]:
        if mark == "arrow":
            return np.array((0.0, 0.0, 2.0 * self._stature))
        if mark == "post":
            return np.array((task[self._marks["post"].name] * seconds, 0.6, 0.75 * self._stature))
        return np.array((task[self._marks["disc_x"].name], task[self._marks["disc_y"].name], 0.002))


def shown_geoms(model: mujoco.MjModel, body: int) -> NDArray[np.intp]:
    """Returns the geoms of a body that can be seen, planes aside."""
    geoms = np.flatnonzero(model.geom_bodyid == body)
    seen = (model.geom_group[geoms] < SHOWN_GROUPS) & (model.geom_rgba[geoms, 3] > 0)
    shown: NDArray[np.intp] = geoms[seen & (model.geom_type[geoms] != int(mujoco.mjtGeom.mjGEOM_PLANE))]
    return shown


def body_mesh(model: mujoco.MjModel, body: int) -> trimesh.Trimesh | None:
    """Returns what can be seen of a body, in its frame; None for nothing.

    >>> model = mujoco.MjModel.from_xml_string('''
    ... <mujoco><worldbody><body><geom type="box" size=".1 .2 .3" pos="1 0 0"/></body></worldbody></mujoco>''')
    >>> body_mesh(model, 1).bounds.round(3).tolist()
    [[0.9, -0.2, -0.3], [1.1, 0.2, 0.3]]
    """
    meshes = [_geom_mesh(model, int(geom)) for geom in shown_geoms(model, body)]
    return _joined([mesh for mesh in meshes if mesh is not None])


def _joined(meshes: list[trimesh.Trimesh]) -> trimesh.Trimesh | None:
    """Returns meshes as one; None for none."""
    if not meshes:
        return None
    counts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes[:-1])])
    faces = [mesh.faces + count for mesh, count in zip(meshes, counts, strict=True)]
    return trimesh.Trimesh(np.concatenate([mesh.vertices for mesh in meshes]), np.concatenate(faces), process=False)


def _geom_mesh(model: mujoco.MjModel, geom: int) -> trimesh.Trimesh | None:
    """Returns a geom in its body's frame; None for a kind that is not drawn, such as a height field."""
    mesh = _shape(model, geom)
    if mesh is None:
        return None
    place = np.eye(4)
    place[:3, :3], place[:3, 3] = axes_of(model.geom_quat[geom]), model.geom_pos[geom]
    mesh.apply_transform(place)
    return mesh


def _shape(model: mujoco.MjModel, geom: int) -> trimesh.Trimesh | None:
    shapes, make, mesh = mujoco.mjtGeom, trimesh.creation, None
    kind, size = shapes(int(model.geom_type[geom])), model.geom_size[geom]
    if not size.any() and kind != shapes.mjGEOM_MESH:
        return None  # lost with its leg
    if kind in (shapes.mjGEOM_SPHERE, shapes.mjGEOM_ELLIPSOID):
        mesh = make.icosphere(subdivisions=2, radius=1.0)
        mesh.apply_scale(size[0] if kind == shapes.mjGEOM_SPHERE else size)
    elif kind == shapes.mjGEOM_BOX:
        mesh = make.box(extents=2 * size)
    elif kind == shapes.mjGEOM_CYLINDER:
        mesh = make.cylinder(radius=size[0], height=2 * size[1], sections=24)
    elif kind == shapes.mjGEOM_CAPSULE:
        mesh = make.capsule(radius=size[0], height=2 * size[1], count=[16, 16])
        mesh.apply_translation(-mesh.bounds.mean(axis=0))
    elif kind == shapes.mjGEOM_MESH:
        number = int(model.geom_dataid[geom])
        vertex, face = int(model.mesh_vertadr[number]), int(model.mesh_faceadr[number])
        mesh = trimesh.Trimesh(
            model.mesh_vert[vertex : vertex + int(model.mesh_vertnum[number])],
            model.mesh_face[face : face + int(model.mesh_facenum[number])],
            process=False,
        )
    return mesh


def arrow(half_length: float, radius: float) -> trimesh.Trimesh:
    """Returns an arrow along +x about the origin.

    >>> arrow(0.5, 0.1).bounds.round(1).tolist()
    [[-0.5, -0.2, -0.2], [1.0, 0.2, 0.2]]
    """
    shaft = trimesh.creation.cylinder(radius, 2 * half_length)
    head = trimesh.creation.cone(2.5 * radius, 5 * radius)
    head.apply_translation((0.0, 0.0, half_length))
    both = _joined([shaft, head])
    assert both is not None
    both.vertices = both.vertices[:, [2, 0, 1]]
    return both


def _rgba(model: mujoco.MjModel, geom: int) -> NDArray[np.float32]:
    material = int(model.geom_matid[geom])
    rgba: NDArray[np.float32] = model.geom_rgba[geom] if material < 0 else model.mat_rgba[material]
    return rgba


def axes_of(quaternion: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the (3, 3) matrix whose columns are the axes of a frame with this orientation."""
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, quaternion)
    return matrix.reshape(3, 3)
