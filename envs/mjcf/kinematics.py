"""Which part of a model is the robot: what its actuators move, as opposed to what stands or lies about."""

from collections import Counter
from dataclasses import dataclass
from typing import Self

import mujoco
import numpy as np
from numpy.typing import NDArray

ALONG = 0.5
"""Share of a slide joint's axis along a direction, in the world's frame, from which on it moves a robot that way."""
_JOINTS = (int(mujoco.mjtTrn.mjTRN_JOINT), int(mujoco.mjtTrn.mjTRN_JOINTINPARENT), int(mujoco.mjtTrn.mjTRN_SO3))
_SITES = (int(mujoco.mjtTrn.mjTRN_SITE), int(mujoco.mjtTrn.mjTRN_SLIDERCRANK))


@dataclass(frozen=True)
class Mechanism:
    """The robot in a model: the bodies that actuators can move, and what carries them.

    A kinematic tree is a body that can move against the world, with all that hangs on it.
    """

    root: int
    """The first body of the tree with most actuators; where several trees stand on one fixed base, as fingers on a
    palm, that base."""
    bodies: tuple[int, ...]
    """The bodies of all trees with actuators."""
    shown: tuple[int, ...]
    """Those in the root's part of the world, and the fixed bodies that carry them: what a film is of."""
    last: int
    """The last body of the tree with most actuators."""
    hidden: tuple[int, ...]
    """Where in qpos the root's place along x and y is; empty for a robot that cannot travel along x."""

    @classmethod
    def of(cls, model: mujoco.MjModel, data: mujoco.MjData) -> Self | None:
        """Returns the robot in a model, as it stands in the data; None where actuators move nothing."""
        counts = Counter(tree for actuator in range(model.nactuator) for tree in moved_trees(model, actuator))
        if not counts:
            return None
        first = np.array([int(np.flatnonzero(model.body_treeid == tree)[0]) for tree in range(model.ntree)])
        best = max(counts, key=lambda tree: (counts[tree], model.body_subtreemass[first[tree]]))
        base = int(model.body_rootid[first[best]])
        beside = [tree for tree in counts if model.body_rootid[first[tree]] == base]
        root = int(first[best]) if len(beside) == 1 else base
        bodies = np.flatnonzero(np.isin(model.body_treeid, list(counts)))
        carriers = [body for tree in beside for body in _ancestors(model, int(first[tree]))]
        shown = {int(body) for body in bodies if model.body_rootid[body] == base} | set(carriers)
        return cls(
            root=root,
            bodies=tuple(bodies.tolist()),
            shown=tuple(sorted(shown)),
            last=int(np.flatnonzero(model.body_treeid == best)[-1]),
            hidden=tuple(travel_addresses(model, data, root)),
        )


def moved_trees(model: mujoco.MjModel, actuator: int) -> set[int]:
    """Returns the kinematic trees on which an actuator exerts its force; empty for one that moves nothing."""
    kind, (first, second) = int(model.actuator_trntype[actuator]), model.actuator_trnid[actuator].tolist()
    if kind in _JOINTS:
        bodies = [int(model.jnt_bodyid[first])]
    elif kind in _SITES:
        bodies = [int(model.site_bodyid[site]) for site in (first, second) if site >= 0]
    elif kind == int(mujoco.mjtTrn.mjTRN_TENDON):
        bodies = _tendon_bodies(model, first)
    else:
        bodies = [first]
    return {int(model.body_treeid[body]) for body in bodies} - {-1}


def _tendon_bodies(model: mujoco.MjModel, tendon: int) -> list[int]:
    """Returns the bodies on which a tendon pulls; the geoms that it wraps around are pushed by it too."""
    owner = {
        int(mujoco.mjtWrap.mjWRAP_JOINT): model.jnt_bodyid,
        int(mujoco.mjtWrap.mjWRAP_SITE): model.site_bodyid,
        int(mujoco.mjtWrap.mjWRAP_SPHERE): model.geom_bodyid,
        int(mujoco.mjtWrap.mjWRAP_CYLINDER): model.geom_bodyid,
    }
    start, count = model.tendon_adr[tendon], model.tendon_num[tendon]
    kinds, ids = model.wrap_type[start : start + count], model.wrap_objid[start : start + count]
    return [
        int(owner[kind][number]) for kind, number in zip(kinds.tolist(), ids.tolist(), strict=True) if kind in owner
    ]


def _ancestors(model: mujoco.MjModel, body: int) -> list[int]:
    """Returns the bodies that carry a body, the world aside."""
    found = []
    while (body := int(model.body_parentid[body])) > 0:
        found.append(body)
    return found


def travel_addresses(model: mujoco.MjModel, data: mujoco.MjData, body: int) -> list[int]:
    """Returns where in qpos a body's place along x and y is; none where it cannot be moved along x."""
    addresses: list[int] = []
    along_x = False
    for joint in np.flatnonzero(model.jnt_bodyid == body):
        address, kind, axis = int(model.jnt_qposadr[joint]), int(model.jnt_type[joint]), np.abs(data.xaxis[joint])
        if kind == int(mujoco.mjtJoint.mjJNT_FREE):
            addresses, along_x = [*addresses, address, address + 1], True
        elif kind == int(mujoco.mjtJoint.mjJNT_SLIDE) and axis[2] < ALONG:
            addresses.append(address)
            along_x |= bool(axis[0] >= ALONG)
    return addresses if along_x else []


def at_start(model: mujoco.MjModel) -> mujoco.MjData:
    """Returns the model in its first keyframe, or in its default state where it has none."""
    data = mujoco.MjData(model)
    if model.nkey:
        mujoco.mj_resetDataKeyframe(model, data, 0)
    mujoco.mj_forward(model, data)
    return data


def floats(model: mujoco.MjModel, bodies: tuple[int, ...]) -> bool:
    """Returns whether nothing pulls these bodies down: there is no gravity, or they are carried against it."""
    off = bool(model.opt.disableflags & int(mujoco.mjtDisableBit.mjDSBL_GRAVITY))
    mass: NDArray[np.float64] = model.body_mass[list(bodies)]
    return off or model.opt.gravity[2] >= 0 or bool(mass @ (1 - model.body_gravcomp[list(bodies)]) <= 0)
