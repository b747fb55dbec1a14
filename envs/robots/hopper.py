"""Hopper: a planar one-legged robot with three motors, that falls."""

from limbshift.envs.physics.models import gymnasium_xml
from limbshift.envs.robots.planar_walker import PlanarWalker, PlanarWalkerFamily, element_variants
from limbshift.envs.tasks.common import friction, joint_damping, mass_factors, motor_power
from limbshift.envs.tasks.effects import ScaleAllMass
from limbshift.envs.tasks.parameter import TaskParameter

BODIES = ("torso", "thigh", "leg", "foot")
JOINTS = ("thigh_joint", "leg_joint", "foot_joint")


class Hopper(PlanarWalker):
    """Gymnasium's Hopper-v5: its model, observation, initial state and fall.

    | Observation | what | unit |
    |---|---|---|
    | 0 | torso height | m |
    | 1 | torso pitch | rad |
    | 2-4 | joints: thigh, leg, foot | rad |
    | 5-6 | torso velocity along x and z, clipped to 10 | m/s |
    | 7 | torso pitch rate, clipped to 10 | rad/s |
    | 8-10 | joint velocities, clipped to 10 | rad/s |

    | Action | what | bounds |
    |---|---|---|
    | 0-2 | torque on thigh, leg and foot, as a share of 200 N m | [-1, 1] |

    It has fallen where its torso is below 0.7 m or pitched by 0.2 rad. A control step is 0.008 s, four
    substeps, by MuJoCo's `implicitfast` integrator and elliptic friction cones (variant "gymnasium": RK4 and pyramids,
    three times slower).
    """

    name = "Hopper"
    xml = gymnasium_xml("hopper.xml")
    lowest = 0.7
    max_pitch = 0.2


ROBOT = Hopper()


class HopperFamily(PlanarWalkerFamily):
    robot = ROBOT
    variants = {"default": {}, "gymnasium": {"robot": ROBOT.as_written()}}


class HopperRandParams(HopperFamily):
    """Hop forward on a body of unknown masses, friction and joint damping."""

    variants = {**HopperFamily.variants, **element_variants(BODIES, JOINTS)}
    parameters = (*mass_factors(BODIES, widest=2, extrapolation=3), friction(0.5, 2.0), joint_damping(0.5, 2.0))


DENSITY = TaskParameter(
    "density",
    750.0,
    1250.0,
    "density of all bodies",
    unit="kg/m^3",
    nominal=1000.0,
    extrapolation=((500.0, 750.0), (1250.0, 1500.0)),
    positive=True,
    effect=ScaleAllMass(1000.0),
)


class HopperPacker(HopperFamily):
    """Hop forward at another density, friction and motor power: the ranges of a study of generalisation.

    Packer et al., "Assessing generalization in deep reinforcement learning" (2018); frictions are factors here.
    """

    parameters = (
        DENSITY,
        friction(0.5, 1.1, (0.2, 0.5), (1.1, 1.4)),
        motor_power(JOINTS, 0.7, 1.1, (0.5, 0.7), (1.1, 1.3)),
    )
