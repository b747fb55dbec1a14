"""Compiles MJCF files as robots: what they lack is added, and what cannot be trained is refused."""

from pathlib import Path

import mujoco
import numpy as np

from limbshift.envs.mjcf.extent import ground_below, lowest_point
from limbshift.envs.mjcf.keyframe import complete_keyframe
from limbshift.envs.mjcf.kinematics import Mechanism, at_start, floats, moved_trees
from limbshift.envs.mjcf.size_limits import SizeError, check_compiled_size
from limbshift.envs.mjcf.source import MjcfSource, RobotError, read_spec
from limbshift.envs.physics.models import free_name, give_sky

CONTROL_SECONDS = 0.02
"""Time between two actions, to the nearest whole number of the model's time steps."""
MAX_SUBSTEPS = 1000
"""In that time."""
MAX_TIMESTEP = 0.1
SUNK = 0.05
"""A robot without a ground, of which more than this share of its height is below z = 0, is given one below it."""


def compile_robot(path: Path, source: MjcfSource | None = None) -> mujoco.MjModel:
    """Returns the model of an MJCF file, or of the source that is kept at the path; RobotError tells what is wrong."""
    try:
        return compile_spec(source.spec() if source else read_spec(path), path)
    except RobotError:
        raise
    except SizeError as error:
        raise RobotError(f"robot {path} {error}") from error
    except (ValueError, RuntimeError) as error:
        raise not_compiled(path, error) from error


def not_compiled(path: Path, error: Exception) -> RobotError:
    """Returns what is wrong with a file of which MuJoCo says this."""
    reason = " ".join(str(error).split())
    fault = "is not XML" if reason.startswith("XML parse error") else "does not compile"
    return RobotError(f"robot {path} {fault}: {reason}, expected an MJCF file")


def compile_spec(spec: mujoco.MjSpec, path: Path) -> mujoco.MjModel:
    """Returns a model in which every body and actuator has a name and what travels has a ground; the path is told.

    Raises ValueError where it does not compile, RobotError where it could not be trained.
    """
    check_timestep(spec.option.timestep, path)
    give_names(spec)
    give_sky(spec)
    pave(spec)
    model = spec.compile()
    check_compiled_size(model)
    check_flags(model, path)
    check_actuators(model, path)
    height = missing_ground(model)
    if height is not None:
        give_ground(spec, height)
        model = spec.compile()
    complete_keyframe(spec, model)
    pin_muscles(model)
    if mujoco.mj_isSparse(model):
        # MuJoCo 4.0.0 computes wrong Hessians for its Newton solver from sparse Jacobians; 4.0.1 mends that.
        model.opt.jacobian = mujoco.mjtJacobian.mjJAC_DENSE
    return model


def check_timestep(timestep: float, path: Path) -> None:
    """Raises RobotError unless a control step is a number of time steps that can be computed."""
    shortest = CONTROL_SECONDS / MAX_SUBSTEPS
    if not shortest <= timestep <= MAX_TIMESTEP:
        raise RobotError(
            f"timestep of robot {path} is {timestep:g} s, expected {shortest:g} to {MAX_TIMESTEP:g}: actions are"
            f" {CONTROL_SECONDS:g} s apart, at most {MAX_SUBSTEPS} time steps"
        )


def check_flags(model: mujoco.MjModel, path: Path) -> None:
    """Raises RobotError for what simulations side by side cannot do: to leave it out would change the motion."""
    for name, flag in (("sleep", mujoco.mjtEnableBit.mjENBL_SLEEP), ("ipc", mujoco.mjtEnableBit.mjENBL_IPC)):
        if model.opt.enableflags & int(flag):
            raise RobotError(f"flag {name} of robot {path} is enabled, expected it disabled")


def check_actuators(model: mujoco.MjModel, path: Path) -> None:
    """Raises RobotError unless there are actuators, each with one control in a range, and each moves something."""
    if not model.nactuator:
        raise RobotError(f"robot {path} has no actuators, expected at least one")
    for actuator in range(model.nactuator):
        name = f"actuator {model.actuator(actuator).name} of robot {path}"
        if model.actuator_ctrlnum[actuator] != 1:
            raise RobotError(f"{name} has {model.actuator_ctrlnum[actuator]} controls, expected one")
        low, high = model.actuator_ctrlrange[model.actuator_ctrladr[actuator]].tolist()
        if low == high == 0:
            raise RobotError(f"{name} has no ctrlrange, expected one for every actuator")
        if not (np.isfinite([low, high]).all() and low < high):
            raise RobotError(f"{name} has the ctrlrange {low:g} to {high:g}, expected finite numbers, the lower first")
        if max(-low, high) > mujoco.mjMAXVAL:  # MuJoCo takes such a control for a divergence, and 0 in its place
            raise RobotError(
                f"{name} has the ctrlrange {low:g} to {high:g}, expected numbers within {mujoco.mjMAXVAL:g} of zero"
            )
        if not model.actuator_ctrllimited[model.actuator_ctrladr[actuator]]:
            raise RobotError(f"{name} has no ctrlrange that limits it, expected one for every actuator")
        if not moved_trees(model, actuator):
            raise RobotError(f"{name} moves nothing, expected one that acts on a body which a joint lets move")


def give_names(spec: mujoco.MjSpec) -> None:
    """Gives every body and actuator a name of its own."""
    bodies, actuators = {body.name for body in spec.bodies}, {actuator.name for actuator in spec.actuators}
    for number, body in enumerate(spec.bodies[1:], start=1):
        if not body.name:
            body.name = free_name(f"body_{number}", bodies)
            bodies.add(body.name)
    for number, actuator in enumerate(spec.actuators, start=1):
        if not actuator.name:
            actuator.name = free_name(f"{actuator.target or 'actuator'}_{number}", actuators)
            actuators.add(actuator.name)


def missing_ground(model: mujoco.MjModel) -> float | None:
    """Returns the height at which a robot that travels needs a ground; None where it has one, or needs none."""
    data = at_start(model)
    robot = Mechanism.of(model, data)
    plane = (model.geom_type == int(mujoco.mjtGeom.mjGEOM_PLANE)).any()
    if robot is None or not robot.hidden or plane or floats(model, robot.bodies):
        return None
    center = data.subtree_com[robot.root]
    if ground_below(model, data, center) is not None:
        return None
    lowest = lowest_point(model, data, robot.bodies)
    sunk = lowest is not None and lowest < -SUNK * (center[2] - lowest)
    return float(lowest) if lowest is not None and sunk else 0.0


def give_ground(spec: mujoco.MjSpec, height: float) -> None:
    """Adds a checkered plane to the world."""
    plane, half_size = mujoco.mjtGeom.mjGEOM_PLANE, 40.0  # as drawn: for contacts it has no end
    ground = free_name("ground", {geom.name for geom in spec.geoms})
    size, place = [half_size, half_size, 1], [0, 0, height]
    spec.worldbody.add_geom(name=ground, type=plane, size=size, pos=place, material=add_checker(spec))


def pave(spec: mujoco.MjSpec) -> None:
    """Checkers planes that have no material: on plain ones no film would show that a robot moves."""
    plain = [geom for geom in spec.geoms if geom.type == mujoco.mjtGeom.mjGEOM_PLANE and not geom.material]
    if plain:
        material = add_checker(spec)
        for geom in plain:
            geom.material = material


def add_checker(spec: mujoco.MjSpec) -> str:
    """Adds a checkered material, and a sun where there is no light; returns the material's name."""
    textures = [texture.name or Path(texture.file).stem for texture in spec.textures]
    taken = {*textures, *(material.name for material in spec.materials)}
    name = free_name("limbshift_ground", taken)
    checker, pixels = mujoco.mjtBuiltin.mjBUILTIN_CHECKER, 100
    spec.add_texture(name=name, type=mujoco.mjtTexture.mjTEXTURE_2D, builtin=checker, width=pixels, height=pixels)
    spec.add_material(name=name).textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name
    if not spec.lights:
        spec.worldbody.add_light(type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL, pos=[0, 0, 3], dir=[0, 0, -1])
    return name


def pin_muscles(model: mujoco.MjModel) -> None:
    """Writes down the peak force of muscles that leave it to MuJoCo.

    It would divide their scale by the acceleration that a unit force gives, and so strengthen the
    muscles of a limb that a task makes heavier.
    """
    for muscle in np.flatnonzero(model.actuator_gaintype == int(mujoco.mjtGain.mjGAIN_MUSCLE)):
        for prm in (model.actuator_gainprm[muscle], model.actuator_biasprm[muscle]):
            if prm[2] < 0:
                prm[2] = prm[3] / max(mujoco.mjMINVAL, model.actuator_acc0[muscle])
