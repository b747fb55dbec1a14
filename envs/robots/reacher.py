"""Reacher: a planar arm of two links that looks for a target, or for its own links' lengths."""

import math
from collections.abc import Mapping

import mujoco
import torch
from torch import Tensor

from limbshift.envs.family import Motion, Robot, TaskFamily
from limbshift.envs.physics.models import gymnasium_xml
from limbshift.envs.physics.protocol import Physics
from limbshift.envs.task_step import Measure, Measured
from limbshift.envs.tasks.common import factor, hidden_place, mass_factor
from limbshift.envs.tasks.effects import ScaleBodyMass, SetJoint
from limbshift.envs.tasks.length_effects import ScaleCapsuleLength
from limbshift.envs.tasks.parameter import TaskParameter
from limbshift.envs.tasks.rewards import control_cost

GOAL_RADIUS = 0.05
"""How close to the target counts as there, m."""
TARGET_RING = (0.09, 0.145)
"""How far from the shoulder a target that is seen lies, m: within reach of all links that are trained on."""
PRECISION = 0.02
"""Distance at which a seen target pays 1 / e, m."""
POSITION_NOISE = 0.1
"""Half width of the initial joint angles, rad."""
VELOCITY_NOISE = 0.005
"""Half width of the initial joint velocities, rad/s."""


class Reacher(Robot):
    """Gymnasium's Reacher-v5 without all that is computed from its target, and with its fingertip.

    | Observation | what | unit |
    |---|---|---|
    | 0-1 | cosine of the two joint angles | |
    | 2-3 | sine of the two joint angles | |
    | 4-5 | joint velocities | rad/s |
    | 6-7 | fingertip along x and y, one substep behind the angles | m |

    | Action | what | bounds |
    |---|---|---|
    | 0-1 | torque on the two joints, as a share of 200 N m | [-1, 1] |

    It never falls: an episode ends at its horizon. A control step is 0.02 s, two substeps, by
    MuJoCo's `implicitfast` integrator (variant "gymnasium": RK4, three times slower).
    """

    name = "Reacher"
    xml = gymnasium_xml("reacher.xml")
    frame_skip = 2
    integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    camera = {"distance": 0.82, "azimuth": 90.0, "elevation": -90.0}
    computed_fields = ("xpos",)

    def observe(self, physics: Physics) -> tuple[Tensor, ...]:
        angles = physics.state("qpos")[:, :2]
        return angles.cos(), angles.sin(), physics.state("qvel")[:, :2], self.position(physics)

    def position(self, physics: Physics) -> Tensor:
        return physics.computed_field("xpos")[:, self.model.body("fingertip").id, :2]

    def initial_state(self, uniform: Tensor) -> tuple[Tensor, Tensor]:
        qpos, qvel = (2 * uniform - 1).split([self.model.nq, self.model.nv], dim=-1)
        qpos, qvel = POSITION_NOISE * qpos, VELOCITY_NOISE * qvel
        qvel[:, 2:] = 0  # the target's own joints
        return qpos, qvel


class SeeingReacher(Reacher):
    """Reacher with a target that it sees, another in each episode, and without its fingertip, which it must infer.

    | Observation | what | unit |
    |---|---|---|
    | 0-1 | cosine of the two joint angles | |
    | 2-3 | sine of the two joint angles | |
    | 4-5 | target along x and y, 9 to 14.5 cm from the shoulder | m |
    | 6-7 | joint velocities | rad/s |

    | Action | what | bounds |
    |---|---|---|
    | 0-1 | torque on the two joints, as a share of 200 N m | [-1, 1] |

    It never falls. A control step is 0.02 s, two substeps, by MuJoCo's `implicitfast` integrator (variant
    "gymnasium": RK4, three times slower).
    """

    def observe(self, physics: Physics) -> tuple[Tensor, ...]:
        angles, target = physics.state("qpos").split(2, dim=-1)
        return angles.cos(), angles.sin(), target, physics.state("qvel")[:, :2]

    def initial_state(self, uniform: Tensor) -> tuple[Tensor, Tensor]:
        qpos, qvel = super().initial_state(uniform)
        nearest, farthest = TARGET_RING
        distance = (nearest**2 + (farthest**2 - nearest**2) * uniform[:, 2]).sqrt()
        angle = 2 * math.pi * uniform[:, 3]
        qpos[:, 2], qpos[:, 3] = distance * angle.cos(), distance * angle.sin()
        return qpos, qvel


REACHER, SEEING_REACHER = Reacher(), SeeingReacher()


class ReacherFamily(TaskFamily):
    """Trials in which the arm reaches again and again."""

    episodes_per_trial = 4
    horizon = 50
    measure = Measure("distance", "m")

    def measured(self, motion: Motion, task: Mapping[str, Tensor]) -> Measured:
        distance = self.distance(motion, task)
        return Measured(distance, torch.zeros_like(distance))

    def distance(self, motion: Motion, task: Mapping[str, Tensor]) -> Tensor:
        """Returns how far the fingertip is from the target that is in sight, (N,) in m."""
        distance: Tensor = (self.robot.position(motion.physics) - motion.physics.state("qpos")[:, 2:]).norm(dim=-1)
        return distance


def gymnasiums_reward(distance: Tensor, action: Tensor) -> dict[str, Tensor]:
    """-distance - sum(a^2)"""
    return {"distance": -distance, "control": control_cost(action, 1.0)}


class ReacherGoal(ReacherFamily):
    """Find a hidden target with the fingertip, then go straight to it in later episodes."""

    robot = REACHER
    parameters = hidden_place(0.2, (SetJoint("target_x"), SetJoint("target_y")))
    discs = (("goal_x", "goal_y"),)
    variants = {"default": {}, "dense": {}, "gymnasium": {"robot": REACHER.as_written()}}
    goal_radius = GOAL_RADIUS
    measure = Measure("distance", "m", near=GOAL_RADIUS)
    gamma = 0.99

    def reward(self, motion: Motion, task: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """1 if distance < 5 cm else 0; variant "dense": -distance; variant "gymnasium": -distance - sum(a^2);
        distance is that of the fingertip from the target
        """
        distance = self.distance(motion, task)
        if self.variant == "gymnasium":
            return gymnasiums_reward(distance, motion.action)
        if self.variant == "dense":
            return {"distance": -distance}
        return {"found": (distance < GOAL_RADIUS).to(distance.dtype)}

    def distance(self, motion: Motion, task: Mapping[str, Tensor]) -> Tensor:
        goal = torch.stack([task["goal_x"], task["goal_y"]], dim=-1)
        distance: Tensor = (self.robot.position(motion.physics) - goal).norm(dim=-1)
        return distance


LINKS = {"upper": "body0", "lower": "body1"}
"""Links, and what the XML calls their bodies."""


def length_factor(link: str, body: str) -> TaskParameter:
    """Returns a factor on a link's length."""
    return factor(
        f"{link}_length",
        0.7,
        1.4,
        description=f"factor on the length of the {link} link",
        effect=ScaleCapsuleLength(body),
        extrapolation=((0.6, 0.7), (1.4, 1.6)),
    )


class ReacherLimbs(ReacherFamily):
    """Touch targets that are seen, with links of unknown lengths and masses and without seeing the fingertip."""

    robot = SEEING_REACHER
    parameters = (
        *(length_factor(link, body) for link, body in LINKS.items()),
        *(mass_factor(f"{link}_link", ScaleBodyMass(body), 3) for link, body in LINKS.items()),
    )
    variants = {"default": {}, "gymnasium": {"robot": SEEING_REACHER.as_written()}}
    gamma = 0.95

    def reward(self, motion: Motion, task: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """exp(-distance / 2 cm) - 0.01 * sum(a^2); variant "gymnasium": -distance - sum(a^2);
        distance is that of the fingertip from the target
        """
        distance = self.distance(motion, task)
        if self.variant == "gymnasium":
            return gymnasiums_reward(distance, motion.action)
        return {"near": torch.exp(-distance / PRECISION), "control": control_cost(motion.action, 0.01)}
