"""Humanoid: a two-legged robot with arms and 17 motors, that falls."""

from collections.abc import Mapping
from typing import ClassVar

import mujoco
from torch import Tensor

from limbshift.envs.family import Motion, Robot, RunningFamily
from limbshift.envs.physics.models import gymnasium_xml
from limbshift.envs.physics.protocol import CONTACT_FORCES, Physics
from limbshift.envs.tasks.common import HEADING
from limbshift.envs.tasks.rewards import alive, along, control_cost

ALIVE_WEIGHT, CONTROL_WEIGHT = 5.0, 0.1
"""Gymnasium's weights of staying upright and of a squared motor force."""
GYMNASIUM_RUN_WEIGHT = 1.25
"""Gymnasium's weight of speed (m/s), by which a humanoid learns to stand and stays there: standing earns 5 a step."""
CONTACT_WEIGHT = 5e-7
"""Gymnasium's cost of a squared force (N) or torque (N m) of a contact on a body."""
MAX_CONTACT_COST = 10.0
"""At which Gymnasium cuts the cost of all contacts off."""
RESET_NOISE = 0.01
"""Half width of the initial positions (m, rad) and velocities (m/s, rad/s)."""
HEALTHY_HEIGHT = (1.0, 2.0)
"""Heights of the torso at which it has not fallen, m."""


class Humanoid(Robot):
    """Gymnasium's Humanoid-v5 without inertias, which would tell the task, or contact forces in its observation.

    | Observation | what | unit |
    |---|---|---|
    | 0 | torso height | m |
    | 1-4 | torso orientation, a quaternion | |
    | 5-21 | joints | rad |
    | 22-24 | torso velocity | m/s |
    | 25-27 | torso angular velocity | rad/s |
    | 28-44 | joint velocities, in the joints' order | rad/s |
    | 45-122 | angular and linear velocity of the 13 bodies, about the centre of mass | rad/s, m/s |
    | 123-139 | force of the motors on the joints | N m |

    | Action | what | bounds |
    |---|---|---|
    | 0-16 | torque on the joints, as the XML orders its motors, as a share of 25 to 300 N m | [-0.4, 0.4] |

    It has fallen where its torso is outside 1 to 2 m. A control step is 0.015 s, five substeps, by
    MuJoCo's `implicitfast` integrator (variant "gymnasium": RK4, three times slower).
    """

    name = "Humanoid"
    xml = gymnasium_xml("humanoid.xml")
    frame_skip = 5
    integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    camera = {"distance": 4.0, "azimuth": 90.0, "elevation": -12.0}
    computed_fields: ClassVar[tuple[str, ...]] = ("cvel", "qfrc_actuator", "subtree_com")

    def observe(self, physics: Physics) -> tuple[Tensor, ...]:
        return (
            physics.state("qpos")[:, 2:],
            physics.state("qvel"),
            physics.computed_field("cvel")[:, 1:].flatten(1),
            physics.computed_field("qfrc_actuator")[:, 6:],
        )

    def position(self, physics: Physics) -> Tensor:
        return physics.computed_field("subtree_com")[:, 0, :2]

    def initial_state(self, uniform: Tensor) -> tuple[Tensor, Tensor]:
        qpos, qvel = self.even_noise(uniform, RESET_NOISE)
        return self.start.like(qpos) + qpos, qvel

    def fallen(self, physics: Physics) -> Tensor:
        height = physics.state("qpos")[:, 2]
        return (height <= HEALTHY_HEIGHT[0]) | (height >= HEALTHY_HEIGHT[1])


class GymnasiumHumanoid(Humanoid):
    """Humanoid with Gymnasium's integrator, and with the forces of its contacts at hand."""

    integrator = None
    computed_fields = (*Humanoid.computed_fields, CONTACT_FORCES)


class HumanoidDir(RunningFamily):
    """Run in a direction, any of the circle, that is hidden."""

    robot: Robot = Humanoid()
    parameters = (HEADING,)
    run_weight: float = 5.0
    """Of speed (m/s)."""
    variants = {"default": {}, "gymnasium": {"robot": GymnasiumHumanoid(), "run_weight": GYMNASIUM_RUN_WEIGHT}}
    gamma = 0.99
    belief_size = 64  # who is told where to run at first learns sooner not to fall

    def reward(self, motion: Motion, task: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """5 * (v_x * cos(heading) + v_y * sin(heading)) + 5 (0 where it falls) - 0.1 * sum(a^2);
        variant "gymnasium": 1.25 * (v_x * cos(heading) + v_y * sin(heading)) + 5 (0 where it falls) - 0.1 * sum(a^2)
        - min(5e-7 * sum(f^2), 10);
        f are the forces (N) and torques (N m) of contacts on the bodies
        """
        terms = {
            "run": self.run_weight * self.progress(motion, task),
            "alive": ALIVE_WEIGHT * alive(motion.fallen),
            "control": control_cost(motion.action, CONTROL_WEIGHT),
        }
        if self.variant == "gymnasium":
            squares = motion.physics.computed_field(CONTACT_FORCES).square().sum(dim=(1, 2))
            terms["contact"] = -(CONTACT_WEIGHT * squares).clamp(max=MAX_CONTACT_COST)
        return terms

    def progress(self, motion: Motion, task: Mapping[str, Tensor]) -> Tensor:
        return along(motion.velocity, task["heading"])
