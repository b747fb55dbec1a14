"""Swimmer: a chain of three links with two motors, in a fluid."""

from collections.abc import Mapping

import mujoco
from torch import Tensor

from limbshift.envs.family import Motion, Robot, RunningFamily
from limbshift.envs.physics.models import gymnasium_xml
from limbshift.envs.physics.protocol import Physics
from limbshift.envs.tasks.common import factor
from limbshift.envs.tasks.effects import ScaleFluid
from limbshift.envs.tasks.rewards import control_cost

CONTROL_WEIGHT = 1e-4
"""Cost of a squared action, as in Gymnasium."""
RESET_NOISE = 0.1
"""Half width of the initial positions (m, rad) and velocities (m/s, rad/s)."""


class Swimmer(Robot):
    """Gymnasium's Swimmer-v5: its model, observation and initial state.

    | Observation | what | unit |
    |---|---|---|
    | 0 | angle of the front link | rad |
    | 1-2 | the two joints | rad |
    | 3-4 | velocity of the front link along x and y | m/s |
    | 5-7 | angular velocities of the front link and of the joints | rad/s |

    | Action | what | bounds |
    |---|---|---|
    | 0-1 | torque on the two joints, as a share of 150 N m | [-1, 1] |

    It never falls: an episode ends at its horizon. A control step is 0.04 s, four substeps, by
    MuJoCo's `implicitfast` integrator (variant "gymnasium": RK4, twice slower).
    """

    name = "Swimmer"
    xml = gymnasium_xml("swimmer.xml")
    frame_skip = 4
    integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    camera = {"distance": 5.0, "azimuth": 90.0, "elevation": -60.0}

    def observe(self, physics: Physics) -> tuple[Tensor, ...]:
        return physics.state("qpos")[:, 2:], physics.state("qvel")

    def position(self, physics: Physics) -> Tensor:
        return physics.state("qpos")[:, :2]

    def initial_state(self, uniform: Tensor) -> tuple[Tensor, Tensor]:
        qpos, qvel = self.even_noise(uniform, RESET_NOISE)
        return self.start.like(qpos) + qpos, qvel


ROBOT = Swimmer()


class SwimmerViscosity(RunningFamily):
    """Swim along +x in a fluid that is up to 5 times thicker or thinner."""

    robot = ROBOT
    parameters = (
        factor(
            "fluid",
            0.2,
            5.0,
            description="factor on density and viscosity of the fluid",
            effect=ScaleFluid(),
            extrapolation=((0.1, 0.2), (5.0, 10.0)),
        ),
    )
    variants = {"default": {}, "gymnasium": {"robot": ROBOT.as_written()}}
    gamma = 0.99

    def reward(self, motion: Motion, task: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """v_x - 0.0001 * sum(a^2)"""
        return {"run": self.progress(motion, task), "control": control_cost(motion.action, CONTROL_WEIGHT)}
