"""Links: bodies made of capsules and spheres along one axis, and how their mass and inertia follow their shape."""

import math
from collections.abc import Callable, Hashable
from typing import NamedTuple, TypeVar
from weakref import WeakKeyDictionary

import mujoco
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limbshift.envs.errors import InputError
from limbshift.envs.physics.device_array import DeviceArray
from limbshift.envs.physics.protocol import Physics
from limbshift.envs.tasks.length_effects import capsule_inertia

LINK_FIELDS = ("geom_size", "geom_pos", "body_mass", "body_ipos", "body_inertia")
"""Model fields that hold what a link is."""
_CAPSULE, _SPHERE = int(mujoco.mjtGeom.mjGEOM_CAPSULE), int(mujoco.mjtGeom.mjGEOM_SPHERE)
_TOLERANCE = 1e-6
"""Of directions, and relatively of inertias, that are to be the same."""

Key = TypeVar("Key", bound=Hashable)
Made = TypeVar("Made")


def once_a_model(make: Callable[[mujoco.MjModel, Key], Made]) -> Callable[[mujoco.MjModel, Key], Made]:
    """Remembers what a function makes of a model and of what else it is given, as long as the model lives."""
    made: WeakKeyDictionary[mujoco.MjModel, dict[Key, Made]] = WeakKeyDictionary()

    def remembered(model: mujoco.MjModel, key: Key) -> Made:
        known = made.setdefault(model, {})
        if key not in known:
            known[key] = make(model, key)
        return known[key]

    return remembered


class Moments(NamedTuple):
    """Masses, and their moments about links' joints, (..., links)."""

    mass: Tensor
    """kg"""
    first: Tensor
    """Along the link, kg m."""
    across: Tensor
    """Inertia about a line across the link, kg m^2."""
    along: Tensor
    """Inertia about the link's own axis, kg m^2."""


class Links:
    """Bodies of as many geoms each: capsules and spheres along one axis through the body's origin, of even density.

    A model keeps no masses of geoms: they follow from the body's mass, centre of mass and inertia.

    >>> from limbshift.envs.physics.mujoco_batch import MujocoPhysics
    >>> from limbshift.envs.robots.quadruped import Quadruped
    >>> physics = MujocoPhysics(Quadruped().model, 1, LINK_FIELDS)
    >>> calf = Links(physics.model, (physics.model.body("front_left_calf").id,))
    >>> [round(float(moment), 4) for moment in calf.moments(physics)]  # 0.16 kg at 0.1 m and 0.06 kg at 0.2 m
    [0.22, -0.028, 0.0046, 0.0]
    """

    def __init__(self, model: mujoco.MjModel, bodies: tuple[int, ...]) -> None:
        """Raises InputError for a body that is no link."""
        rows = [_Link(model, body) for body in bodies]
        if len({row.geoms.size for row in rows}) != 1:
            raise InputError("links of one parameter have different numbers of geoms, expected as many each")
        self.bodies = DeviceArray(np.array(bodies))
        self.geoms = DeviceArray(np.stack([row.geoms for row in rows]))  # (links, geoms)
        self._axis = DeviceArray(np.stack([row.axis for row in rows]))  # (links, 3)
        self._is_capsule = DeviceArray(np.stack([row.is_capsule for row in rows]))
        self._density = DeviceArray(np.stack([row.density for row in rows]))

    def moments(self, physics: Physics) -> Moments:
        """Returns those of the links' geoms as they are now, at their nominal densities: (N, links)."""
        size, place = physics.model_field("geom_size"), physics.model_field("geom_pos")
        geoms = self.geoms.like(size)
        size, place = size[:, geoms], place[:, geoms]  # (N, links, geoms, 3)
        distance = (place * self._axis.like(place).unsqueeze(1)).sum(dim=-1)
        radius, half_length = size[..., 0], size[..., 1] * self._is_capsule.like(size)
        mass = self._density.like(size) * capsule_volume(radius, half_length)
        return Moments(*((mass * each).sum(dim=-1) for each in moments_per_kg(radius, half_length, distance)))

    def reshape(self, physics: Physics, before: Moments) -> None:
        """Gives the bodies mass and inertia of their geoms, which were edited since their moments were as before.

        A link that was made denser or lighter stays so. Where nothing was edited, all stays as it is, bit for bit.
        """
        after = self.moments(physics)
        masses, places, inertias = (physics.model_field(name) for name in ("body_mass", "body_ipos", "body_inertia"))
        bodies, axis = self.bodies.like(masses), self._axis.like(places)
        mass, place, inertia = masses[:, bodies], places[:, bodies], inertias[:, bodies]
        density = mass / before.mass
        more = Moments(*(density * (new - old) for new, old in zip(after, before, strict=True)))
        centre, heavier = (place * axis).sum(dim=-1), mass + more.mass
        least = torch.finfo(mass.dtype).tiny  # of a link that is lost, which weighs nothing
        ahead = (more.first - more.mass * centre) / heavier.clamp(min=least)
        swing = heavier * (centre + ahead).square() - mass * centre.square()
        across = more.across - swing
        masses[:, bodies] = heavier
        places[:, bodies] = place + ahead.unsqueeze(-1) * axis
        inertias[:, bodies] = inertia + torch.stack([across, across, more.along], dim=-1)


class _Link:
    """What a body's geoms are: their numbers, axis and densities."""

    def __init__(self, model: mujoco.MjModel, body: int) -> None:
        self.geoms = model.body_geomadr[body] + np.arange(model.body_geomnum[body])
        kinds, places = model.geom_type[self.geoms], model.geom_pos[self.geoms]
        self.is_capsule = (kinds == _CAPSULE).astype(np.float64)
        refusal = InputError(
            f"the body {model.body(body).name!r} has another shape or inertia, expected capsules and spheres of even"
            " density along one axis through its origin"
        )
        if not self.is_capsule.any() or not np.isin(kinds, (_CAPSULE, _SPHERE)).all():
            raise refusal
        self.axis = _third_axis(model.geom_quat[self.geoms[kinds == _CAPSULE][0]])
        on_axis = np.abs(np.cross(places, self.axis)).max() < _TOLERANCE
        across, other, along = model.body_inertia[body]
        round_it = abs(_third_axis(model.body_iquat[body]) @ self.axis) > 1 - _TOLERANCE
        if not on_axis or not round_it or abs(across - other) > _TOLERANCE * across:
            raise refusal
        radius = torch.tensor(model.geom_size[self.geoms, 0])
        half_length = torch.tensor(model.geom_size[self.geoms, 1] * self.is_capsule)
        per_kg = np.stack(moments_per_kg(radius, half_length, torch.tensor(places @ self.axis)))  # (4, geoms)
        mass, centre = model.body_mass[body], model.body_ipos[body] @ self.axis
        whole = np.array([mass, mass * centre, across + mass * centre**2, along])
        masses = np.linalg.lstsq(per_kg, whole, rcond=None)[0]
        if not np.allclose(per_kg @ masses, whole, rtol=1e-4, atol=0.0) or masses.min() <= 0:
            raise refusal
        self.density = masses / capsule_volume(radius, half_length).numpy()


links_of = once_a_model(Links)


def capsule_volume(radius: Tensor, half_length: Tensor) -> Tensor:
    """Returns (...) volumes in m^3 of capsules of (...) radius and half length in m; a sphere has no length.

    >>> round(float(capsule_volume(torch.tensor(1.0), torch.tensor(0.5))), 4)  # pi + 4/3 pi
    7.3304
    """
    return math.pi * radius.square() * (2 * half_length + 4 / 3 * radius)


def moments_per_kg(radius: Tensor, half_length: Tensor, distance: Tensor) -> Moments:
    """Returns the (...) moments of capsules of 1 kg that lie so far along an axis, (...) in m each.

    >>> moments_per_kg(torch.tensor(1.0), torch.tensor(0.0), torch.tensor(2.0)).across  # 2/5 + 2^2
    tensor(4.4000)
    """
    across, _, along = capsule_inertia(radius.unsqueeze(-1), half_length.unsqueeze(-1)).unbind(dim=-1)
    return Moments(torch.ones_like(distance), distance, across + distance.square(), along)


def _third_axis(quaternion: NDArray[np.float64]) -> NDArray[np.float64]:
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, quaternion)
    return matrix[2::3]
