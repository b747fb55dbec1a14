"""All task families by name, each made when it is asked for; importing this imports no simulator and no network."""

import difflib
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

import gymnasium as gym

from limbshift.envs.errors import FamilyError

if TYPE_CHECKING:
    from limbshift.envs.family import TaskFamily

FAMILIES_BY_ROBOT: Mapping[str, tuple[str, ...]] = {
    "ant": (
        "AntWiring",
        "AntDir",
        "AntDirForwardBack",
        "AntLimbs",
        "AntLimbsDir",
        "AntBodies",
        "AntCrippled",
        "AntGoal",
    ),
    "arm": (
        "ArmPayload",
        "ArmJointFriction",
    ),
    "half_cheetah": (
        "HalfCheetahDir",
        "HalfCheetahVel",
        "HalfCheetahLimbs",
        "HalfCheetahLimbsDir",
        "HalfCheetahWiring",
        "HalfCheetahCrippled",
        "HalfCheetahGround",
        "HalfCheetahActuators",
        "HalfCheetahHardware",
        "HalfCheetahAnyChange",
    ),
    "hopper": (
        "HopperRandParams",
        "HopperPacker",
    ),
    "humanoid": ("HumanoidDir",),
    "inverted_pendulum": ("InvertedPendulumBody",),
    "quadruped": (
        "QuadrupedBodies",
        "QuadrupedPayload",
        "QuadrupedMotors",
        "QuadrupedTerrain",
        "QuadrupedVel",
    ),
    "reacher": (
        "ReacherGoal",
        "ReacherLimbs",
    ),
    "swimmer": ("SwimmerViscosity",),
    "walker2d": (
        "Walker2dRandParams",
        "Walker2dVel",
    ),
}
"""Names of the task families, by the file of `limbshift.envs.robots` that holds their classes."""
_ROBOT_OF = {name: robot for robot, names in FAMILIES_BY_ROBOT.items() for name in names}


def families() -> tuple[str, ...]:
    """Returns the names of all task families.

    >>> len(families())
    34
    """
    return tuple(_ROBOT_OF)


def make_family(family: "str | TaskFamily", variant: str = "default") -> "TaskFamily":
    """Returns a task family by name; one that is given already made is handed back.

    Raises FamilyError for a name or a variant that does not exist.

    >>> make_family("HalfCheetahVel").nominal
    {'target_velocity': 0.0}
    """
    if not isinstance(family, str):
        return _given(family, variant)
    if family not in _ROBOT_OF:
        nearest = difflib.get_close_matches(family, _ROBOT_OF, n=1, cutoff=0.3)
        hint = f"did you mean {nearest[0]}?" if nearest else "expected one of those that `limbshift families` lists"
        raise FamilyError(f"unknown task family {family!r}: {hint}")
    made: TaskFamily = getattr(import_module(f"limbshift.envs.robots.{_ROBOT_OF[family]}"), family)(variant)
    return made


def _given(family: "TaskFamily", variant: str) -> "TaskFamily":
    from limbshift.envs.family import TaskFamily  # brings PyTorch, which whoever has made a family has imported

    if not isinstance(family, TaskFamily):
        raise FamilyError(f"family is {family!r}, expected a name, or an object of a TaskFamily")
    if variant not in ("default", family.variant):
        raise FamilyError(f"variant is {variant!r}, expected {family.variant!r} as the family that is given has")
    return family


def register_envs() -> None:
    """Makes `limbshift/<Family>-v0` known to `gym.make` and `gym.make_vec`, for all families."""
    for name in families():
        env_id = f"limbshift/{name}-v0"
        if env_id not in gym.registry:
            gym.register(
                env_id,
                entry_point="limbshift.envs.adapters.gym_env:TaskFamilyEnv",
                vector_entry_point="limbshift.envs.adapters.gym_vector:TaskFamilyVectorEnv",
                kwargs={"family": name},
            )
