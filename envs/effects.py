"""How task parameters change a robot: edits of model fields that hold nominal values when they come."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from envs.physics import Physics


@dataclass(frozen=True)
class ScaleBodyMass:
    """Multiplies a body's mass and its inertia: the same shape in a denser or lighter material."""

    body: str
    fields: ClassVar[tuple[str, ...]] = ("body_mass", "body_inertia")

    def apply(self, physics: Physics, values: Tensor, mask: Tensor) -> None:
        factor = torch.where(mask, values, 1.0)
        body = physics.model.body(self.body).id
        physics.parameter("body_mass")[:, body] *= factor
        physics.parameter("body_inertia")[:, body] *= factor.unsqueeze(-1)

    def shown_on(self, physics: Physics) -> int:
        return int(physics.model.body(self.body).id)


@dataclass(frozen=True)
class ScaleMotor:
    """Multiplies the force of a motor; -1 is a motor wired the wrong way round."""

    actuator: str
    fields: ClassVar[tuple[str, ...]] = ("actuator_gear",)

    def apply(self, physics: Physics, values: Tensor, mask: Tensor) -> None:
        actuator = physics.model.actuator(self.actuator).id
        physics.parameter("actuator_gear")[:, actuator] *= torch.where(mask, values, 1.0).unsqueeze(-1)

    def shown_on(self, physics: Physics) -> int:
        joint = physics.model.actuator(self.actuator).trnid[0]
        return int(physics.model.jnt_bodyid[joint])
