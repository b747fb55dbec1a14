"""Quadruped: a four-legged robot of 12 kg with twelve servos, of our own."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from limbshift.envs.family import Motion, Robot, RunningFamily
from limbshift.envs.physics.device_array import DeviceArray
from limbshift.envs.physics.protocol import Physics
from limbshift.envs.tasks.body_parameters import SHORT_DELAY, leg_length, lost_leg
from limbshift.envs.tasks.common import TARGET_VELOCITY, dead_motor, factor, friction, payload, slope
from limbshift.envs.tasks.effects import MoveBody, ScaleBodyMass
from limbshift.envs.tasks.motor_effects import ScaleActuators
from limbshift.envs.tasks.parameter import Caption, TaskParameter
from limbshift.envs.tasks.rewards import control_cost
from limbshift.envs.tasks.shape_effects import ScaleBodySize, ScaleRadii

LEGS = ("front_left", "front_right", "back_left", "back_right")
JOINTS = tuple(f"{leg}_{joint}" for leg in LEGS for joint in ("abduction", "hip_pitch", "knee"))

SPEED = 1.0
"""At which it is to walk where its family asks for no other, m/s."""
RESET_NOISE = 0.05
"""Half width of the initial joint positions (rad) and of all velocities (m/s, rad/s)."""
LOWEST, LOWEST_ON_ANY_LEGS = 0.15, 0.1
"""Height of the trunk below which it has fallen, m: as designed, and on legs of which the shortest stand at 0.2 m."""
MIN_UPRIGHT = 0.5
"""Share of gravity along the trunk's own down below which it has fallen: 60 degrees."""


class Quadruped(Robot):
    """A trunk on four legs of three joints each, after published dimensions of robots of the 12 kg class.

    | Observation | what | unit |
    |---|---|---|
    | 0-2 | which way is down, a unit vector in the trunk's frame | |
    | 3-5 | velocity in the trunk's frame | m/s |
    | 6-8 | angular velocity in the trunk's frame | rad/s |
    | 9-20 | joints: abduction, hip pitch, knee of the front left, front right, back left, back right leg | rad |
    | 21-32 | joint velocities, in the joints' order | rad/s |

    | Action | what | bounds |
    |---|---|---|
    | 0-11 | where the servos go, in the joints' order: 0 the standing pose, 1 is 0.5 (abduction 0.2) rad on | [-1, 1] |

    It has fallen where its trunk is below 0.15 m or tilted by 60 degrees. A control step is 0.05 s, five substeps.
    """

    name = "Quadruped"
    xml = Path(__file__).parents[1] / "assets" / "quadruped.xml"
    frame_skip = 5
    camera = {"distance": 1.6, "azimuth": 90.0, "elevation": -15.0}
    lowest = LOWEST

    @cached_property
    def start(self) -> DeviceArray:
        return DeviceArray(self.model.key_qpos[0])

    def observe(self, physics: Physics) -> tuple[Tensor, ...]:
        qpos, qvel = physics.state("qpos"), physics.state("qvel")
        velocity = into_frame(qpos[:, 3:7], qvel[:, :3])
        return down(qpos[:, 3:7]), velocity, qvel[:, 3:6], qpos[:, 7:], qvel[:, 6:]

    def position(self, physics: Physics) -> Tensor:
        return physics.state("qpos")[:, 0]

    def initial_state(self, uniform: Tensor) -> tuple[Tensor, Tensor]:
        qpos, qvel = self.even_noise(uniform, RESET_NOISE)
        qpos[:, :7] = 0
        return self.start.like(qpos) + qpos, qvel

    def fallen(self, physics: Physics) -> Tensor:
        qpos = physics.state("qpos")
        return (qpos[:, 2] < self.lowest) | (down(qpos[:, 3:7])[:, 2] > -MIN_UPRIGHT)


class QuadrupedOfAnyBody(Quadruped):
    """The quadruped with legs, trunk and feet of any size.

    Observations and actions are those of `Quadruped`: it senses and moves its joints, and is not told its sizes. The
    joints of a lost leg stay where they are. It has fallen where its trunk is below 0.1 m or tilted by 60 degrees.
    """

    lowest = LOWEST_ON_ANY_LEGS

    @cached_property
    def _legs(self) -> tuple[slice, slice, slice]:
        """Where the model's fields hold the thighs, the calves and the feet, in the legs' order."""
        model = self.model
        return (
            evenly_spaced([model.body(f"{leg}_thigh").id for leg in LEGS]),
            evenly_spaced([model.body(f"{leg}_calf").id for leg in LEGS]),
            evenly_spaced([model.geom(f"{leg}_foot").id for leg in LEGS]),
        )

    def on_the_ground(self, physics: Physics, qpos: Tensor) -> Tensor:
        """Returns (N, nq) positions of upright robots, raised or lowered so that the lowest foot touches the ground."""
        thighs, calves, feet = self._legs
        place = physics.model_field("body_pos")
        aside, upper = place[:, thighs, 1], -place[:, calves, 2]  # (N, legs) m
        lower, radius = -physics.model_field("geom_pos")[:, feet, 2], physics.model_field("geom_size")[:, feet, 0]
        abduction, hip, knee = qpos[:, 7:].unflatten(1, (len(LEGS), 3)).unbind(dim=-1)
        straight_down = upper * hip.cos() + lower * (hip + knee).cos()
        depth = straight_down * abduction.cos() - aside * abduction.sin() + radius
        standing = qpos.clone()
        standing[:, 2] = depth.amax(dim=-1)  # a lost leg has none
        return standing


def evenly_spaced(ids: list[int]) -> slice:
    """Returns the slice that picks ids: a list of them would be sent to the device.

    >>> evenly_spaced([4, 7, 10])
    slice(4, 11, 3)
    """
    step = ids[1] - ids[0]
    assert ids == list(range(ids[0], ids[-1] + 1, step)), "they are not evenly spaced"
    return slice(ids[0], ids[-1] + 1, step)


def into_frame(quaternion: Tensor, vector: Tensor) -> Tensor:
    """Returns (N, 3) vectors of the world, as seen in frames of these (N, 4) orientations."""
    w, xyz = quaternion[:, :1], quaternion[:, 1:]
    turned = 2 * torch.linalg.cross(-xyz, vector)
    seen: Tensor = vector + w * turned + torch.linalg.cross(-xyz, turned)
    return seen


def down(quaternion: Tensor) -> Tensor:
    """Returns (N, 3) where down is, in frames of these (N, 4) orientations."""
    w, x, y, z = quaternion.unbind(dim=-1)
    return torch.stack([2 * (w * y - x * z), -2 * (w * x + y * z), 2 * (x * x + y * y) - 1], dim=-1)


class QuadrupedFamily(RunningFamily):
    """Quadrupeds walk ahead at 1 m/s; those that are to do otherwise say so."""

    robot = Quadruped()
    gamma = 0.99
    speed_weight = 1.0
    at_speed = 2.0
    """What is paid at the speed that is asked for."""

    def reward(self, motion: Motion, task: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """2 - |v_x - 1| - 0.3 * |v_y| - 0.4 * |w_z| - 0.2 * v_z^2 - 0.005 * (w_x^2 + w_y^2) - 0.5 * (g_x^2 + g_y^2)
        - 0.0001 * sum(joint_velocity^2) - 0.005 * sum(a^2);
        v and w are velocity and angular velocity, g is where down is, all in the trunk's frame
        """
        return self.paid(self.asked(task), motion)

    def progress(self, motion: Motion, task: Mapping[str, Tensor]) -> Tensor:
        return self.robot.observe(motion.physics)[1][:, 0].clone()

    def asked(self, task: Mapping[str, Tensor]) -> Tensor:
        return torch.full_like(next(iter(task.values())), SPEED)

    def paid(self, speed: Tensor, motion: Motion) -> dict[str, Tensor]:
        """Returns the pay for going straight ahead at (N,) speeds; v, w and g (down) are in the trunk's frame."""
        g, v, w, _, joint_velocity = self.robot.observe(motion.physics)
        return {
            "speed": self.at_speed - self.speed_weight * (v[:, 0] - speed).abs() - 0.3 * v[:, 1].abs(),
            "heading": -0.4 * w[:, 2].abs(),
            "heave": -0.2 * v[:, 2].square(),
            "roll": -0.005 * w[:, :2].square().sum(dim=-1),
            "tilt": -0.5 * g[:, :2].square().sum(dim=-1),
            "swing": -0.0001 * joint_velocity.square().sum(dim=-1),
            "control": control_cost(motion.action, 0.005),
        }


def load(heaviest: float, beyond: float, ahead: float, *, aside: float) -> tuple[TaskParameter, ...]:
    """Returns a mass in kg somewhere on the trunk, at most so far from its middle, m."""

    def place(name: str, axis: int, farthest: float, *, where: str) -> TaskParameter:
        effect = MoveBody("payload", axis)
        return TaskParameter(name, -farthest, farthest, where, unit="m", nominal=0.0, effect=effect)

    return (
        payload(heaviest, beyond),
        place("payload_x", 0, ahead, where="how far ahead of the trunk's middle it lies"),
        place("payload_y", 1, aside, where="how far to the left of the trunk's middle it lies"),
    )


def parts(name: str) -> tuple[str, ...]:
    """Returns what the XML calls this part of each leg.

    >>> parts("hip")
    ('front_left_hip', 'front_right_hip', 'back_left_hip', 'back_right_hip')
    """
    return tuple(f"{leg}_{name}" for leg in LEGS)


class QuadrupedBodies(QuadrupedFamily):
    """Walk on a body of unknown legs, trunk, feet and motors, by late actions; extrapolation takes a leg off."""

    robot = QuadrupedOfAnyBody()
    belief_size = 64  # who is told its body at first walks sooner
    parameters = (
        leg_length("upper", parts("thigh"), low=0.6, high=1.5, beyond=1.7),
        leg_length("lower", parts("calf"), low=0.6, high=1.5, beyond=1.7),
        factor("trunk_size", 0.85, 1.3, description="factor on the trunk's size", effect=ScaleBodySize("trunk")),
        factor(
            "trunk_mass",
            0.6,
            1.6,
            description="factor on mass and inertia of the trunk",
            effect=ScaleBodyMass("trunk"),
            extrapolation=((1.6, 2.0),),
            caption=Caption("mass", "trunk"),
        ),
        factor("foot_size", 0.7, 1.6, description="factor on the feet's radius", effect=ScaleRadii(parts("foot"))),
        factor(
            "motor_strength",
            0.7,
            1.4,
            description="factor on the force of all motors",
            effect=ScaleActuators(JOINTS),
        ),
        dead_motor(JOINTS),
        lost_leg(LEGS, parts("hip")),
        SHORT_DELAY,
    )
    mid_trial = {"lost_leg": ((1.0, 4.0),)}
    # Paid as others are, on bodies of which each falls in a way of its own, they learn to stand.
    speed_weight, at_speed = 2.0, 3.0

    def reward(self, motion: Motion, task: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """3 - 2 * |v_x - 1|
        - 0.3 * |v_y| - 0.4 * |w_z| - 0.2 * v_z^2 - 0.005 * (w_x^2 + w_y^2) - 0.5 * (g_x^2 + g_y^2)
        - 0.0001 * sum(joint_velocity^2) - 0.005 * sum(a^2);
        v and w are velocity and angular velocity, g is where down is, all in the trunk's frame
        """
        return super().reward(motion, task)

    def fitted(self, physics: Physics, qpos: Tensor) -> Tensor:
        return self.robot.on_the_ground(physics, qpos)


class QuadrupedPayload(QuadrupedFamily):
    """Walk under a load, up to the robot's own weight, of unknown mass at an unknown place on the trunk."""

    variants = {"default": {}, "mild": {"parameters": load(6.0, 8.0, ahead=0.15, aside=0.05)}}
    parameters = load(12.0, 14.0, ahead=0.2, aside=0.08)


class QuadrupedMotors(QuadrupedFamily):
    """Walk with motors that are weak or strong, and of which one may be dead."""

    parameters = (
        factor(
            "motor_strength",
            0.6,
            1.4,
            description="factor on the force of all motors",
            effect=ScaleActuators(JOINTS),
            extrapolation=((0.4, 0.6), (1.4, 1.8)),
        ),
        dead_motor(JOINTS),
    )


class QuadrupedTerrain(QuadrupedFamily):
    """Walk on slippery or rough ground, uphill or downhill."""

    parameters = (friction(0.3, 1.5, (0.2, 0.3), (1.5, 2.0)), slope(12.0, (-16.0, -12.0), (12.0, 16.0)))


class QuadrupedVel(QuadrupedFamily):
    """Walk at a speed between 0 and 1.5 m/s; which one is hidden."""

    parameters = (replace(TARGET_VELOCITY, high=1.5, extrapolation=((1.5, 2.0),)),)

    def reward(self, motion: Motion, task: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """2 - |v_x - target_velocity|
        - 0.3 * |v_y| - 0.4 * |w_z| - 0.2 * v_z^2 - 0.005 * (w_x^2 + w_y^2) - 0.5 * (g_x^2 + g_y^2)
        - 0.0001 * sum(joint_velocity^2) - 0.005 * sum(a^2);
        v and w are velocity and angular velocity, g is where down is, all in the trunk's frame
        """
        return super().reward(motion, task)

    def asked(self, task: Mapping[str, Tensor]) -> Tensor:
        return task["target_velocity"].clone()
