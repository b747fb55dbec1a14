"""HalfCheetah: a planar running robot of 14 kg with six motors."""

from collections.abc import Mapping

import torch
from torch import Tensor

from envs.effects import ScaleBodyMass, ScaleMotor
from envs.family import Motion, Robot, TaskFamily, register
from envs.parameters import TaskParameter
from envs.physics import Physics
from envs.robots.gymnasium_assets import gymnasium_xml

BODIES = ("torso", "bthigh", "bshin", "bfoot", "fthigh", "fshin", "ffoot")
MOTORS = ("bthigh", "bshin", "bfoot", "fthigh", "fshin", "ffoot")

CONTROL_WEIGHT = 0.05
"""Cost of a squared action; Gymnasium's is 0.1."""
RESET_NOISE = 0.1
"""Half width of the initial positions (m, rad), deviation of the initial velocities."""


class HalfCheetah(Robot):
    """Gymnasium's HalfCheetah-v5: its model, observation and initial state.

    | Observation | what | unit |
    |---|---|---|
    | 0 | torso height, about its initial one | m |
    | 1 | torso pitch | rad |
    | 2-7 | joints: back thigh, shin, foot, front thigh, shin, foot | rad |
    | 8-9 | torso velocity along x and z | m/s |
    | 10 | torso pitch rate | rad/s |
    | 11-16 | joint velocities, in the joints' order | rad/s |

    | Action | what | bounds |
    |---|---|---|
    | 0-5 | torque on the joints, in the joints' order, as a share of 120, 90, 60, 120, 60, 30 N m | [-1, 1] |

    It never falls: an episode ends at its horizon. A control step is 0.05 s, five substeps.
    Positions start within 0.1 of zero, velocities with a deviation of 0.1.
    """

    name = "HalfCheetah"
    xml = gymnasium_xml("half_cheetah.xml")
    frame_skip = 5
    camera = {"distance": 3.0, "azimuth": 90.0, "elevation": -12.0}

    def observe(self, physics: Physics) -> tuple[Tensor, ...]:
        return physics.state("qpos")[:, 1:], physics.state("qvel")

    def position(self, physics: Physics) -> Tensor:
        return physics.state("qpos")[:, 0]

    def initial_state(self, uniform: Tensor) -> tuple[Tensor, Tensor]:
        qpos, qvel = uniform.split([self.model.nq, self.model.nv], dim=-1)
        return RESET_NOISE * (2 * qpos - 1), RESET_NOISE * torch.special.ndtri(qvel)


ROBOT = HalfCheetah()

DIRECTION = TaskParameter("direction", -1.0, 1.0, "which way to run: 1 forward, -1 backward", choices=(-1.0, 1.0))
TARGET_VELOCITY = TaskParameter(
    "target_velocity", 0.0, 3.0, "speed to hold", unit="m/s", nominal=0.0, extrapolation=((3.0, 4.0),)
)


def limb_factors(widest: float, extrapolation: float) -> tuple[TaskParameter, ...]:
    """A factor for each body's mass and inertia: 1.5^U(-widest, widest), beyond it up to 1.5^extrapolation."""
    low, high = 1.5**-widest, 1.5**widest
    outside = ((1.5**-extrapolation, low), (high, 1.5**extrapolation))
    return tuple(
        TaskParameter(
            f"{body}_mass",
            low,
            high,
            f"factor on mass and inertia of the {body}",
            scale="log",
            extrapolation=outside,
            positive=True,
            effect=ScaleBodyMass(body),
        )
        for body in BODIES
    )


MOTOR_SIGNS = tuple(
    TaskParameter(
        f"{motor}_sign",
        -1.0,
        1.0,
        f"how the {motor} motor is wired: 1 as designed, -1 reversed",
        choices=(-1.0, 1.0),
        effect=ScaleMotor(motor),
    )
    for motor in MOTORS
)

HELDOUT_WIRINGS = (
    "++++-+", "+++---", "++-++-", "++--++", "+-+++-", "+-+-++", "+--+-+", "+-----",
    "-+++++", "-++-+-", "-+-+--", "-+---+", "--++--", "--+--+", "---+++", "----+-",
)  # fmt: skip
"""Wirings never trained on, motors in order: every sign, and every pair of signs, occurs equally often."""


def wiring(signs: str) -> tuple[float, ...]:
    """A wiring by name, such as "+-++-+", as a row of task values."""
    return tuple(1.0 if sign == "+" else -1.0 for sign in signs)


def all_wirings() -> tuple[str, ...]:
    return tuple("".join("-+"[number >> bit & 1] for bit in range(len(MOTORS))) for number in range(2 ** len(MOTORS)))


def control_cost(action: Tensor) -> Tensor:
    """-0.05 sum a^2"""
    squares: Tensor = torch.linalg.vecdot(action, action)
    return squares.mul_(-CONTROL_WEIGHT)


def run(speed: Tensor, action: Tensor) -> dict[str, Tensor]:
    """speed - 0.05 sum a^2"""
    return {"run": speed, "control": control_cost(action)}


@register
class HalfCheetahDir(TaskFamily):
    """Run forward or backward; which of the two is hidden."""

    robot = ROBOT
    parameters = (DIRECTION,)

    def reward(self, motion: Motion, task: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """direction * v_x - 0.05 * sum(a^2)"""
        return run(task["direction"] * motion.velocity, motion.action)


@register
class HalfCheetahVel(TaskFamily):
    """Hold a speed between 0 and 3 m/s; which one is hidden."""

    robot = ROBOT
    parameters = (TARGET_VELOCITY,)

    def reward(self, motion: Motion, task: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """-|v_x - target_velocity| - 0.05 * sum(a^2)"""
        error = (motion.velocity - task["target_velocity"]).abs()
        return {"speed": -error, "control": control_cost(motion.action)}


@register
class HalfCheetahLimbs(TaskFamily):
    """Run forward on a body whose seven parts are each up to 3.4 times heavier or lighter."""

    robot = ROBOT
    parameters = limb_factors(widest=3, extrapolation=4)

    def reward(self, motion: Motion, task: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """v_x - 0.05 * sum(a^2)"""
        return run(motion.velocity, motion.action)


@register
class HalfCheetahLimbsDir(TaskFamily):
    """Run forward or backward on a body whose seven parts are each up to 2.25 times heavier or lighter."""

    robot = ROBOT
    parameters = (*limb_factors(widest=2, extrapolation=3), DIRECTION)

    def reward(self, motion: Motion, task: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """direction * v_x - 0.05 * sum(a^2)"""
        return run(task["direction"] * motion.velocity, motion.action)


@register
class HalfCheetahWiring(TaskFamily):
    """Run forward with motors of which any may be wired the wrong way round."""

    robot = ROBOT
    parameters = MOTOR_SIGNS
    members = {
        "train": tuple(wiring(name) for name in all_wirings() if name not in HELDOUT_WIRINGS),
        "heldout": tuple(wiring(name) for name in HELDOUT_WIRINGS),
    }

    def reward(self, motion: Motion, task: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """v_x - 0.05 * sum(a^2)"""
        return run(motion.velocity, motion.action)
