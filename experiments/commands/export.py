"""Writes a controller as an ONNX file, which runs where there is no PyTorch."""

import json
from collections.abc import Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import mujoco
import torch
from rich.console import Console

from limbshift.agents.atomic_write import check_writable, replacing
from limbshift.agents.controller import Controller
from limbshift.envs.errors import InputError
from limbshift.envs.family import TaskFamily
from limbshift.envs.task_env import TaskEnv
from limbshift.experiments.commands.config import ExportConfig
from limbshift.experiments.runs.controllers import load_with_family
from limbshift.experiments.terminal import make_console

QUATERNION = tuple((f"quaternion {part}", "") for part in "wxyz")
TURNS = tuple((f"about {axis}", "rad/s") for axis in "xyz")
PARTS: Mapping[mujoco.mjtJoint, Mapping[str, tuple[tuple[str, str], ...]]] = {
    mujoco.mjtJoint.mjJNT_HINGE: {"qpos": (("", "rad"),), "qvel": (("", "rad/s"),)},
    mujoco.mjtJoint.mjJNT_SLIDE: {"qpos": (("", "m"),), "qvel": (("", "m/s"),)},
    mujoco.mjtJoint.mjJNT_BALL: {"qpos": QUATERNION, "qvel": TURNS},
    mujoco.mjtJoint.mjJNT_FREE: {
        "qpos": (("x", "m"), ("y", "m"), ("z", "m"), *QUATERNION),
        "qvel": (("x", "m/s"), ("y", "m/s"), ("z", "m/s"), *TURNS),
    },
}
"""Of a joint's position and velocity in MuJoCo, by its kind: names and units."""


def export(controller: str | Path | Controller, out: str | Path, *, family: TaskFamily | None = None) -> Path:
    """Writes one step of a controller as an ONNX file, and returns its path.

    controller: a run directory, a .safetensors file, a shipped name, or a loaded controller.
    out: the .onnx file. family: the family, if it is the caller's own.

    Raises InputError (a ValueError) for a controller that cannot be found, and for one that cannot be exported: an
    oracle, or a transformer.

    >>> import limbshift
    >>> path = limbshift.export("HalfCheetahDir", "cheetah.onnx")  # doctest: +SKIP
    """
    if not isinstance(out, str | Path):
        raise InputError(f"out is {out!r}, expected a path")
    config = ExportConfig(str(controller), Path(out))
    write(*load_with_family(controller, family), config.out)
    return config.out


def run_export(config: ExportConfig, console: Console | None = None) -> None:
    """Runs the command."""
    console = console or make_console()
    controller, family = load_with_family(config.controller, family_file=config.family_file)
    write(controller, family, config.out)
    period = family.robot.control_timestep
    told = f"ONNX file in {config.out}: one step of {family.name}'s controller, every {period:g} s ({1 / period:g} Hz)"
    console.print(told, highlight=False, soft_wrap=True)


def write(controller: Controller, family: TaskFamily, out: Path) -> None:
    """Writes the file, whole or not at all."""
    if find_spec("onnx") is None:
        raise InputError("export needs onnx: pip install '.[onnx]'")
    from limbshift.agents.onnx_step import step_model

    check_writable(out)
    model = step_model(controller, described(controller, family))
    with replacing(out) as temporary:
        temporary.write_bytes(model.SerializeToString(deterministic=True))


def described(controller: Controller, family: TaskFamily) -> dict[str, str]:
    """Returns what the file tells of itself: plain text, or JSON where it has parts."""
    card, low, high = controller.card, controller.action_low, controller.action_high
    ranges = zip(actuator_names(family.robot.model), low.tolist(), high.tolist(), strict=True)
    parts: dict[str, Any] = {
        "limbshift_version": version("limbshift"),
        "family": family.name,
        "variant": family.variant,
        "family_description": family.description,
        "robot": family.robot.name,
        "control_period_s": family.robot.control_timestep,
        "episodes_per_trial": card.episodes_per_trial,
        "steps_per_episode": card.horizon,
        "training_steps": card.steps,
        "obs": observation_entries(family),
        "action": [{"name": name, "low": least, "high": most} for name, least, most in ranges],
        "initial_action": controller.middle_of_range.tolist(),
    }
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in parts.items()}


def actuator_names(model: mujoco.MjModel) -> list[str]:
    """Returns each actuator's name, or the joint that it moves where it has none."""
    names = []
    for number in range(model.nu):
        actuator = model.actuator(number)
        on_joint = actuator.trntype[0] == mujoco.mjtTrn.mjTRN_JOINT
        names.append(actuator.name or (model.joint(actuator.trnid[0]).name if on_joint else f"actuator {number}"))
    return names


def observation_entries(family: TaskFamily) -> list[dict[str, str]]:
    """Returns for each entry of an observation what it is, and its unit, where it is of a joint; else its number.

    Joints' entries are found by their values, in a state in which no two numbers are alike.

    >>> from limbshift.envs.catalogue import make_family
    >>> entries = observation_entries(make_family("HalfCheetahDir"))
    >>> entries[0], entries[8]
    ({'name': 'position of rootz', 'unit': 'm'}, {'name': 'velocity of rootx', 'unit': 'm/s'})
    """
    env = TaskEnv(family, 1)
    env.begin_episodes(env.all_envs)
    generator = torch.Generator().manual_seed(0)
    known: dict[float, dict[str, str]] = {}
    for field, entries in joint_entries(family.robot.model).items():
        state = env.physics.state(field)
        state.copy_(torch.rand(state.shape, generator=generator).to(state.dtype))
        known |= zip(state[0].to(torch.float32).tolist(), entries, strict=True)
    parts = [part.reshape(-1).to(torch.float32) for part in family.robot.observe(env.physics)]
    seen = torch.cat(parts).tolist()
    env.close()
    return [known.get(value, {"name": f"entry {number}", "unit": ""}) for number, value in enumerate(seen)]


def joint_entries(model: mujoco.MjModel) -> dict[str, list[dict[str, str]]]:
    """Returns by state field, qpos and qvel, what its numbers are."""
    entries: dict[str, list[dict[str, str]]] = {"qpos": [], "qvel": []}
    for number in range(model.njnt):
        joint = model.joint(number)
        for field, what in (("qpos", "position"), ("qvel", "velocity")):
            for part, unit in PARTS[mujoco.mjtJoint(int(joint.type[0]))][field]:
                name = f"{what} of {joint.name or f'joint {number}'}"
                entries[field].append({"name": f"{name}, {part}" if part else name, "unit": unit})
    return entries
