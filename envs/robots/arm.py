"""Arm: a robot arm of six joints that follows a moving reference, of our own."""

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from limbshift.envs.family import Motion, Robot, TaskFamily
from limbshift.envs.physics.device_array import DeviceArray
from limbshift.envs.physics.protocol import Physics
from limbshift.envs.task_step import Measure, Measured
from limbshift.envs.tasks.common import factor, payload
from limbshift.envs.tasks.effects import ScaleElement
from limbshift.envs.tasks.rewards import control_cost

JOINTS = ("shoulder_yaw", "shoulder_pitch", "elbow", "wrist_roll", "wrist_pitch", "hand_roll")

MIDDLE = DeviceArray([0.0, 0.6, 0.9, 0.0, 0.5, 0.0])
"""About which each joint's reference swings, rad."""
SWING = DeviceArray([0.6, 0.3, 0.4, 0.5, 0.4, 0.5])
"""How far it swings, rad."""
RATE = DeviceArray([2 * math.pi / period for period in (4.0, 3.2, 2.6, 2.2, 1.8, 1.6)])
"""How fast, rad/s: periods of 1.6 to 4 s, so that an episode of 4 s does not repeat itself."""
RESET_NOISE = 0.05
"""Half width of the initial joint positions about the reference (rad) and of the velocities (rad/s)."""
WORTH_ONE = 0.1
"""Mean error of the joints that costs 1 a step, rad."""
CONTROL_WEIGHT = 0.01
"""Cost of a squared action."""


class Arm(Robot):
    """A six-joint arm of 13 kg whose servos do not know what it carries.

    | Observation | what | unit |
    |---|---|---|
    | 0-5 | joints, from the shoulder to the hand | rad |
    | 6-11 | joint velocities | rad/s |
    | 12-17 | the reference of each joint | rad |
    | 18-23 | the reference's velocity | rad/s |

    | Action | what | bounds |
    |---|---|---|
    | 0-5 | where the servos go, in the joints' order: 0 is straight up, ±1 is 1.5 rad to either side | [-1, 1] |

    It cannot fall. Joint i's reference is MIDDLE_i + SWING_i sin(RATE_i t), the same in each episode. A control step
    is 0.02 s, four substeps.
    """

    name = "Arm"
    xml = Path(__file__).parents[1] / "assets" / "arm.xml"
    frame_skip = 4
    camera = {"distance": 2.4, "azimuth": 120.0, "elevation": -15.0}

    def observe(self, physics: Physics) -> tuple[Tensor, ...]:
        time = physics.state("time").view(-1, 1)
        middle, swing, rate = MIDDLE.like(time), SWING.like(time), RATE.like(time)
        phase = rate * time
        return physics.state("qpos"), physics.state("qvel"), middle + swing * phase.sin(), swing * rate * phase.cos()

    def position(self, physics: Physics) -> Tensor:
        return physics.state("qpos")[:, 0]

    def initial_state(self, uniform: Tensor) -> tuple[Tensor, Tensor]:
        qpos, qvel = self.even_noise(uniform, RESET_NOISE)
        return MIDDLE.like(qpos) + qpos, SWING.like(qvel) * RATE.like(qvel) + qvel


class ArmFamily(TaskFamily):
    """Arms that follow their reference."""

    robot = Arm()
    gamma = 0.97
    measure = Measure("error", "rad")

    def measured(self, motion: Motion, task: Mapping[str, Tensor]) -> Measured:
        error = self.error(motion)
        return Measured(error, torch.zeros_like(error))

    def error(self, motion: Motion) -> Tensor:
        """Returns how far the joints are from their references, (N,) means in rad."""
        joints, _, reference, _ = self.robot.observe(motion.physics)
        return (joints - reference).abs().mean(dim=-1)

    def reward(self, motion: Motion, task: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """-mean(|q - q_reference|) / 0.1 rad - 0.01 * sum(a^2);
        q are the joints and q_reference their references
        """
        return {"track": -self.error(motion) / WORTH_ONE, "control": control_cost(motion.action, CONTROL_WEIGHT)}


class ArmPayload(ArmFamily):
    """Follow a moving pose with an unknown load in the hand."""

    parameters = (payload(4.0, beyond=5.0),)


class ArmJointFriction(ArmFamily):
    """Follow a moving pose with joints of which each may be stuck or loose."""

    parameters = tuple(
        factor(
            f"{joint}_friction",
            0.1,
            20.0,
            description=f"factor on the dry friction of the {joint}",
            effect=ScaleElement("dof_frictionloss", "joint", joint),
            extrapolation=((20.0, 30.0),),
        )
        for joint in JOINTS
    )
