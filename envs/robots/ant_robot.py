"""The ants: four-legged robots with eight motors, that fall."""

from collections.abc import Sequence
from typing import ClassVar

import mujoco
import torch
from torch import Tensor

from limbshift.envs.family import Mirror, Robot
from limbshift.envs.physics.models import gymnasium_xml
from limbshift.envs.physics.protocol import CONTACT_FORCES, Physics

LEGS = {
    "front_left": "front_left_leg",
    "front_right": "front_right_leg",
    "back_left": "back_leg",
    "back_right": "right_back_leg",
}
"""Legs, and what the XML calls their first body."""
JOINTS = tuple(f"{joint}_{number}" for number in (1, 2, 3, 4) for joint in ("hip", "ankle"))
"""In the legs' order."""

RESET_NOISE = 0.1
"""Half width of the initial positions (m, rad), standard deviation of the initial velocities."""


OPPOSITE = (3, 2, 1, 0)
"""Legs, in their order, that change places in a mirror between left (+y) and right."""
JOINT_SIGN = (-1.0, 1.0)
"""Of hip and ankle in it."""


def seen_joints(first: int, legs: Sequence[int]) -> tuple[int, ...]:
    """Returns entries of the hips and ankles of these legs, where the first leg's begin at a place.

    >>> seen_joints(5, (1, 0))
    (7, 8, 5, 6)
    """
    return tuple(first + 2 * leg + joint for leg in legs for joint in (0, 1))


MIRROR = Mirror(
    # Height; orientation; joints; velocity; angular velocity, which turns the other way round; joint velocities.
    obs=(*range(5), *seen_joints(5, OPPOSITE), *range(13, 19), *seen_joints(19, OPPOSITE)),
    obs_sign=(1, 1, -1, 1, -1, *4 * JOINT_SIGN, 1, -1, 1, -1, 1, -1, *4 * JOINT_SIGN),
    # The motors' order begins with the last leg.
    action=seen_joints(0, (1, 0, 3, 2)),
    action_sign=4 * JOINT_SIGN,
)


class Ant(Robot):
    """Gymnasium's Ant-v5 without contact forces in its observation: its model and initial state.

    | Observation | what | unit |
    |---|---|---|
    | 0 | torso height | m |
    | 1-4 | torso orientation, a quaternion | |
    | 5-12 | joints: hip and ankle of the front left, front right, back left and back right leg | rad |
    | 13-15 | torso velocity | m/s |
    | 16-18 | torso angular velocity | rad/s |
    | 19-26 | joint velocities, in the joints' order | rad/s |

    | Action | what | bounds |
    |---|---|---|
    | 0-7 | torque on hip and ankle of the back right, front left, front right, back left leg: x 150 N m | [-1, 1] |

    It has fallen where it is turned over, its torso tilted by more than 90 degrees (variant "gymnasium": where its
    torso is outside 0.2 to 1 m). A control step is 0.05 s, five substeps, by MuJoCo's `implicitfast` integrator
    (variant "gymnasium": RK4, three times slower).
    """

    name = "Ant"
    xml = gymnasium_xml("ant.xml")
    frame_skip = 5
    integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    camera = {"distance": 4.0, "azimuth": 90.0, "elevation": -25.0}
    computed_fields: ClassVar[tuple[str, ...]] = ("xpos",)
    mirror: Mirror | None = MIRROR

    def observe(self, physics: Physics) -> tuple[Tensor, ...]:
        return physics.state("qpos")[:, 2:], physics.state("qvel")

    def position(self, physics: Physics) -> Tensor:
        return physics.computed_field("xpos")[:, self.model.body("torso").id, :2]

    def initial_state(self, uniform: Tensor) -> tuple[Tensor, Tensor]:
        qpos, qvel = uniform.split([self.model.nq, self.model.nv], dim=-1)
        return self.start.like(qpos) + RESET_NOISE * (2 * qpos - 1), RESET_NOISE * torch.special.ndtri(qvel)

    def fallen(self, physics: Physics) -> Tensor:
        x, y = physics.state("qpos")[:, 4:6].unbind(dim=-1)
        return x.square() + y.square() > 0.5  # 1 - 2 (x^2 + y^2) is the cosine of the tilt


class GymnasiumAnt(Ant):
    """Ant with Gymnasium's integrator and fall, and with the forces of its contacts at hand."""

    integrator = None
    computed_fields = (*Ant.computed_fields, CONTACT_FORCES)

    def fallen(self, physics: Physics) -> Tensor:
        height = physics.state("qpos")[:, 2]  # it has not fallen on its back
        return (height < 0.2) | (height > 1.0)


class PlacedAnt(Ant):
    """Ant that senses, before all that an `Ant` does, where it is: x and y, m, as in PEARL's and varibad's AntGoal."""

    mirror = None

    def observe(self, physics: Physics) -> tuple[Tensor, ...]:
        return physics.state("qpos"), physics.state("qvel")
