"""Any robot that comes as an MJCF file."""

import json
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import mujoco
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic_core import from_json
from torch import Tensor

from limbshift.envs.errors import InputError
from limbshift.envs.family import Robot
from limbshift.envs.mjcf.compile_robot import CONTROL_SECONDS, compile_robot
from limbshift.envs.mjcf.extent import ground_below
from limbshift.envs.mjcf.fall_rule import FallLimit, FallRule
from limbshift.envs.mjcf.framing import Framing
from limbshift.envs.mjcf.kinematics import Mechanism, at_start, floats
from limbshift.envs.mjcf.source import MjcfSource, RobotError, same_models
from limbshift.envs.physics.device_array import DeviceArray
from limbshift.envs.physics.protocol import Physics
from limbshift.envs.schema import Checked, make

RESET_NOISE = 0.01
"""Half width of the initial joint positions (m, rad) and of all velocities (m/s, rad/s)."""
MAX_NOISE = 0.05
"""The most that the noise of a position may be, as a share of its joint's range."""
DEAD_SHARE = 0.05
"""A control that starts closer to an end of its range, as a share of that, is 0 amid the range and not there."""
FALL_RULE = "fall_rule.json"
"""In the archive of a robot: when it has fallen."""
MAX_NAME = 200
"""Characters; a controller that is saved holds no more of its robot's."""


class MjcfRobot(Robot):
    """A compiled model, of which the robot is what its actuators move; all else stands or lies about.

    | Observation | what |
    |---|---|
    | all joint positions | without the root's place along x and y, where it can travel |
    | all joint velocities | |

    | Action | what | bounds |
    |---|---|---|
    | each actuator | its control: 0 as in the first keyframe, or else amid its range; ±1 the ends | [-1, 1] |

    It starts in its first keyframe if it has one; where that names no controls, servos hold its pose.
    A control that starts at an end of its range is 0 amid it, so that no half of its actions does the same.
    By default, a robot whose root can move along x has fallen where its centre of mass, as part of the root,
    is at less than half of its initial height above the ground, or the root is tilted by 60 degrees; one that
    nothing pulls down has not, and one that cannot travel along x cannot fall.

    >>> from limbshift.envs.physics.models import gymnasium_xml
    >>> robot = MjcfRobot.from_xml(gymnasium_xml("ant.xml"))
    >>> robot.name, robot.travels, len(robot.action_bounds()[0])
    ('ant', True, 8)
    >>> robot.fall_rule
    FallRule(height=0.5, tilt=60.0)
    """

    computed_fields = ("xpos", "xmat")

    def __init__(
        self,
        model: mujoco.MjModel,
        name: str,
        source: MjcfSource | None = None,
        *,
        fall_height: FallLimit = None,
        fall_tilt: FallLimit = None,
    ) -> None:
        if len(name) > MAX_NAME:
            raise RobotError(f"name of robot {name} has {len(name)} characters, expected at most {MAX_NAME}")
        self.name = name
        self.compiled = model
        self._source = source
        self.frame_skip = max(1, round(CONTROL_SECONDS / model.opt.timestep))
        data = at_start(model)
        mechanism = Mechanism.of(model, data)
        if mechanism is None:
            raise RobotError(f"robot {name} has no actuator that moves anything, expected one")
        self.mechanism = mechanism
        self.root = mechanism.root
        self.travels = bool(mechanism.hidden)
        self.framing = Framing.of(model, data, mechanism)
        self.camera = self.framing.camera
        self.start_states = _start_states(model, data)
        self._noise = DeviceArray(position_noise(model))
        self._seen = DeviceArray(np.setdiff1d(np.arange(model.nq), mechanism.hidden))
        self._set_fall_rule(data, fall_height, fall_tilt)
        low, high = model.actuator_ctrlrange.T.copy()
        middle = action_middle(model, low, high)
        self._middle, self._below, self._above = (DeviceArray(part) for part in (middle, middle - low, high - middle))

    def _set_fall_rule(self, data: mujoco.MjData, height: FallLimit, tilt: FallLimit) -> None:
        """Decides when the robot has fallen, from how it stands at the start."""
        if not self.travels:
            for name, limit in (("fall_height", height), ("fall_tilt", tilt)):
                if limit not in (None, "none"):
                    raise InputError(f"{name} is {limit}, expected none: {self.name} does not travel, and cannot fall")
            self.fall_rule = FallRule(None, None)
            return
        model, root = self.compiled, self.root
        center = data.subtree_com[root]
        ground = ground_below(model, data, center)
        floating = floats(model, self.mechanism.bodies)
        self.fall_rule = FallRule.of(height, tilt, stands_on_ground=ground is not None, floats=floating)
        offset = data.xmat[root].reshape(3, 3).T @ (center - data.xpos[root])
        self._fall_axes = DeviceArray(np.stack([offset, data.xmat[root, 6:]], axis=1))  # (3, 2) for height and for tilt
        height_share, max_tilt = self.fall_rule.height, self.fall_rule.tilt
        self._lowest = self._min_cosine = -math.inf
        if height_share is not None and ground is not None:
            self._lowest = ground + height_share * float(center[2] - ground)
        if max_tilt is not None:
            self._min_cosine = math.cos(math.radians(max_tilt))

    @classmethod
    def from_xml(
        cls,
        path: Path | str,
        *,
        fall_height: FallLimit = None,
        fall_tilt: FallLimit = None,
        allow_outside: bool = False,
    ) -> "MjcfRobot":
        """Returns the robot of an MJCF file; one that travels is given a ground plane where it has no ground.

        fall_height: share of the starting height of its centre of mass above the ground below which it has fallen;
            "none" for never.
        fall_tilt: degrees of tilt from its start beyond which it has fallen; "none" for never.
        allow_outside: whether the file may refer to others outside its directory.

        Raises RobotError where there is no such file, or where it is no robot that could be trained.
        """
        path = Path(path)
        source = MjcfSource.of(path, allow_outside)  # before MuJoCo reads what the file refers to
        return cls(compile_robot(path), path.stem, source, fall_height=fall_height, fall_tilt=fall_tilt)

    @classmethod
    def load(cls, path: Path, name: str) -> "MjcfRobot":
        """Returns a robot as `save` wrote it; RobotError where the file is none of those."""
        if path.suffix == ".mjb":
            raise RobotError(
                f"{path} is a compiled model, which MuJoCo would read unchecked: expected {path.stem}.zip, as today's"
                " trainings keep their robot"
            )
        files = dict(MjcfSource.read(path).files)
        height, tilt = _read_fall_rule(path, files.pop(FALL_RULE, None))
        source = MjcfSource(files)
        return cls(compile_robot(path, source), name, source, fall_height=height, fall_tilt=tilt)

    @cached_property
    def start(self) -> DeviceArray:
        return DeviceArray(self.model.key_qpos[0] if self.model.nkey else self.model.qpos0)

    def save(self, path: Path) -> None:
        """Writes the MJCF file with its meshes and textures, as an archive for any version of MuJoCo.

        The archive tells, too, when the robot has fallen.
        """
        if self._source is None or not same_models(compile_robot(path, self._source), self.compiled):
            raise RobotError(
                f"robot {self.name} cannot be kept: not all of its files were found, expected an MJCF file"
            )
        rule = {"fall_height": self.fall_rule.height or "none", "fall_tilt": self.fall_rule.tilt or "none"}
        MjcfSource({**self._source.files, FALL_RULE: json.dumps(rule).encode()}).write(path)

    def same_as(self, other: "MjcfRobot") -> bool:
        """Returns whether another robot is made of the same files, or where these are not known is the same model."""
        if self._source and other._source:
            return self._source == other._source
        return same_models(self.compiled, other.compiled)

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
        if self.fall_rule == FallRule(None, None):
            return None
        up = physics.computed_field("xmat").flatten(2)[:, self.root, 6:]  # where the world's up is, in the root's frame
        above, cosine = (up @ self._fall_axes.like(up)).unbind(dim=-1)
        height = physics.computed_field("xpos")[:, self.root, 2] + above
        return (height < self._lowest) | (cosine < self._min_cosine)

    def pose_error(self, physics: Physics) -> Tensor:
        """Returns the (N,) mean distance of the joints from where they start, rad or m."""
        qpos = physics.state("qpos")
        return (qpos - self.start.like(qpos)).abs().mean(dim=-1)


def _start_states(model: mujoco.MjModel, data: mujoco.MjData) -> dict[str, DeviceArray]:
    """Returns what a keyframe, in which the data stands, says beside positions, velocities and controls."""
    sizes = {"act": model.na, "mocap_pos": model.nmocap, "mocap_quat": model.nmocap}
    return {name: DeviceArray(getattr(data, name)) for name, size in sizes.items() if model.nkey and size}


def position_noise(model: mujoco.MjModel) -> NDArray[np.float64]:
    """Returns the (nq,) half width of the initial positions; none for orientations, whose numbers hang together."""
    noise = np.full(model.nq, RESET_NOISE)
    for joint in range(model.njnt):
        address, kind = int(model.jnt_qposadr[joint]), int(model.jnt_type[joint])
        if kind == int(mujoco.mjtJoint.mjJNT_FREE):
            noise[address : address + 7] = 0.0
        elif kind == int(mujoco.mjtJoint.mjJNT_BALL):
            noise[address : address + 4] = 0.0
        elif model.jnt_limited[joint]:
            low, high = model.jnt_range[joint]
            noise[address] = min(RESET_NOISE, MAX_NOISE * (high - low))
    return noise


def action_middle(model: mujoco.MjModel, low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the (nu,) controls of action 0: the keyframe's but for those at an end of their range."""
    middle = (low + high) / 2
    if not model.nkey:
        return middle
    start = model.key_ctrl[0].clip(low, high)
    near_end = np.minimum(start - low, high - start) < DEAD_SHARE * (high - low)
    return np.where(near_end, middle, start)


@dataclass(frozen=True)
class _KeptRule(Checked):
    """A fall rule as an archive holds it."""

    fall_height: float | Literal["none"]
    fall_tilt: float | Literal["none"]


def _read_fall_rule(path: Path, content: bytes | None) -> tuple[FallLimit, FallLimit]:
    """Returns the limits that an archive holds; the defaults where it is older than they are."""
    if content is None:
        return None, None
    try:
        rule = make(_KeptRule, from_json(content, allow_inf_nan=False), "rule")
    except ValueError as error:  # an InputError too
        raise RobotError(f"{path} holds a broken {FALL_RULE}: {error}, expected an archive of a robot") from error
    return rule.fall_height, rule.fall_tilt
