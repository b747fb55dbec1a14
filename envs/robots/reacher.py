"""Reacher: a planar arm of two links that looks for a target."""

from collections.abc import Mapping

import mujoco
import torch
from torch import Tensor

from envs.changes import place
from envs.family import Motion, Robot, TaskFamily, register
from envs.physics import Physics
from envs.robots.gymnasium_assets import gymnasium_xml

GOAL_RADIUS = 0.05
"""How close to the target counts as there, m."""
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
    MuJoCo's `implicitfast` integrator (Gymnasium's is RK4, three times slower).
    """

    name = "Reacher"
    xml = gymnasium_xml("reacher.xml")
    frame_skip = 2
    integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    camera = {"distance": 0.82, "azimuth": 90.0, "elevation": -90.0}
    derived = ("xpos",)

    def observe(self, physics: Physics) -> tuple[Tensor, ...]:
        angles = physics.state("qpos")[:, :2]
        return angles.cos(), angles.sin(), physics.state("qvel")[:, :2], self.position(physics)

    def position(self, physics: Physics) -> Tensor:
        return physics.derived("xpos")[:, self.model.body("fingertip").id, :2]

    def initial_state(self, uniform: Tensor) -> tuple[Tensor, Tensor]:
        qpos, qvel = (2 * uniform - 1).split([self.model.nq, self.model.nv], dim=-1)
        qpos, qvel = POSITION_NOISE * qpos, VELOCITY_NOISE * qvel
        qvel[:, 2:] = 0  # the target's own joints
        return qpos, qvel


@register
class ReacherGoal(TaskFamily):
    """Find a hidden target with the fingertip, then go straight to it in later episodes."""

    robot = Reacher()
    parameters = (place("goal_x", "x", 0.2), place("goal_y", "y", 0.2))
    discs = (("goal_x", "goal_y"),)
    variants = {"default": {}, "dense": {}}
    goal_radius = GOAL_RADIUS
    episodes_per_trial = 4
    horizon = 50
    gamma = 0.99

    def reward(self, motion: Motion, task: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """1 within 5 cm of the target, else 0; variant "dense": -distance in metres"""
        fingertip = self.robot.position(motion.physics)
        goal = torch.stack([task["goal_x"], task["goal_y"]], dim=-1)
        distance = (fingertip - goal).norm(dim=-1)
        if self.variant == "dense":
            return {"distance": -distance}
        return {"found": (distance < GOAL_RADIUS).to(distance.dtype)}

    def place_goal(self, physics: Physics, task: Mapping[str, Tensor], mask: Tensor) -> None:
        qpos = physics.state("qpos")
        qpos[:, 2] = torch.where(mask, task["goal_x"], qpos[:, 2])
        qpos[:, 3] = torch.where(mask, task["goal_y"], qpos[:, 3])
