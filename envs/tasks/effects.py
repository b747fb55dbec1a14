"""How task parameters change a robot's bodies, joints, contacts and surroundings."""

import difflib
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from limbshift.envs.errors import InputError
from limbshift.envs.physics.protocol import Physics
from limbshift.envs.tasks.bounds import NOT_NEGATIVE, POSITIVE, Bounds
from limbshift.envs.tasks.parameter import ModelEffect, StateEffect


def find(physics: Physics, kind: str, name: str) -> Any:
    """Returns a body, joint, geom or actuator of the model by its name; an InputError names the nearest there is.

    >>> from limbshift.envs.catalogue import make_family
    >>> from limbshift.envs.physics.engine import CPU
    >>> physics = CPU.simulate(make_family("HalfCheetahDir").robot.model, 1)
    >>> find(physics, "body", "torso").id
    1
    """
    named = getattr(physics.model, kind)
    try:
        return named(name)
    except KeyError as error:
        count = {"body": "nbody", "joint": "njnt", "geom": "ngeom", "actuator": "nu"}[kind]
        names = [named(number).name for number in range(getattr(physics.model, count))]
        nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.0)
        raise InputError(f"the robot has no {kind} {name!r}: did you mean {nearest[0]!r}?") from error


def limb_of(physics: Physics, root: str) -> tuple[int, ...]:
    """Returns the ids of a body, named root, and of all bodies that hang on it."""
    limb = [int(find(physics, "body", root).id)]
    for body, parent in enumerate(physics.model.body_parentid.tolist()):
        if parent in limb and body not in limb:
            limb.append(body)
    return tuple(limb)


def as_factor(mask: Tensor, values: Tensor) -> Tensor:
    """Returns (N,) values as factors: 1 where the (N,) mask does not pick.

    >>> as_factor(torch.tensor([True, False]), torch.tensor([0.5, 0.5])).tolist()
    [0.5, 1.0]
    """
    return torch.where(mask, values, 1.0)


@dataclass(frozen=True)
class ScaleBodyMass(ModelEffect):
    """Multiplies a body's mass and its inertia: the same shape in a denser or lighter material.

    >>> ScaleBodyMass("torso")
    ScaleBodyMass(body='torso')
    """

    body: str
    bounds: ClassVar[Bounds] = POSITIVE
    model_fields: ClassVar[tuple[str, ...]] = ("body_mass", "body_inertia")

    def apply(self, physics: Physics, values: Tensor, mask: Tensor) -> None:
        factor = as_factor(mask, values)
        body = find(physics, "body", self.body).id
        physics.model_field("body_mass")[:, body] *= factor
        physics.model_field("body_inertia")[:, body] *= factor.unsqueeze(-1)

    def shown_on(self, physics: Physics) -> tuple[int, ...]:
        return (int(find(physics, "body", self.body).id),)


@dataclass(frozen=True)
class ScaleAllMass(ModelEffect):
    """Multiplies the mass and the inertia of all bodies: the value is their density, which is `nominal` by design.

    >>> ScaleAllMass(nominal=1000.0).model_fields
    ('body_mass', 'body_inertia')
    """

    nominal: float
    bounds: ClassVar[Bounds] = POSITIVE
    model_fields: ClassVar[tuple[str, ...]] = ("body_mass", "body_inertia")

    def apply(self, physics: Physics, values: Tensor, mask: Tensor) -> None:
        factor = as_factor(mask, values / self.nominal).unsqueeze(-1)
        physics.model_field("body_mass").mul_(factor)
        physics.model_field("body_inertia").mul_(factor.unsqueeze(-1))


@dataclass(frozen=True)
class ScaleElement(ModelEffect):
    """Multiplies one row of a model field, or one number of it, and nothing else: no real body may result.

    >>> ScaleElement("dof_damping", "joint", "bthigh").model_fields
    ('dof_damping',)
    """

    field: str
    kind: Literal["body", "geom", "joint"]
    """What the field's rows belong to; the row of a degree of freedom belongs to its hinge or slide joint."""
    name: str
    column: int | None = None
    """None for the whole row."""
    bounds: ClassVar[Bounds] = POSITIVE

    @property
    def model_fields(self) -> tuple[str, ...]:
        return (self.field,)

    def apply(self, physics: Physics, values: Tensor, mask: Tensor) -> None:
        found = find(physics, self.kind, self.name)
        row = int(found.dofadr[0]) if self.field.startswith("dof_") else int(found.id)
        live = physics.model_field(self.field)[:, row]
        element = live if self.column is None else live[:, self.column]
        element.mul_(as_factor(mask, values).view(-1, *[1] * (element.dim() - 1)))


@dataclass(frozen=True)
class ScaleLimbMass(ModelEffect):
    """Multiplies the mass and the inertia of a body and of all bodies that hang on it.

    >>> ScaleLimbMass("front_left_leg").root
    'front_left_leg'
    """

    root: str
    bounds: ClassVar[Bounds] = POSITIVE
    model_fields: ClassVar[tuple[str, ...]] = ("body_mass", "body_inertia")

    def apply(self, physics: Physics, values: Tensor, mask: Tensor) -> None:
        factor = as_factor(mask, values)
        for body in self.shown_on(physics):  # a list of indices would be sent to the device, which waits for it
            physics.model_field("body_mass")[:, body] *= factor
            physics.model_field("body_inertia")[:, body] *= factor.unsqueeze(-1)

    def shown_on(self, physics: Physics) -> tuple[int, ...]:
        return limb_of(physics, self.root)


@dataclass(frozen=True)
class AddMass(ModelEffect):
    """Adds kilograms at a body's centre of mass.

    >>> AddMass("payload").model_fields
    ('body_mass',)
    """

    body: str
    model_fields: ClassVar[tuple[str, ...]] = ("body_mass",)

    def apply(self, physics: Physics, values: Tensor, mask: Tensor) -> None:
        physics.model_field("body_mass")[:, find(physics, "body", self.body).id] += torch.where(mask, values, 0.0)

    def bounds_on(self, physics: Physics) -> Bounds:
        mass = float(physics.model.body_mass[find(physics, "body", self.body).id])
        return Bounds(0.0 - mass, strict=mass > 0)  # a place for a load has no mass of its own, and may stay without

    def shown_on(self, physics: Physics) -> tuple[int, ...]:
        return (int(find(physics, "body", self.body).id),)


@dataclass(frozen=True)
class MoveBody(ModelEffect):
    """Moves a body along an axis of its parent's frame, in metres; what hangs on it comes along.

    >>> MoveBody("payload", axis=0).model_fields
    ('body_pos',)
    """

    body: str
    axis: int
    model_fields: ClassVar[tuple[str, ...]] = ("body_pos",)

    def apply(self, physics: Physics, values: Tensor, mask: Tensor) -> None:
        body = find(physics, "body", self.body).id
        physics.model_field("body_pos")[:, body, self.axis] += torch.where(mask, values, 0.0)


@dataclass(frozen=True)
class ScaleDamping(ModelEffect):
    """Multiplies the damping of all joints.

    >>> ScaleDamping().model_fields
    ('dof_damping',)
    """

    bounds: ClassVar[Bounds] = NOT_NEGATIVE
    model_fields: ClassVar[tuple[str, ...]] = ("dof_damping",)

    def apply(self, physics: Physics, values: Tensor, mask: Tensor) -> None:
        physics.model_field("dof_damping").mul_(as_factor(mask, values).unsqueeze(-1))


@dataclass(frozen=True)
class ScaleFriction(ModelEffect):
    """Multiplies the sliding friction of all geoms and of the ground: a contact takes the larger of its two.

    That of pairs of geoms whose contact the model describes is multiplied too.

    >>> ScaleFriction().model_fields
    ('geom_friction', 'pair_friction')
    """

    bounds: ClassVar[Bounds] = POSITIVE
    model_fields: ClassVar[tuple[str, ...]] = ("geom_friction", "pair_friction")

    def apply(self, physics: Physics, values: Tensor, mask: Tensor) -> None:
        factor = as_factor(mask, values).unsqueeze(-1)
        physics.model_field("geom_friction")[:, :, 0] *= factor
        physics.model_field("pair_friction")[:, :, :2] *= factor.unsqueeze(-1)  # along both tangents


@dataclass(frozen=True)
class Slope(ModelEffect):
    """Turns gravity about y, in degrees: where it points down, the way along +x is uphill at positive angles.

    >>> Slope().model_fields
    ('opt.gravity',)
    """

    bounds: ClassVar[Bounds] = Bounds(-90.0, 90.0)
    model_fields: ClassVar[tuple[str, ...]] = ("opt.gravity",)

    def apply(self, physics: Physics, values: Tensor, mask: Tensor) -> None:
        angle = torch.where(mask, values, 0.0).deg2rad()
        gravity = physics.model_field("opt.gravity")
        sine, cosine = angle.sin(), angle.cos()
        x, z = gravity[:, 0] * cosine + gravity[:, 2] * sine, gravity[:, 2] * cosine - gravity[:, 0] * sine
        gravity[:, 0], gravity[:, 2] = x, z


@dataclass(frozen=True)
class ScaleFluid(ModelEffect):
    """Multiplies the density and the viscosity of the fluid.

    >>> ScaleFluid().model_fields
    ('opt.density', 'opt.viscosity')
    """

    bounds: ClassVar[Bounds] = NOT_NEGATIVE
    model_fields: ClassVar[tuple[str, ...]] = ("opt.density", "opt.viscosity")

    def apply(self, physics: Physics, values: Tensor, mask: Tensor) -> None:
        for field in self.model_fields:
            live = physics.model_field(field)
            live.mul_(as_factor(mask, values).view(-1, *[1] * (live.dim() - 1)))


@dataclass(frozen=True)
class SetJoint(StateEffect):
    """Puts a hinge or slide joint at the value, in rad or m, when an episode begins.

    >>> SetJoint("target_x").joint
    'target_x'
    """

    joint: str

    def apply(self, physics: Physics, values: Tensor, mask: Tensor) -> None:
        position = physics.state("qpos")[:, int(find(physics, "joint", self.joint).qposadr[0])]
        position.copy_(torch.where(mask, values, position))
