"""What Gymnasium's planar robots that can fall have in common."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import mujoco
from torch import Tensor

from limbshift.envs.family import Motion, Robot, RunningFamily
from limbshift.envs.physics.protocol import Physics
from limbshift.envs.tasks.common import factor
from limbshift.envs.tasks.effects import ScaleElement
from limbshift.envs.tasks.parameter import Caption, Effect, TaskParameter
from limbshift.envs.tasks.rewards import alive, control_cost
from limbshift.envs.tasks.task_space import drawn_tasks

POSITION_NOISE = 5e-3
"""Half width of the initial positions (m, rad) and velocities (m/s, rad/s)."""
MAX_SPEED = 10.0
"""Observed velocities are clipped to this."""
CONTROL_WEIGHT = 1e-3
"""Cost of a squared action, as in Gymnasium."""


class PlanarWalker(Robot):
    """A robot in the plane of x and z that falls where it is too low, too high, or leans too far."""

    frame_skip = 4
    integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    # A pyramid of friction, as in the XML, also yields along the normal, the more the higher friction is: with twice
    # the friction of Gymnasium's hopper the same push lifts its torso at 0.8 m/s in place of 2.0.
    cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    camera = {"distance": 3.5, "azimuth": 90.0, "elevation": -10.0}
    lowest: ClassVar[float]
    """Height of the torso below which it has fallen, m."""
    highest: ClassVar[float] = float("inf")
    max_pitch: ClassVar[float]
    """Pitch of the torso beyond which it has fallen, rad."""

    def observe(self, physics: Physics) -> tuple[Tensor, ...]:
        return physics.state("qpos")[:, 1:], physics.state("qvel").clamp(-MAX_SPEED, MAX_SPEED)

    def position(self, physics: Physics) -> Tensor:
        return physics.state("qpos")[:, 0]

    def initial_state(self, uniform: Tensor) -> tuple[Tensor, Tensor]:
        qpos, qvel = self.even_noise(uniform, POSITION_NOISE)
        return self.start.like(qpos) + qpos, qvel

    def fallen(self, physics: Physics) -> Tensor:
        _, height, pitch = physics.state("qpos")[:, :3].unbind(dim=-1)
        return (height <= self.lowest) | (height >= self.highest) | (pitch.abs() >= self.max_pitch)


def element_factors(bodies: Sequence[str], joints: Sequence[str]) -> tuple[TaskParameter, ...]:
    """Returns a factor for each mass, inertia, sliding friction and joint damping: 1.5^U(-3, 3), damping 1.3^U(-3, 3).

    Of a body's three inertias one counts in the plane, so that one factor does for them; of the frictions those of
    the feet count, which alone touch the ground before a fall.
    As in Rakelly et al., "Efficient off-policy meta-reinforcement learning via probabilistic context
    variables" (2019), and in Zintgraf et al., "VariBAD" (2020).
    """
    parameters = []
    for body in bodies:
        parameters.append(
            element_factor(f"{body}_mass", 1.5, ScaleElement("body_mass", "body", body), caption=Caption("mass", body))
        )
        parameters.append(element_factor(f"{body}_inertia", 1.5, ScaleElement("body_inertia", "body", body)))
        if "foot" in body:
            effect = ScaleElement("geom_friction", "geom", f"{body}_geom", 0)
            parameters.append(element_factor(f"{body}_friction", 1.5, effect))
    for joint in joints:
        parameters.append(element_factor(f"{joint}_damping", 1.3, ScaleElement("dof_damping", "joint", joint)))
    return tuple(parameters)


def element_variants(bodies: Sequence[str], joints: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Returns such factors drawn at will ("varibad"), and 40 rows of them to train on with 10 held out ("pearl")."""
    parameters = element_factors(bodies, joints)
    return {
        "varibad": {"parameters": parameters},
        "pearl": {"parameters": parameters, "listed_tasks": drawn_tasks(parameters, train=40, heldout=10)},
    }


def element_factor(name: str, base: float, effect: Effect, *, caption: Caption | None = None) -> TaskParameter:
    """Returns a factor base^U(-3, 3)."""
    what = name.replace("_", " ")
    return factor(name, base**-3, base**3, description=f"factor on the {what}", effect=effect, caption=caption)


class PlanarWalkerFamily(RunningFamily):
    """Walkers go forward; those that are to do otherwise say so."""

    gamma = 0.99

    def reward(self, motion: Motion, task: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """v_x + 1 (0 where it falls) - 0.001 * sum(a^2)"""
        return self.paid(motion.velocity, motion)

    def paid(self, progress: Tensor, motion: Motion) -> dict[str, Tensor]:
        """Progress, staying upright, and the cost of the motors' work."""
        return {
            "run": progress,
            "alive": alive(motion.fallen),
            "control": control_cost(motion.action, CONTROL_WEIGHT),
        }
