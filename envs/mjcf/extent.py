"""How far geoms reach: where a robot is lowest, what lies under it, and how large it looks."""

import mujoco
import numpy as np
from numpy.typing import NDArray

_DRAWN_GROUPS = 3
"""Geoms of the groups below this one are drawn unless someone asks for others, which are mostly for collisions."""


def geoms_of(model: mujoco.MjModel, bodies: tuple[int, ...], *, drawn: bool = False) -> list[int]:
    """Returns the geoms of these bodies, planes aside; with `drawn` those that are seen, if any is."""
    own = np.isin(model.geom_bodyid, bodies) & (model.geom_type != int(mujoco.mjtGeom.mjGEOM_PLANE))
    seen = own & (model.geom_group < _DRAWN_GROUPS) & (model.geom_rgba[:, 3] > 0)
    found: list[int] = np.flatnonzero(seen if drawn and seen.any() else own).tolist()
    return found


def reach(
    model: mujoco.MjModel, data: mujoco.MjData, geoms: list[int], *, directions: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Returns how far each of the geoms reaches along (D, 3) unit directions, from the world's origin: (geoms, D).

    >>> model = mujoco.MjModel.from_xml_string(
    ...     '<mujoco><worldbody><geom type="sphere" size="0.5" pos="0 0 2"/></worldbody></mujoco>'
    ... )
    >>> data = mujoco.MjData(model)
    >>> mujoco.mj_forward(model, data)
    >>> reach(model, data, [0], directions=np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])).tolist()
    [[2.5, 0.5]]
    """
    return np.stack([_reach_of(model, data, geom, directions=directions) for geom in geoms])


def _reach_of(
    model: mujoco.MjModel, data: mujoco.MjData, geom: int, *, directions: NDArray[np.float64]
) -> NDArray[np.float64]:
    kind, kinds, size = int(model.geom_type[geom]), mujoco.mjtGeom, model.geom_size[geom]
    local: NDArray[np.float64] = directions @ data.geom_xmat[geom].reshape(3, 3)  # (D, 3)
    across = np.hypot(local[:, 0], local[:, 1])
    place: NDArray[np.float64] = directions @ data.geom_xpos[geom]
    from_place: NDArray[np.float64]
    if kind == int(kinds.mjGEOM_SPHERE):
        from_place = np.full(len(local), size[0])
    elif kind == int(kinds.mjGEOM_CAPSULE):
        from_place = size[0] + size[1] * np.abs(local[:, 2])
    elif kind == int(kinds.mjGEOM_CYLINDER):
        from_place = size[0] * across + size[1] * np.abs(local[:, 2])
    elif kind == int(kinds.mjGEOM_ELLIPSOID):
        from_place = np.linalg.norm(local * size, axis=1)
    elif kind == int(kinds.mjGEOM_MESH):
        mesh = model.geom_dataid[geom]
        start, count = model.mesh_vertadr[mesh], model.mesh_vertnum[mesh]
        from_place = (model.mesh_vert[start : start + count] @ local.T).max(axis=0)
    else:
        center, half = model.geom_aabb[geom, :3], model.geom_aabb[geom, 3:]
        from_place = local @ center + np.abs(local) @ half
    return place + from_place


def lowest_point(model: mujoco.MjModel, data: mujoco.MjData, bodies: tuple[int, ...]) -> float | None:
    """Returns the height of the lowest point of these bodies, m; None where they have no geoms."""
    geoms = geoms_of(model, bodies)
    return -float(reach(model, data, geoms, directions=np.array([[0.0, 0.0, -1.0]])).max()) if geoms else None


def ground_below(model: mujoco.MjModel, data: mujoco.MjData, point: NDArray[np.float64]) -> float | None:
    """Returns the height of what stands still right below a point, m; None where nothing does.

    >>> model = mujoco.MjModel.from_xml_string(
    ...     '<mujoco><worldbody><geom type="box" size="1 1 0.1" pos="0 0 -2"/></worldbody></mujoco>'
    ... )
    >>> data = mujoco.MjData(model)
    >>> mujoco.mj_forward(model, data)
    >>> ground_below(model, data, np.array([0.5, 0.0, 0.0])), ground_below(model, data, np.array([1.5, 0.0, 0.0]))
    (-1.9, None)
    """
    distances = [_below(model, data, geom, point=point) for geom in _grounds(model)]
    return max((float(point[2]) - distance for distance in distances if distance is not None), default=None)


def _grounds(model: mujoco.MjModel) -> list[int]:
    """Returns the geoms on which something may stand: planes, and what cannot move and takes part in contacts."""
    touching = (model.geom_contype | model.geom_conaffinity) > 0
    touching[model.pair_geom1] = touching[model.pair_geom2] = True
    plane = model.geom_type == int(mujoco.mjtGeom.mjGEOM_PLANE)
    found: list[int] = np.flatnonzero((model.body_treeid[model.geom_bodyid] == -1) & (touching | plane)).tolist()
    return found


def _below(model: mujoco.MjModel, data: mujoco.MjData, geom: int, *, point: NDArray[np.float64]) -> float | None:
    """Returns how far below a point a geom begins, m; None where it is not there."""
    kind, kinds, down = int(model.geom_type[geom]), mujoco.mjtGeom, np.array([0.0, 0.0, -1.0])
    place, turned = data.geom_xpos[geom], data.geom_xmat[geom]
    if kind == int(kinds.mjGEOM_PLANE):  # which for contacts has no end, but for a ray has
        normal = turned.reshape(3, 3)[:, 2]
        distance = float(normal @ (point - place)) / float(normal[2]) if normal[2] > 0 else -1.0
    elif kind == int(kinds.mjGEOM_HFIELD):
        distance = mujoco.mj_rayHfield(model, data, geom, point, down)
    elif kind == int(kinds.mjGEOM_MESH):
        distance = mujoco.mj_rayMesh(model, data, geom, point, down)
    else:
        distance = mujoco.mju_rayGeom(place, turned, model.geom_size[geom], point, down, kind)
    return distance if distance >= 0 else None
