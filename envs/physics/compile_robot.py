"""Compiles MJCF files as robots: what they lack is added, and what cannot be trained is refused."""

from pathlib import Path

import mujoco
import numpy as np

from limbshift.envs.physics.mjcf import MjcfSource, RobotError, read_spec
from limbshift.envs.physics.models import give_sky

ALONG_Z = 0.5
"""A slide joint whose axis has this much of z moves a robot up and down, and not along the ground."""


def compile_robot(path: Path, source: MjcfSource | None = None) -> mujoco.MjModel:
    """Returns the model of an MJCF file, or of the source that is kept at the path; RobotError tells what is wrong."""
    try:
        return compile_spec(source.spec() if source else read_spec(path), path)
    except RobotError:
        raise
    except ValueError as error:
        raise not_compiled(path, error) from error


def not_compiled(path: Path, error: ValueError) -> RobotError:
    """Returns what is wrong with a file of which MuJoCo says this."""
    reason = " ".join(str(error).split())
    fault = "is not XML" if reason.startswith("XML parse error") else "does not compile"
    return RobotError(f"robot {path} {fault}: {reason}, expected an MJCF file")


def compile_spec(spec: mujoco.MjSpec, path: Path) -> mujoco.MjModel:
    """Returns a model in which every body and actuator has a name and what travels has a ground; the path is told.

    Raises ValueError where it does not compile, RobotError where it could not be trained.
    """
    for number, body in enumerate(spec.bodies[1:], start=1):
        body.name = body.name or f"body_{number}"
    for number, actuator in enumerate(spec.actuators, start=1):
        actuator.name = actuator.name or f"{actuator.target or 'actuator'}_{number}"
    give_sky(spec)
    model = spec.compile()
    root = heaviest_child_of_the_world(model) if model.nbody > 1 else 0
    plane = mujoco.mjtGeom.mjGEOM_PLANE
    if root and has_travelling_joint(model, root) and not (model.geom_type == int(plane)).any():
        spec.stat.extent, spec.stat.center = model.stat.extent, model.stat.center  # the robot's, for the camera
        give_ground(spec)
        model = spec.compile()
    if mujoco.mj_isSparse(model):
        # MuJoCo 4.0.0 computes wrong Hessians for its Newton solver from sparse Jacobians; 4.0.1 mends that.
        model.opt.jacobian = mujoco.mjtJacobian.mjJAC_DENSE
    if not model.nu:
        raise RobotError(f"robot {path} has no actuators, expected at least one")
    for actuator in np.flatnonzero(model.actuator_ctrllimited == 0):
        name = model.actuator(int(actuator)).name
        raise RobotError(f"actuator {name} of robot {path} has no ctrlrange, expected one for every actuator")
    return model


def give_ground(spec: mujoco.MjSpec) -> None:
    """Adds a checkered plane, in the sun, to the world: on a plain one no film would show that a robot moves."""
    name = "limbshift_ground"
    checker, pixels = mujoco.mjtBuiltin.mjBUILTIN_CHECKER, 100
    spec.add_texture(name=name, type=mujoco.mjtTexture.mjTEXTURE_2D, builtin=checker, width=pixels, height=pixels)
    material = spec.add_material(name=name)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name
    plane, half_size = mujoco.mjtGeom.mjGEOM_PLANE, 40.0  # as drawn: for contacts it has no end
    spec.worldbody.add_geom(name="ground", type=plane, size=[half_size, half_size, 1], material=name)
    if not spec.lights:
        spec.worldbody.add_light(type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL, pos=[0, 0, 3], dir=[0, 0, -1])


def heaviest_child_of_the_world(model: mujoco.MjModel) -> int:
    """Returns the body whose subtree weighs most, of those that hang on the world."""
    children = np.flatnonzero(model.body_parentid == 0)[1:]
    return int(children[np.argmax(model.body_subtreemass[children])])


def has_travelling_joint(model: mujoco.MjModel, body: int) -> bool:
    """Returns whether a body can move along x against its parent."""
    return bool(travel_addresses(model, body))


def travel_addresses(model: mujoco.MjModel, body: int) -> list[int]:
    """Returns where in qpos a body's place along x and y is."""
    addresses = []
    for joint in np.flatnonzero(model.jnt_bodyid == body):
        address, kind = int(model.jnt_qposadr[joint]), int(model.jnt_type[joint])
        if kind == int(mujoco.mjtJoint.mjJNT_FREE):
            addresses += [address, address + 1]
        elif kind == int(mujoco.mjtJoint.mjJNT_SLIDE) and abs(model.jnt_axis[joint, 2]) < ALONG_Z:
            addresses.append(address)
    return addresses
