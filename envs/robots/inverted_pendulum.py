"""InvertedPendulum: a cart with one motor that balances a pole; the small robot, that trains in seconds."""

from collections.abc import Mapping

import mujoco
from torch import Tensor

from limbshift.envs.family import Motion, Robot, TaskFamily
from limbshift.envs.physics.models import gymnasium_xml
from limbshift.envs.physics.protocol import Physics
from limbshift.envs.tasks.common import factor, motor_signs
from limbshift.envs.tasks.effects import ScaleBodyMass
from limbshift.envs.tasks.length_effects import ScaleCapsuleLength
from limbshift.envs.tasks.motor_effects import ScaleMotors
from limbshift.envs.tasks.parameter import Caption
from limbshift.envs.tasks.rewards import alive

RESET_NOISE = 0.01
"""Half width of the initial positions (m, rad) and velocities (m/s, rad/s)."""
MAX_PITCH = 0.2
"""Angle of the pole beyond which it has fallen, rad."""


class InvertedPendulum(Robot):
    """Gymnasium's InvertedPendulum-v5: its model, observation, initial state and fall.

    | Observation | what | unit |
    |---|---|---|
    | 0 | cart along x | m |
    | 1 | pole | rad |
    | 2 | cart velocity | m/s |
    | 3 | pole velocity | rad/s |

    | Action | what | bounds |
    |---|---|---|
    | 0 | force on the cart, times 100 N | [-3, 3] |

    It has fallen where its pole leans by more than 0.2 rad. A control step is 0.04 s, two substeps, by
    MuJoCo's `implicitfast` integrator (variant "gymnasium": RK4).
    """

    name = "InvertedPendulum"
    xml = gymnasium_xml("inverted_pendulum.xml")
    frame_skip = 2
    integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    camera = {"distance": 3.4, "azimuth": 90.0, "elevation": -10.0}

    def observe(self, physics: Physics) -> tuple[Tensor, ...]:
        return physics.state("qpos"), physics.state("qvel")

    def position(self, physics: Physics) -> Tensor:
        return physics.state("qpos")[:, 0]

    def initial_state(self, uniform: Tensor) -> tuple[Tensor, Tensor]:
        return self.even_noise(uniform, RESET_NOISE)

    def fallen(self, physics: Physics) -> Tensor:
        return physics.state("qpos")[:, 1].abs() > MAX_PITCH


ROBOT = InvertedPendulum()


BODY = (
    factor("pole_length", 0.5, 2.0, description="factor on the pole's length", effect=ScaleCapsuleLength("pole")),
    *(
        factor(
            f"{body}_mass",
            0.25,
            4.0,
            description=f"factor on the {body}'s mass",
            effect=ScaleBodyMass(body),
            caption=Caption("mass", body),
        )
        for body in ("pole", "cart")
    ),
    factor("motor_gain", 0.1, 3.0, description="factor on the motor's force", effect=ScaleMotors(("slider",))),
)


class InvertedPendulumBody(TaskFamily):
    """Balance a pole of unknown length and mass on a cart of unknown mass, by a motor that may be wired either way."""

    robot = ROBOT
    parameters = (*BODY, *motor_signs(("slider",)))
    variants = {"default": {}, "gymnasium": {"robot": ROBOT.as_written()}, "as_wired": {"parameters": BODY}}

    def reward(self, motion: Motion, task: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """1 (0 where it falls)"""
        return {"alive": alive(motion.fallen)}
