"""How task parameters change a robot's motors: weak, reversed or dead."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import mujoco
import numpy as np
import torch
from torch import Tensor

from limbshift.envs.errors import InputError
from limbshift.envs.physics.device_array import DeviceArray
from limbshift.envs.physics.protocol import Physics
from limbshift.envs.tasks.effects import as_factor, find
from limbshift.envs.tasks.parameter import ModelEffect

_FIXED_GAIN, _AFFINE_BIAS = int(mujoco.mjtGain.mjGAIN_FIXED), int(mujoco.mjtBias.mjBIAS_AFFINE)
_MUSCLE = int(mujoco.mjtGain.mjGAIN_MUSCLE)
"""Of gains and of biases."""
_GAINS = (_FIXED_GAIN, int(mujoco.mjtGain.mjGAIN_AFFINE), _MUSCLE)
_BIASES = (int(mujoco.mjtBias.mjBIAS_NONE), _AFFINE_BIAS, int(mujoco.mjtBias.mjBIAS_MUSCLE))
MOTOR_FIELDS = ("actuator_gainprm", "actuator_biasprm")
"""Model fields that a motor without force has at zero."""
_AT_JOINTS = (int(mujoco.mjtTrn.mjTRN_JOINT), int(mujoco.mjtTrn.mjTRN_JOINTINPARENT))
"""Transmissions."""
_PEAK_FORCE = slice(2, 3)
"""Where a muscle's parameters hold its peak force."""


@dataclass(frozen=True)
class ScaleMotors(ModelEffect):
    """Multiplies the force of motors; -1 is a motor wired the wrong way round, 0 a dead one.

    For motors alone: `ScaleActuators` and `ReverseCommands` are for servos too.

    >>> ScaleMotors(("bthigh", "fthigh")).model_fields
    ('actuator_gear',)
    """

    joints: tuple[str, ...]
    """The joints that the motors move."""
    model_fields: ClassVar[tuple[str, ...]] = ("actuator_gear",)

    def apply(self, physics: Physics, values: Tensor, mask: Tensor) -> None:
        factor = as_factor(mask, values).unsqueeze(-1)
        for motor in _motors(physics, self.joints):
            physics.model_field("actuator_gear")[:, motor] *= factor

    def shown_on(self, physics: Physics) -> tuple[int, ...]:
        return tuple(int(find(physics, "joint", joint).bodyid[0]) for joint in self.joints)


@dataclass(frozen=True)
class KillMotor(ModelEffect):
    """Silences one actuator, by its number from 1 on; 0 silences none.

    >>> KillMotor().model_fields
    ('actuator_gainprm', 'actuator_biasprm')
    """

    actuators: tuple[int, ...] = ()
    """The ids of the actuators that the numbers stand for; empty for all of them."""
    model_fields: ClassVar[tuple[str, ...]] = MOTOR_FIELDS

    def apply(self, physics: Physics, values: Tensor, mask: Tensor) -> None:
        dead = self._ids.like(values)[values.long()] if self.actuators else values - 1
        ids = torch.arange(physics.model.nactuator, device=values.device)
        alive = ~(mask.unsqueeze(-1) & (dead.unsqueeze(-1) == ids))  # (N, A)
        for field in self.model_fields:
            physics.model_field(field).mul_(alive.unsqueeze(-1))

    @cached_property
    def _ids(self) -> DeviceArray:
        return DeviceArray((-1, *self.actuators))


@dataclass(frozen=True)
class ScaleActuators(ModelEffect):
    """Multiplies the force of actuators of any kind that is `scalable`; a muscle's only where its `force` is given.

    >>> ScaleActuators(("elbow",)).model_fields
    ('actuator_gainprm', 'actuator_biasprm')
    """

    actuators: tuple[str, ...]
    limits: bool = False
    """Whether the limits of the actuators' forces, and those of all joints and tendons, are multiplied too."""

    @property
    def model_fields(self) -> tuple[str, ...]:
        limits = ("actuator_forcerange", "jnt_actfrcrange", "tendon_actfrcrange") if self.limits else ()
        return ("actuator_gainprm", "actuator_biasprm", *limits)

    def apply(self, physics: Physics, values: Tensor, mask: Tensor) -> None:
        factor = as_factor(mask, values).unsqueeze(-1)
        for name in self.actuators:
            actuator = find(physics, "actuator", name).id
            for field, kind in (("actuator_gainprm", "gaintype"), ("actuator_biasprm", "biastype")):
                muscle = int(getattr(physics.model, f"actuator_{kind}")[actuator]) == _MUSCLE
                physics.model_field(field)[:, actuator, _PEAK_FORCE if muscle else slice(None)] *= factor
            if self.limits:
                physics.model_field("actuator_forcerange")[:, actuator] *= factor
        if self.limits:
            for field in ("jnt_actfrcrange", "tendon_actfrcrange"):
                physics.model_field(field).mul_(factor.unsqueeze(-1))


@dataclass(frozen=True)
class ReverseCommands(ModelEffect):
    """Wires actuators the wrong way round where the value is -1: motors push the other way, servos go the other way.

    A servo's command is mirrored about the middle of its range, or, where the servo integrates its
    commands, about where it starts; its feedback stays as it is.

    >>> ReverseCommands(("elbow",)).actuators
    ('elbow',)
    """

    actuators: tuple[str, ...]
    model_fields: ClassVar[tuple[str, ...]] = ("actuator_gainprm", "actuator_biasprm", "actuator_forcerange")

    def apply(self, physics: Physics, values: Tensor, mask: Tensor) -> None:
        sign = as_factor(mask, values).unsqueeze(-1)
        for name in self.actuators:
            actuator = find(physics, "actuator", name).id
            if int(physics.model.actuator_biastype[actuator]) == _AFFINE_BIAS:
                # gain * (2 * middle - command) = -gain * command + 2 * middle * gain, and 2 is 1 - sign
                # A fixed gain is its first parameter; MuJoCo ignores the others, where it would not ignore a bias's.
                count = 1 if int(physics.model.actuator_gaintype[actuator]) == _FIXED_GAIN else 3
                gain = physics.model_field("actuator_gainprm")[:, actuator, :count]
                bias = physics.model_field("actuator_biasprm")[:, actuator, :count]
                bias += (1 - sign) * _mirror(physics.model, actuator) * gain
            else:
                limits = physics.model_field("actuator_forcerange")[:, actuator]
                limits.copy_(torch.where(sign < 0, -limits.flip(-1), limits))
            physics.model_field("actuator_gainprm")[:, actuator] *= sign


def scalable(model: mujoco.MjModel, actuator: int) -> bool:
    """Returns whether an actuator's force is proportional to its parameters of gain and bias.

    >>> model = mujoco.MjModel.from_xml_string(
    ...     '<mujoco><worldbody><body><joint name="hip"/><geom size="0.1"/></body></worldbody>'
    ...     '<actuator><motor joint="hip"/><muscle joint="hip" lengthrange="0 1"/></actuator></mujoco>'
    ... )
    >>> [scalable(model, actuator) for actuator in (0, 1)], [reversible(model, actuator) for actuator in (0, 1)]
    ([True, True], [True, False])
    """
    known = model.actuator_gaintype[actuator] in _GAINS and model.actuator_biastype[actuator] in _BIASES
    return bool(known and model.actuator_plugin[actuator] < 0)


def reversible(model: mujoco.MjModel, actuator: int) -> bool:
    """Returns whether an actuator may be wired the wrong way round: muscles and adhesion only pull, dampers brake."""
    gain, bias = int(model.actuator_gaintype[actuator]), int(model.actuator_biastype[actuator])
    linear = (gain == _FIXED_GAIN and bias != _MUSCLE) or (bias == _AFFINE_BIAS and gain != _MUSCLE)
    adheres = int(model.actuator_trntype[actuator]) == int(mujoco.mjtTrn.mjTRN_BODY)
    return scalable(model, actuator) and linear and not adheres


def _mirror(model: mujoco.MjModel, actuator: int) -> float:
    """Returns the command about which a servo's are mirrored, or the activation, where it integrates commands."""
    if model.actuator_dyntype[actuator] == int(mujoco.mjtDyn.mjDYN_INTEGRATOR):
        return float(model.key_act[0, model.actuator_actadr[actuator]]) if model.nkey else 0.0
    return float(model.actuator_ctrlrange[model.actuator_ctrladr[actuator]].mean())


def _motors(physics: Physics, joints: tuple[str, ...]) -> list[int]:
    """Returns the ids of all actuators that move the joints; InputError unless all are motors."""
    model, motors = physics.model, list[int]()
    for joint in joints:
        ids = np.isin(model.actuator_trntype, _AT_JOINTS) & (
            model.actuator_trnid[:, 0] == find(physics, "joint", joint).id
        )
        if not ids.any():
            raise InputError(f"no actuator moves the joint {joint!r}, expected one that is driven")
        if model.actuator_biastype[ids].any():  # whose target a gear would move
            raise InputError(
                f"the joint {joint!r} is moved by a servo, expected a motor: ScaleActuators and ReverseCommands are for"
                " actuators of any kind"
            )
        motors += np.flatnonzero(ids).tolist()
    return motors
