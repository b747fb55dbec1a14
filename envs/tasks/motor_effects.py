"""How task parameters change a robot's motors: weak, reversed or dead."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from limbshift.envs.errors import InputError
from limbshift.envs.physics.protocol import Physics
from limbshift.envs.tasks.effects import as_factor, find
from limbshift.envs.tasks.parameter import ModelEffect


@dataclass(frozen=True)
class ScaleMotors(ModelEffect):
    """Multiplies the force of motors; -1 is a motor wired the wrong way round, 0 a dead one.

    >>> ScaleMotors(("bthigh", "fthigh")).model_fields
    ('actuator_gear',)
    """

    joints: tuple[str, ...]
    """The joints that the motors move."""
    model_fields: ClassVar[tuple[str, ...]] = ("actuator_gear",)

    def apply(self, physics: Physics, values: Tensor, mask: Tensor) -> None:
        factor = as_factor(mask, values).unsqueeze(-1)
        for motor in _motors(physics, self.joints):
            physics.model_field("actuator_gear")[:, motor] *= factor

    def shown_on(self, physics: Physics) -> tuple[int, ...]:
        return tuple(int(find(physics, "joint", joint).bodyid[0]) for joint in self.joints)


@dataclass(frozen=True)
class KillMotor(ModelEffect):
    """Silences one actuator, by its number from 1 on; 0 silences none.

    >>> KillMotor().model_fields
    ('actuator_gainprm', 'actuator_biasprm')
    """

    model_fields: ClassVar[tuple[str, ...]] = ("actuator_gainprm", "actuator_biasprm")

    def apply(self, physics: Physics, values: Tensor, mask: Tensor) -> None:
        numbers = torch.arange(1, physics.model.nu + 1, device=values.device)
        alive = ~(mask.unsqueeze(-1) & (values.unsqueeze(-1) == numbers))  # (N, A)
        for field in self.model_fields:
            physics.model_field(field).mul_(alive.unsqueeze(-1))


@dataclass(frozen=True)
class ScaleActuators(ModelEffect):
    """Multiplies the force of actuators of any kind; -1 makes a servo go to the other side.

    >>> ScaleActuators(("elbow",), reversing=True).actuators
    ('elbow',)
    """

    actuators: tuple[str, ...]
    reversing: bool = False
    """Whether the command alone is multiplied, and a servo's feedback stays as it is."""
    model_fields: ClassVar[tuple[str, ...]] = ("actuator_gainprm", "actuator_biasprm")

    def apply(self, physics: Physics, values: Tensor, mask: Tensor) -> None:
        factor = as_factor(mask, values).unsqueeze(-1)
        for name in self.actuators:
            actuator = find(physics, "actuator", name).id
            for field in self.model_fields[: 1 if self.reversing else 2]:
                physics.model_field(field)[:, actuator] *= factor


def _motors(physics: Physics, joints: tuple[str, ...]) -> list[int]:
    """Returns the ids of the actuators that move the joints."""
    moved = physics.model.actuator_trnid[:, 0].tolist()
    ids = [find(physics, "joint", joint).id for joint in joints]
    for joint, number in zip(joints, ids, strict=True):
        if number not in moved:
            raise InputError(f"no actuator moves the joint {joint!r}, expected one that is driven")
    return [moved.index(number) for number in ids]
