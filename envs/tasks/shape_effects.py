"""How task parameters change a robot's shape: long or short links, large or small bodies and feet, and lost limbs."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import mujoco
import numpy as np
import torch
from torch import Tensor

from limbshift.envs.errors import InputError
from limbshift.envs.physics.device_array import DeviceArray
from limbshift.envs.physics.protocol import Physics
from limbshift.envs.tasks.bounds import POSITIVE, Bounds
from limbshift.envs.tasks.effects import as_factor, find, limb_of
from limbshift.envs.tasks.links import LINK_FIELDS, Links, links_of, once_a_model
from limbshift.envs.tasks.motor_effects import MOTOR_FIELDS
from limbshift.envs.tasks.parameter import ModelEffect

VANISHED = 1e-3
"""Factor on the sizes of what is lost: too small to be seen, and no division by zero."""
_PRIMITIVES = tuple(
    int(getattr(mujoco.mjtGeom, f"mjGEOM_{kind}")) for kind in ("SPHERE", "CAPSULE", "ELLIPSOID", "CYLINDER", "BOX")
)
_ON_JOINTS = (int(mujoco.mjtTrn.mjTRN_JOINT), int(mujoco.mjtTrn.mjTRN_JOINTINPARENT))


@dataclass(frozen=True)
class ScaleLinkLengths(ModelEffect):
    """Lengthens links at their density, and moves what sits or hangs on them; radii stay.

    >>> ScaleLinkLengths(("front_left_thigh", "front_right_thigh")).links
    ('front_left_thigh', 'front_right_thigh')
    """

    links: tuple[str, ...]
    """Each a link, as `limbshift.envs.tasks.links` has it, by the name of its body or of a geom on it."""
    bounds: ClassVar[Bounds] = POSITIVE
    model_fields: ClassVar[tuple[str, ...]] = (*LINK_FIELDS, "body_pos")

    def apply(self, physics: Physics, values: Tensor, mask: Tensor) -> None:
        factor = as_factor(mask, values)
        bodies = tuple(_body_of(physics, name) for name in self.links)
        with _reshaped(physics, bodies) as links:
            size, place = physics.model_field("geom_size"), physics.model_field("geom_pos")
            geoms = links.geoms.like(size)
            size[:, geoms, 1] *= factor.view(-1, 1, 1)  # a sphere's is 0
            place[:, geoms] *= factor.view(-1, 1, 1, 1)
        for body in bodies:
            _move_children(physics, body, factor)


@dataclass(frozen=True)
class ScaleRadii(ModelEffect):
    """Multiplies the radii of capsules and spheres, at their density, that links are made of.

    >>> ScaleRadii(("front_left_foot",)).geoms
    ('front_left_foot',)
    """

    geoms: tuple[str, ...]
    """One on each of some links."""
    bounds: ClassVar[Bounds] = POSITIVE
    model_fields: ClassVar[tuple[str, ...]] = LINK_FIELDS

    def apply(self, physics: Physics, values: Tensor, mask: Tensor) -> None:
        factor = as_factor(mask, values)
        geoms = [find(physics, "geom", name) for name in self.geoms]
        with _reshaped(physics, tuple(int(geom.bodyid[0]) for geom in geoms)):
            for geom in geoms:
                physics.model_field("geom_size")[:, geom.id, 0] *= factor


@dataclass(frozen=True)
class ScaleBodySize(ModelEffect):
    """Makes a body larger in all directions, and moves what hangs on it apart; its mass stays.

    >>> ScaleBodySize("trunk").body
    'trunk'
    """

    body: str
    bounds: ClassVar[Bounds] = POSITIVE
    model_fields: ClassVar[tuple[str, ...]] = ("geom_size", "geom_pos", "body_pos", "body_ipos", "body_inertia")

    def apply(self, physics: Physics, values: Tensor, mask: Tensor) -> None:
        factor, model = as_factor(mask, values), physics.model
        body = int(find(physics, "body", self.body).id)
        first, count = int(model.body_geomadr[body]), int(model.body_geomnum[body])
        for geom in range(first, first + count):
            if int(model.geom_type[geom]) not in _PRIMITIVES:
                raise InputError(f"the body {self.body!r} is of meshes, expected boxes, capsules and the like")
            for field in ("geom_size", "geom_pos"):
                physics.model_field(field)[:, geom] *= factor.unsqueeze(-1)
        _move_children(physics, body, factor)
        physics.model_field("body_ipos")[:, body] *= factor.unsqueeze(-1)
        physics.model_field("body_inertia")[:, body] *= factor.square().unsqueeze(-1)


_LOST_FIELDS: Mapping[str, tuple[str, float]] = {
    **dict.fromkeys(("body_mass", "body_inertia", "body_pos"), ("body", 0.0)),
    "geom_pos": ("geom", 0.0),
    "geom_size": ("geom", VANISHED),
    **dict.fromkeys(MOTOR_FIELDS, ("actuator", 0.0)),
}
"""What is multiplied where a limb is lost, of what, and by how much."""


@dataclass(frozen=True)
class LoseLimb(ModelEffect):
    """Takes off one limb, by its number from 1 on; 0 takes off none.

    What is lost has no mass, the motors of its joints give nothing, and its geoms are specks at the origin of the body
    that it hung on, inside that body's geoms, where they neither touch anything nor are seen. Its joints stay where
    they are: a joint without mass has its motor's inertia alone.

    >>> LoseLimb(("front_left_hip", "front_right_hip")).roots
    ('front_left_hip', 'front_right_hip')
    """

    roots: tuple[str, ...]
    """The first body of each limb."""
    model_fields: ClassVar[tuple[str, ...]] = tuple(_LOST_FIELDS)

    def apply(self, physics: Physics, values: Tensor, mask: Tensor) -> None:
        limbs = _limbs_of(physics.model, tuple(limb_of(physics, root) for root in self.roots))
        lost = torch.where(mask, values, 0.0).unsqueeze(-1)
        for field, (kind, least) in _LOST_FIELDS.items():
            live = physics.model_field(field)
            limb = limbs[kind].like(live)
            kept = torch.where((limb == lost) & (limb > 0), least, 1.0)
            live.mul_(kept.view(*kept.shape, *[1] * (live.dim() - 2)))


@once_a_model
def _limbs_of(model: mujoco.MjModel, limbs: tuple[tuple[int, ...], ...]) -> dict[str, DeviceArray]:
    """Returns the number of the limb, from 1 on, that each body, geom and actuator belongs to; 0 for none."""
    body = np.zeros(model.nbody)
    for number, limb in enumerate(limbs, start=1):
        body[list(limb)] = number
    moved = body[model.jnt_bodyid[np.maximum(model.actuator_trnid[:, 0], 0)]]
    actuator = np.where(np.isin(model.actuator_trntype, _ON_JOINTS), moved, 0.0)
    return {
        "body": DeviceArray(body),
        "geom": DeviceArray(body[model.geom_bodyid]),
        "actuator": DeviceArray(actuator),
    }


@contextmanager
def _reshaped(physics: Physics, bodies: tuple[int, ...]) -> Iterator[Links]:
    """Gives links the mass and inertia of their geoms after these were edited."""
    links = links_of(physics.model, bodies)
    before = links.moments(physics)
    yield links
    links.reshape(physics, before)


def _body_of(physics: Physics, name: str) -> int:
    """Returns the id of the body that has this name, or a geom of this name."""
    geom = mujoco.mj_name2id(physics.model, mujoco.mjtObj.mjOBJ_GEOM, name)
    return int(physics.model.geom_bodyid[geom] if geom >= 0 else find(physics, "body", name).id)


def _move_children(physics: Physics, body: int, factor: Tensor) -> None:
    for child in np.flatnonzero(physics.model.body_parentid == body).tolist():
        physics.model_field("body_pos")[:, child] *= factor.unsqueeze(-1)
