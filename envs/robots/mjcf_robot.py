"""Any robot that comes as an MJCF file, and the families that every such robot has."""

import difflib
import math
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import mujoco
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limbshift.envs.errors import FamilyError
from limbshift.envs.family import Motion, Robot, TaskFamily
from limbshift.envs.physics.compile_robot import (
    compile_robot,
    has_travelling_joint,
    heaviest_child_of_the_world,
    travel_addresses,
)
from limbshift.envs.physics.device_array import DeviceArray
from limbshift.envs.physics.mjcf import MjcfSource, RobotError, same_models
from limbshift.envs.physics.models import MESSAGES
from limbshift.envs.physics.protocol import Physics
from limbshift.envs.tasks.common import dead_motor, factor, friction, mass_factors, motor_sign, slope
from limbshift.envs.tasks.effects import AddMass
from limbshift.envs.tasks.motor_effects import ScaleActuators
from limbshift.envs.tasks.parameter import TaskParameter
from limbshift.envs.tasks.rewards import control_cost

CONTROL_SECONDS = 0.02
"""Time between two actions, to the nearest whole number of the model's time steps."""
RESET_NOISE = 0.01
"""Half width of the initial joint positions (m, rad) and of all velocities (m/s, rad/s)."""
CONTROL_WEIGHT = 0.05
"""Cost of a squared action."""
LOWEST_SHARE = 0.5
"""A robot has fallen where its root is below this share of its initial height."""
MIN_UPRIGHT_COSINE = math.cos(math.radians(60.0))
"""A robot has fallen where its root is tilted by more than this from how it starts."""


class MjcfRobot(Robot):
    """A compiled model; its root is the heaviest body that can move against the world, or is fixed to it.

    | Observation | what |
    |---|---|
    | all joint positions | without the root's place along x and y |
    | all joint velocities | |

    | Action | what | bounds |
    |---|---|---|
    | each actuator | its control: 0 as in the first keyframe, or else amid its range; ±1 the ends | [-1, 1] |

    It starts in its first keyframe if it has one. A robot whose root moves has fallen where that is
    lower than half of its initial height or tilted by 60 degrees; one with a fixed base cannot fall.

    >>> from limbshift.envs.physics.models import gymnasium_xml
    >>> robot = MjcfRobot.from_xml(gymnasium_xml("ant.xml"))
    >>> robot.name, robot.travels, len(robot.action_bounds()[0])
    ('ant', True, 8)
    >>> MjcfFamily("Motors", robot).nominal
    {'motor_strength': 1.0, 'dead_motor': 0.0}
    """

    computed_fields = ("xpos", "xmat")

    def __init__(self, model: mujoco.MjModel, name: str, source: MjcfSource | None = None) -> None:
        self.name = name
        self.compiled = model
        self._source = source
        self.frame_skip = max(1, round(CONTROL_SECONDS / model.opt.timestep))
        data = mujoco.MjData(model)
        if model.nkey:
            mujoco.mj_resetDataKeyframe(model, data, 0)
        mujoco.mj_forward(model, data)
        self.root = heaviest_child_of_the_world(model)
        self.travels = has_travelling_joint(model, self.root)
        self.camera = {"distance": 2.5 * float(model.stat.extent), "azimuth": 90.0, "elevation": -20.0}
        self._noise = DeviceArray(position_noise(model))
        hidden = travel_addresses(model, self.root)
        self._seen = DeviceArray([address for address in range(model.nq) if address not in hidden])
        self._height = float(data.xpos[self.root, 2])
        self._up = DeviceArray(data.xmat[self.root, 6:])
        low, high = model.actuator_ctrlrange.T.copy()
        middle = model.key_ctrl[0].clip(low, high) if model.nkey else (low + high) / 2
        self._middle, self._below, self._above = (DeviceArray(part) for part in (middle, middle - low, high - middle))

    @classmethod
    def from_xml(cls, path: Path) -> "MjcfRobot":
        """Returns the robot of an MJCF file; one that travels is given a ground plane where it has none.

        Raises RobotError where there is no such file, or where it is no robot that could be trained.
        """
        model = compile_robot(path)
        return cls(model, path.stem, MjcfSource.of(path))

    @classmethod
    def load(cls, path: Path, name: str) -> "MjcfRobot":
        """Returns a robot as `save` wrote it, or as older versions did: a compiled model, of one version of MuJoCo."""
        if path.suffix != ".mjb":
            source = MjcfSource.read(path)
            return cls(compile_robot(path, source), name, source)
        try:
            with MESSAGES.expecting(""):  # the error says all that is to be said
                return cls(mujoco.MjModel.from_binary_path(str(path)), name)
        except ValueError as error:
            raise RobotError(
                f"{path} is no model that MuJoCo {mujoco.__version__} compiled, and no other version can read one:"
                f" {' '.join(str(error).split())}"
            ) from error

    @cached_property
    def start(self) -> DeviceArray:
        return DeviceArray(self.model.key_qpos[0] if self.model.nkey else self.model.qpos0)

    def save(self, path: Path) -> None:
        """Writes the MJCF file with its meshes and textures, as an archive for any version of MuJoCo."""
        if self._source is None or not same_models(compile_robot(path, self._source), self.compiled):
            raise RobotError(
                f"robot {self.name} cannot be kept: not all of its files were found, expected an MJCF file"
            )
        self._source.write(path)

    @cached_property
    def model(self) -> mujoco.MjModel:
        return self.compiled

    def action_bounds(self) -> tuple[Tensor, Tensor]:
        ones = torch.ones(self.model.nu, dtype=torch.float64)
        return -ones, ones

    def controls(self, action: Tensor) -> Tensor:
        reach = torch.where(action > 0, self._above.like(action), self._below.like(action))
        return self._middle.like(action) + reach * action

    def observe(self, physics: Physics) -> tuple[Tensor, ...]:
        qpos = physics.state("qpos")
        return qpos[:, self._seen.like(qpos)], physics.state("qvel")

    def position(self, physics: Physics) -> Tensor:
        return physics.computed_field("xpos")[:, self.root, 0]

    def initial_state(self, uniform: Tensor) -> tuple[Tensor, Tensor]:
        qpos, qvel = (2 * uniform - 1).split([self.model.nq, self.model.nv], dim=-1)
        return self.start.like(qpos) + self._noise.like(qpos) * qpos, RESET_NOISE * qvel

    def fallen(self, physics: Physics) -> Tensor | None:
        if not self.travels:
            return None
        low = physics.computed_field("xpos")[:, self.root, 2] < LOWEST_SHARE * self._height
        up = physics.computed_field("xmat").flatten(2)[:, self.root, 6:]
        return low | (up @ self._up.like(up) < MIN_UPRIGHT_COSINE)

    def pose_error(self, physics: Physics) -> Tensor:
        """Returns the (N,) mean distance of the joints from where they start, rad or m."""
        qpos = physics.state("qpos")
        return (qpos - self.start.like(qpos)).abs().mean(dim=-1)


def position_noise(model: mujoco.MjModel) -> NDArray[np.float64]:
    """Returns the (nq,) half width of the initial positions; none for orientations, whose numbers hang together."""
    noise = np.full(model.nq, RESET_NOISE)
    for joint in range(model.njnt):
        address, kind = int(model.jnt_qposadr[joint]), int(model.jnt_type[joint])
        if kind == int(mujoco.mjtJoint.mjJNT_FREE):
            noise[address : address + 7] = 0.0
        elif kind == int(mujoco.mjtJoint.mjJNT_BALL):
            noise[address : address + 4] = 0.0
    return noise


class MjcfFamily(TaskFamily):
    """One of the families that every robot has, over its named bodies and actuators."""

    gamma = 0.99

    def __init__(self, kind: str, robot: MjcfRobot) -> None:
        if kind not in KINDS:
            nearest = difflib.get_close_matches(kind, KINDS, n=1, cutoff=0.3)
            hint = f"did you mean {nearest[0]}?" if nearest else f"expected one of {', '.join(KINDS)}"
            raise FamilyError(f"a robot of one's own has no family {kind!r}: {hint}")
        self.name = kind
        self.robot: MjcfRobot = robot
        self.parameters = KINDS[kind](robot)
        super().__init__()

    @property
    def description(self) -> str:
        changes = (KINDS[self.name].__doc__ or "").rstrip(".")
        return f"{'Run along +x' if self.robot.travels else 'Hold the starting pose'}: {changes}."

    def reward(self, motion: Motion, task: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """v_x - 0.05 * sum(a^2); with a fixed base: -mean(|q - q_start|) - 0.05 * sum(a^2)"""
        cost = control_cost(motion.action, CONTROL_WEIGHT)
        if self.robot.travels:
            return {"run": motion.velocity, "control": cost}
        return {"pose": -self.robot.pose_error(motion.physics), "control": cost}


def limbs(robot: MjcfRobot) -> tuple[TaskParameter, ...]:
    """Each body up to 2.25 times heavier or lighter."""
    model = robot.model
    bodies = [model.body(number).name for number in range(1, model.nbody) if model.body_mass[number] > 0]
    return mass_factors(bodies, widest=2, extrapolation=3)


def payload(robot: MjcfRobot) -> tuple[TaskParameter, ...]:
    """A load of up to half of the robot's mass, on its root or, with a fixed base, on its last body."""
    model = robot.model
    body = model.body(robot.root if robot.travels else model.nbody - 1).name
    most = 0.5 * float(model.body_subtreemass[robot.root])
    load = TaskParameter(
        "payload",
        0.0,
        most,
        f"mass of a load on {body}",
        unit="kg",
        nominal=0.0,
        extrapolation=((most, 1.5 * most),),
        effect=AddMass(body),
    )
    return (load,)


def ground(robot: MjcfRobot) -> tuple[TaskParameter, ...]:
    """Slippery or rough ground, uphill or downhill."""
    return (friction(0.4, 2.0, (0.2, 0.4), (2.0, 4.0)), slope(10.0, (-15.0, -10.0), (10.0, 15.0)))


def motors(robot: MjcfRobot) -> tuple[TaskParameter, ...]:
    """Weak or strong motors, of which one may be dead."""
    names = actuators(robot)
    strength = factor(
        "motor_strength",
        0.5,
        1.5,
        description="factor on the force of all motors",
        effect=ScaleActuators(names),
        extrapolation=((0.25, 0.5), (1.5, 2.0)),
    )
    return (strength, dead_motor(names))


def wiring(robot: MjcfRobot) -> tuple[TaskParameter, ...]:
    """Motors of which any may be wired the wrong way round."""
    return tuple(
        motor_sign(name, f"how {name} is wired", ScaleActuators((name,), reversing=True)) for name in actuators(robot)
    )


def actuators(robot: MjcfRobot) -> tuple[str, ...]:
    """Returns the names of a robot's actuators, in order."""
    return tuple(robot.model.actuator(number).name for number in range(robot.model.nu))


KINDS = {"Limbs": limbs, "Payload": payload, "Ground": ground, "Motors": motors, "Wiring": wiring}
"""The families of every robot."""
