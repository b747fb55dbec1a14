"""How task parameters change a robot: edits of model fields that hold nominal values when they come."""

import difflib
import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from limbshift.envs.errors import InputError
from limbshift.envs.physics.protocol import Physics
from limbshift.envs.tasks.parameter import Effect


def find(physics: Physics, kind: str, name: str) -> Any:
    """A body, joint, geom or actuator of the model by its name; InputError tells the nearest where it has none such."""
    named = getattr(physics.model, kind)
    try:
        return named(name)
    except KeyError as error:
        count = {"body": "nbody", "joint": "njnt", "geom": "ngeom", "actuator": "nu"}[kind]
        names = [named(number).name for number in range(getattr(physics.model, count))]
        nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.0)
        raise InputError(f"the robot has no {kind} {name!r}: did you mean {nearest[0]!r}?") from error


def _where(mask: Tensor, values: Tensor) -> Tensor:
    """The values as factors: 1 where the mask does not pick."""
    return torch.where(mask, values, 1.0)


@dataclass(frozen=True)
class ScaleBodyMass(Effect):
    """Multiplies a body's mass and its inertia: the same shape in a denser or lighter material."""

    body: str
    model_fields: ClassVar[tuple[str, ...]] = ("body_mass", "body_inertia")

    def apply(self, physics: Physics, values: Tensor, mask: Tensor) -> None:
        factor = _where(mask, values)
        body = find(physics, "body", self.body).id
        physics.model_field("body_mass")[:, body] *= factor
        physics.model_field("body_inertia")[:, body] *= factor.unsqueeze(-1)

    def shown_on(self, physics: Physics) -> tuple[int, ...]:
        return (int(find(physics, "body", self.body).id),)


@dataclass(frozen=True)
class ScaleAllMass(Effect):
    """Multiplies the mass and the inertia of all bodies: the value is their density, in units of `nominal`."""

    nominal: float
    model_fields: ClassVar[tuple[str, ...]] = ("body_mass", "body_inertia")

    def apply(self, physics: Physics, values: Tensor, mask: Tensor) -> None:
        factor = _where(mask, values / self.nominal).unsqueeze(-1)
        physics.model_field("body_mass").mul_(factor)
        physics.model_field("body_inertia").mul_(factor.unsqueeze(-1))


@dataclass(frozen=True)
class ScaleElement(Effect):
    """Multiplies a row of a model field, or one number of it, alone: what results may be no real body."""

    field: str
    kind: Literal["body", "geom", "joint"]
    """What the field's rows belong to; a hinge's or a slide's row of a field of degrees of freedom is its joint's."""
    name: str
    column: int | None = None
    """None for the whole row."""

    @property
    def model_fields(self) -> tuple[str, ...]:
        return (self.field,)

    def apply(self, physics: Physics, values: Tensor, mask: Tensor) -> None:
        found = find(physics, self.kind, self.name)
        row = int(found.dofadr[0]) if self.field.startswith("dof_") else int(found.id)
        live = physics.model_field(self.field)[:, row]
        element = live if self.column is None else live[:, self.column]
        element.mul_(_where(mask, values).view(-1, *[1] * (element.dim() - 1)))


@dataclass(frozen=True)
class ScaleLimbMass(Effect):
    """Multiplies the mass and the inertia of a body and of all that hang on it."""

    root: str
    model_fields: ClassVar[tuple[str, ...]] = ("body_mass", "body_inertia")

    def apply(self, physics: Physics, values: Tensor, mask: Tensor) -> None:
        factor = _where(mask, values)
        for body in self.shown_on(physics):  # a list of indices would be sent to the device, which waits for it
            physics.model_field("body_mass")[:, body] *= factor
            physics.model_field("body_inertia")[:, body] *= factor.unsqueeze(-1)

    def shown_on(self, physics: Physics) -> tuple[int, ...]:
        limb = [int(find(physics, "body", self.root).id)]
        for body, parent in enumerate(physics.model.body_parentid.tolist()):
            if parent in limb and body not in limb:
                limb.append(body)
        return tuple(limb)


@dataclass(frozen=True)
class ScaleCapsuleLength(Effect):
    """Multiplies the length of a body that is one capsule from its joint on; its radius and its mass stay.

    What hangs on it moves along.
    """

    body: str
    model_fields: ClassVar[tuple[str, ...]] = ("geom_size", "geom_pos", "body_ipos", "body_inertia", "body_pos")

    def apply(self, physics: Physics, values: Tensor, mask: Tensor) -> None:
        factor = _where(mask, values).unsqueeze(-1)
        body = int(find(physics, "body", self.body).id)
        geom = int(physics.model.body(body).geomadr[0])
        radius, half_length = physics.model.geom_size[geom, :2].tolist()
        physics.model_field("geom_size")[:, geom, 1:2] *= factor
        physics.model_field("geom_pos")[:, geom] *= factor
        physics.model_field("body_ipos")[:, body] *= factor
        for child, parent in enumerate(physics.model.body_parentid.tolist()):
            if parent == body:
                physics.model_field("body_pos")[:, child] *= factor
        nominal = torch.full_like(factor, half_length)
        ratio = capsule_inertia(radius, factor * half_length) / capsule_inertia(radius, nominal)
        physics.model_field("body_inertia")[:, body] *= ratio


def capsule_inertia(radius: float, half_length: Tensor) -> Tensor:
    """(N, 3) inertia of capsules of 1 kg, across (twice) and along, from (N, 1) half lengths of their cylinders."""
    length = 2 * half_length
    cylinder, sphere = math.pi * radius**2 * length, 4 / 3 * math.pi * radius**3
    share = cylinder / (cylinder + sphere)
    along = share * radius**2 / 2 + (1 - share) * 2 / 5 * radius**2
    across = share * (3 * radius**2 + length**2) / 12
    across = across + (1 - share) * (2 / 5 * radius**2 + length**2 / 4 + 3 / 8 * length * radius)
    return torch.cat([across, across, along], dim=-1)


@dataclass(frozen=True)
class ScaleMotors(Effect):
    """Multiplies the force of motors; -1 is a motor wired the wrong way round, 0 a dead one."""

    joints: tuple[str, ...]
    """The joints that they move."""
    model_fields: ClassVar[tuple[str, ...]] = ("actuator_gear",)

    def apply(self, physics: Physics, values: Tensor, mask: Tensor) -> None:
        factor = _where(mask, values).unsqueeze(-1)
        for motor in _motors(physics, self.joints):
            physics.model_field("actuator_gear")[:, motor] *= factor

    def shown_on(self, physics: Physics) -> tuple[int, ...]:
        return tuple(int(find(physics, "joint", joint).bodyid[0]) for joint in self.joints)


@dataclass(frozen=True)
class KillMotor(Effect):
    """Silences one actuator, by its number; 0 silences none."""

    model_fields: ClassVar[tuple[str, ...]] = ("actuator_gainprm", "actuator_biasprm")

    def apply(self, physics: Physics, values: Tensor, mask: Tensor) -> None:
        numbers = torch.arange(1, physics.model.nu + 1, device=values.device)
        alive = ~(mask.unsqueeze(-1) & (values.unsqueeze(-1) == numbers))  # (N, A)
        for field in self.model_fields:
            physics.model_field(field).mul_(alive.unsqueeze(-1))


def _motors(physics: Physics, joints: tuple[str, ...]) -> list[int]:
    """Ids of the actuators that move the joints."""
    moved = physics.model.actuator_trnid[:, 0].tolist()
    ids = [find(physics, "joint", joint).id for joint in joints]
    for joint, number in zip(joints, ids, strict=True):
        if number not in moved:
            raise InputError(f"no actuator moves the joint {joint!r}, expected one that is driven")
    return [moved.index(number) for number in ids]


@dataclass(frozen=True)
class ScaleActuators(Effect):
    """Multiplies the force of actuators of any kind; -1 makes a servo go to the other side."""

    actuators: tuple[str, ...]
    reversing: bool = False
    """Whether the command alone is multiplied, and a servo's feedback stays as it is."""
    model_fields: ClassVar[tuple[str, ...]] = ("actuator_gainprm", "actuator_biasprm")

    def apply(self, physics: Physics, values: Tensor, mask: Tensor) -> None:
        factor = _where(mask, values).unsqueeze(-1)
        for name in self.actuators:
            actuator = find(physics, "actuator", name).id
            for field in self.model_fields[: 1 if self.reversing else 2]:
                physics.model_field(field)[:, actuator] *= factor


@dataclass(frozen=True)
class AddMass(Effect):
    """Adds kilograms at a body's centre of mass."""

    body: str
    model_fields: ClassVar[tuple[str, ...]] = ("body_mass",)

    def apply(self, physics: Physics, values: Tensor, mask: Tensor) -> None:
        physics.model_field("body_mass")[:, find(physics, "body", self.body).id] += torch.where(mask, values, 0.0)

    def shown_on(self, physics: Physics) -> tuple[int, ...]:
        return (int(find(physics, "body", self.body).id),)


@dataclass(frozen=True)
class MoveBody(Effect):
    """Moves a body along an axis of its parent's frame, in metres; what hangs on it comes along."""

    body: str
    axis: int
    model_fields: ClassVar[tuple[str, ...]] = ("body_pos",)

    def apply(self, physics: Physics, values: Tensor, mask: Tensor) -> None:
        body = find(physics, "body", self.body).id
        physics.model_field("body_pos")[:, body, self.axis] += torch.where(mask, values, 0.0)


@dataclass(frozen=True)
class ScaleDamping(Effect):
    """Multiplies the damping of all joints."""

    model_fields: ClassVar[tuple[str, ...]] = ("dof_damping",)

    def apply(self, physics: Physics, values: Tensor, mask: Tensor) -> None:
        physics.model_field("dof_damping").mul_(_where(mask, values).unsqueeze(-1))


@dataclass(frozen=True)
class ScaleFriction(Effect):
    """Multiplies the sliding friction of all geoms, the ground's too: contacts take the larger of two."""

    model_fields: ClassVar[tuple[str, ...]] = ("geom_friction",)

    def apply(self, physics: Physics, values: Tensor, mask: Tensor) -> None:
        physics.model_field("geom_friction")[:, :, 0] *= _where(mask, values).unsqueeze(-1)


@dataclass(frozen=True)
class Slope(Effect):
    """Tilts gravity, in degrees about y: at positive angles the way along +x is uphill."""

    model_fields: ClassVar[tuple[str, ...]] = ("opt.gravity",)

    def apply(self, physics: Physics, values: Tensor, mask: Tensor) -> None:
        angle = torch.where(mask, values, 0.0).deg2rad()
        gravity = physics.model_field("opt.gravity")
        gravity[:, 0] += gravity[:, 2] * angle.sin()
        gravity[:, 2] *= angle.cos()


@dataclass(frozen=True)
class ScaleFluid(Effect):
    """Multiplies the density and the viscosity of the fluid."""

    model_fields: ClassVar[tuple[str, ...]] = ("opt.density", "opt.viscosity")

    def apply(self, physics: Physics, values: Tensor, mask: Tensor) -> None:
        for field in self.model_fields:
            live = physics.model_field(field)
            live.mul_(_where(mask, values).view(-1, *[1] * (live.dim() - 1)))
