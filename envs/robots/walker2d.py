"""Walker2d: a planar two-legged robot with six motors, that falls."""

from collections.abc import Mapping

from torch import Tensor

from limbshift.envs.family import Motion
from limbshift.envs.physics.models import gymnasium_xml
from limbshift.envs.robots.planar_walker import PlanarWalker, PlanarWalkerFamily, element_variants
from limbshift.envs.tasks.common import TARGET_VELOCITY, friction, joint_damping, mass_factors

BODIES = ("torso", "thigh", "leg", "foot", "thigh_left", "leg_left", "foot_left")
JOINTS = tuple(f"{body}_joint" for body in BODIES[1:])


ALIVE_WEIGHT = 3.0
"""Of staying upright, where a speed is asked for: as much as the highest speed costs one that stands, so that no fall
pays."""


class Walker2d(PlanarWalker):
    """Gymnasium's Walker2d-v5: its model, observation, initial state and fall.

    | Observation | what | unit |
    |---|---|---|
    | 0 | torso height | m |
    | 1 | torso pitch | rad |
    | 2-7 | joints: right thigh, leg, foot, left thigh, leg, foot | rad |
    | 8-9 | torso velocity along x and z, clipped to 10 | m/s |
    | 10 | torso pitch rate, clipped to 10 | rad/s |
    | 11-16 | joint velocities, in the joints' order, clipped to 10 | rad/s |

    | Action | what | bounds |
    |---|---|---|
    | 0-5 | torque on the joints, in the joints' order, as a share of 100 N m | [-1, 1] |

    It has fallen where its torso is outside 0.8 to 2 m or pitched by 1 rad. A control step is 0.008 s, four
    substeps, by MuJoCo's `implicitfast` integrator and elliptic friction cones (variant "gymnasium": RK4 and pyramids,
    three times slower).
    """

    name = "Walker2d"
    xml = gymnasium_xml("walker2d_v5.xml")
    lowest = 0.8
    highest = 2.0
    max_pitch = 1.0


ROBOT = Walker2d()


class Walker2dFamily(PlanarWalkerFamily):
    robot = ROBOT
    variants = {"default": {}, "gymnasium": {"robot": ROBOT.as_written()}}


class Walker2dRandParams(Walker2dFamily):
    """Walk forward on a body of unknown masses, friction and joint damping."""

    variants = {**Walker2dFamily.variants, **element_variants(BODIES, JOINTS)}
    parameters = (*mass_factors(BODIES, widest=2, extrapolation=3), friction(0.5, 2.0), joint_damping(0.5, 2.0))
    task_coef = 0.0  # one gait walks on all bodies, and comes later where the memory has to tell them apart as well


class Walker2dVel(Walker2dFamily):
    """Walk at a speed between 0 and 3 m/s; which one is hidden."""

    parameters = (TARGET_VELOCITY,)
    horizon = 400  # 3.2 s, of which half a second to one go into picking up speed

    def reward(self, motion: Motion, task: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """-|v_x - target_velocity| + 3 (0 where it falls) - 0.001 * sum(a^2)"""
        terms = self.paid(-(motion.velocity - task["target_velocity"]).abs(), motion)
        return {**terms, "alive": ALIVE_WEIGHT * terms["alive"]}

    def asked(self, task: Mapping[str, Tensor]) -> Tensor:
        return task["target_velocity"].clone()
