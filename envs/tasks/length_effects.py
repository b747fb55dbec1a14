"""How task parameters change the lengths of a robot's limbs."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from limbshift.envs.physics.protocol import Physics
from limbshift.envs.tasks.bounds import POSITIVE, Bounds
from limbshift.envs.tasks.effects import as_factor, find
from limbshift.envs.tasks.parameter import ModelEffect


@dataclass(frozen=True)
class ScaleCapsuleLength(ModelEffect):
    """Lengthens a body that is one capsule from its joint on, and moves what hangs on it; radius and mass stay.

    >>> ScaleCapsuleLength("pole").body
    'pole'
    """

    body: str
    bounds: ClassVar[Bounds] = POSITIVE
    model_fields: ClassVar[tuple[str, ...]] = ("geom_size", "geom_pos", "body_ipos", "body_inertia", "body_pos")

    def apply(self, physics: Physics, values: Tensor, mask: Tensor) -> None:
        factor = as_factor(mask, values).unsqueeze(-1)
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


def capsule_inertia(radius: float | Tensor, half_length: Tensor) -> Tensor:
    """Returns the (..., 3) inertia in m^2 of capsules of 1 kg, across (twice) and along; (..., 1) lengths are in m.

    The half length is the cylinder's; with none, the capsule is a ball, whose inertia is 2/5 r^2.

    >>> capsule_inertia(1.0, torch.zeros(1, 1))
    tensor([[0.4000, 0.4000, 0.4000]])
    """
    length = 2 * half_length
    cylinder, sphere = math.pi * radius**2 * length, 4 / 3 * math.pi * radius**3
    share = cylinder / (cylinder + sphere)
    along = share * radius**2 / 2 + (1 - share) * 2 / 5 * radius**2
    across = share * (3 * radius**2 + length**2) / 12
    across = across + (1 - share) * (2 / 5 * radius**2 + length**2 / 4 + 3 / 8 * length * radius)
    return torch.cat([across, across, along], dim=-1)
