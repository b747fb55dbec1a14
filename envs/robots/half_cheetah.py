"""HalfCheetah: a planar running robot of 14 kg with six motors."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations, product

import torch
from torch import Tensor

from limbshift.envs.family import Motion, Robot, RunningFamily
from limbshift.envs.hardware import ACTION_DELAY, HARDWARE
from limbshift.envs.physics.models import gymnasium_xml
from limbshift.envs.physics.protocol import Physics
from limbshift.envs.tasks.common import (
    DIRECTION,
    TARGET_VELOCITY,
    all_but,
    dead_motor,
    friction,
    joint_damping,
    mass_factors,
    motor_lives,
    motor_power,
    motor_signs,
    never_trained,
    slope,
    wirings,
)
from limbshift.envs.tasks.rewards import control_cost
from limbshift.envs.tasks.task_space import drawn_tasks

BODIES = ("torso", "bthigh", "bshin", "bfoot", "fthigh", "fshin", "ffoot")
MOTORS = ("bthigh", "bshin", "bfoot", "fthigh", "fshin", "ffoot")

CONTROL_WEIGHT = 0.05
"""Cost of a squared action; Gymnasium's is 0.1."""
RESET_NOISE = 0.1
"""Half width of the initial positions (m, rad), standard deviation of the initial velocities."""


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
    Positions start within 0.1 of zero, velocities with a standard deviation of 0.1.
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

HELDOUT_WIRINGS = (
    "++++-+", "+++---", "++-++-", "++--++", "+-+++-", "+-+-++", "+--+-+", "+-----",
    "-+++++", "-++-+-", "-+-+--", "-+---+", "--++--", "--+--+", "---+++", "----+-",
)  # fmt: skip
"""Wirings never trained on, motors in order: every sign, and every pair of signs, occurs equally often."""
SLOW = replace(TARGET_VELOCITY, high=2.0, extrapolation=((2.0, 3.0),))
HELDOUT_CRIPPLES = (("bfoot",), ("fthigh",), ("bthigh", "ffoot"), ("bshin", "fshin"), ("bfoot", "fthigh"))
"""Sets of dead motors never trained on."""


def crippled(dead: tuple[str, ...]) -> tuple[float, ...]:
    """Returns a row of task values: which motors still live."""
    return tuple(float(motor not in dead) for motor in MOTORS)


class HalfCheetahFamily(RunningFamily):
    """Half-cheetahs run forward; those that are to do otherwise say so."""

    robot = ROBOT
    variants = {"default": {}, "gymnasium": {"control_weight": 0.1}}
    control_weight = CONTROL_WEIGHT

    def reward(self, motion: Motion, task: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """v_x - 0.05 * sum(a^2); variant "gymnasium": v_x - 0.1 * sum(a^2)"""
        return {
            "run": self.progress(motion, task),
            "control": control_cost(motion.action, self.control_weight),
        }


class RunEitherWay(HalfCheetahFamily):
    """Half-cheetahs of which each runs its own way."""

    def reward(self, motion: Motion, task: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """direction * v_x - 0.05 * sum(a^2); variant "gymnasium": direction * v_x - 0.1 * sum(a^2)"""
        return super().reward(motion, task)

    def progress(self, motion: Motion, task: Mapping[str, Tensor]) -> Tensor:
        return task["direction"] * motion.velocity


class HalfCheetahDir(RunEitherWay):
    """Run forward or backward; which of the two is hidden."""

    parameters = (DIRECTION,)


class HalfCheetahVel(HalfCheetahFamily):
    """Hold a speed between 0 and 3 m/s; which one is hidden."""

    variants = {
        **HalfCheetahFamily.variants,
        "garage": {"parameters": (SLOW,), "episodes_per_trial": 4, "horizon": 100},
        "pearl": {"listed_tasks": drawn_tasks((TARGET_VELOCITY,), train=100, heldout=30)},
    }
    parameters = (TARGET_VELOCITY,)

    def reward(self, motion: Motion, task: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """-|v_x - target_velocity| - 0.05 * sum(a^2); variant "gymnasium": -|v_x - target_velocity| - 0.1 * sum(a^2)"""
        error = (motion.velocity - task["target_velocity"]).abs()
        return {"speed": -error, "control": control_cost(motion.action, self.control_weight)}

    def asked(self, task: Mapping[str, Tensor]) -> Tensor:
        return task["target_velocity"].clone()


class HalfCheetahLimbs(HalfCheetahFamily):
    """Run forward on seven parts each up to 3.4 times heavier or lighter, by actions that may arrive late."""

    limbs = mass_factors(BODIES, widest=3, extrapolation=4)
    variants = {**HalfCheetahFamily.variants, "mild": {"parameters": limbs}}
    parameters = (*limbs, ACTION_DELAY)


class HalfCheetahLimbsDir(RunEitherWay):
    """Run forward or backward on a body whose seven parts are each up to 2.25 times heavier or lighter."""

    parameters = (*mass_factors(BODIES, widest=2, extrapolation=3), DIRECTION)


class HalfCheetahWiring(HalfCheetahFamily):
    """Run forward with motors of which any may be wired the wrong way round."""

    initial_log_std = -0.85
    parameters = motor_signs(MOTORS)
    listed_tasks = all_but(tuple(product((-1.0, 1.0), repeat=len(MOTORS))), wirings(HELDOUT_WIRINGS))


class HalfCheetahCrippled(HalfCheetahFamily):
    """Run forward with one or two motors dead."""

    parameters = motor_lives([(motor, (motor,)) for motor in MOTORS])
    listed_tasks = all_but(
        [crippled(dead) for count in (1, 2) for dead in combinations(MOTORS, count)],
        [crippled(dead) for dead in HELDOUT_CRIPPLES],
    )


class HalfCheetahGround(HalfCheetahFamily):
    """Run forward on slippery or rough ground, uphill or downhill."""

    parameters = (friction(0.2, 2.0, (0.1, 0.2), (2.0, 4.0)), slope(15.0, (-20.0, -15.0), (15.0, 20.0)))


class HalfCheetahActuators(HalfCheetahFamily):
    """Run forward with weak or strong motors, and joints that are stiff or slack."""

    parameters = (
        motor_power(MOTORS, 0.4, 1.6, (0.25, 0.4), (1.6, 2.5)),
        joint_damping(0.25, 4.0, (0.125, 0.25), (4.0, 8.0)),
    )


class HalfCheetahHardware(HalfCheetahFamily):
    """Run forward with actions that arrive late, and with sensors that are noisy and off."""

    parameters = HARDWARE


class HalfCheetahAnyChange(HalfCheetahFamily):
    """Run forward with changed masses, grip or a dead motor; extrapolation adds kinds of change never trained on."""

    parameters = (
        *mass_factors(BODIES, widest=2),
        friction(0.4, 1.6),
        dead_motor(MOTORS),
        never_trained(motor_power(MOTORS, 0.5, 1.5), (0.5, 0.8), (1.2, 1.5)),
        never_trained(slope(10.0), (-10.0, -5.0), (5.0, 10.0)),
    )
