"""Physics on MuJoCo Warp: all simulations on one GPU, or on Warp's CPU device, in float32."""

import os
from collections.abc import Callable, Sequence
from itertools import combinations
from operator import attrgetter

import mujoco
import mujoco_warp
import numpy as np
import torch
import warp
from torch import Tensor

from limbshift.envs.errors import CapacityError, InputError
from limbshift.envs.physics.protocol import CONTACT_FORCES


def _start_warp() -> None:
    """Starts Warp in silence: it would tell of each kernel that it compiles, and, past Python, that there is no GPU."""
    warp.config.log_level = warp.LOG_ERROR
    if torch.cuda.is_available():
        warp.init()
        return
    shown, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        warp.init()
    finally:
        os.dup2(shown, 2)
        os.close(shown)
        os.close(nowhere)


_start_warp()

DERIVED_CONSTANTS = (
    "body_subtreemass",
    "body_invweight0",
    "dof_invweight0",
    "actuator_acc0",
    "geom_aabb",
    "geom_rbound",
    "tendon_invweight0",
    "tendon_length0",
)
"""Model fields that MuJoCo derives from others: each simulation needs its own where it has its own model_fields."""
MAX_CONTACTS, MAX_CONSTRAINTS = 128, 512
"""Of one simulation: what is allotted to robots whose worst case is beyond them."""
DIVERGED = 1e10
"""Magnitude of a position, velocity or acceleration beyond which a simulation has diverged, as in MuJoCo."""
CAPACITY = mujoco_warp.OverflowType.ALL & ~mujoco_warp.OverflowType.ITERATIONS & ~mujoco_warp.OverflowType.LS_ITERATIONS
"""Overflows that falsify a simulation; a solver that stops at its iteration limit does not."""


class WarpPhysics:
    """Physics on `mujoco_warp`, whose arrays torch shares; nothing in a step is read by the host.

    Derived fields are one substep behind the state after `step`, as in `MujocoPhysics`. What runs
    again and again is captured once, as a graph, and replayed on torch's stream.
    """

    dtype = torch.float32

    def __init__(
        self,
        model: mujoco.MjModel,
        num_sims: int,
        model_fields: Sequence[str],
        *,
        computed_fields: Sequence[str],
        device: torch.device,
    ) -> None:
        self.model = model
        self.num_sims = num_sims
        self.device = _indexed(device)
        self._warp = warp.device_from_torch(self.device)
        with warp.ScopedDevice(self._warp):
            self.on_device = put_model(model, num_sims, model_fields)
            contacts, constraints = capacity(model)
            self._data = mujoco_warp.make_data(model, nworld=num_sims, nconmax=contacts, njmax=constraints)
            self._mask = warp.zeros(num_sims, dtype=bool)
            self._picked = warp.to_torch(self._mask)
            warp.synchronize_device(self._warp)  # all this was made on a stream of Warp's own
        self._model_fields = {name: shared(self.on_device, name) for name in model_fields}
        self._nominal = {
            name: torch.tensor(np.asarray(attrgetter(name)(model)), dtype=self.dtype, device=self.device)
            for name in model_fields
        }
        self._computed_fields = {name: shared(self._data, name) for name in computed_fields}
        self._states: dict[str, Tensor] = {}
        self.nobody = torch.zeros_like(self._picked)
        self._graphs: dict[str, warp.Graph] = {}
        self._overflow = torch.zeros_like(self.state("overflow"))

    def state(self, name: str) -> Tensor:
        if name not in self._states:
            self._states[name] = shared(self._data, name)
        return self._states[name]

    def computed_field(self, name: str) -> Tensor:
        return self._computed_fields[name]

    def model_field(self, name: str) -> Tensor:
        return self._model_fields[name]

    def nominal(self, name: str) -> Tensor:
        return self._nominal[name]

    def recompute_constants(self, mask: Tensor) -> None:
        kept = self._keep_computed()
        self._launch(lambda: mujoco_warp.set_const(self.on_device, self._data))
        self._restore_computed(kept, torch.zeros_like(mask))

    def reset(self, mask: Tensor) -> None:
        self._picked.copy_(mask)
        self._replay("reset", lambda: mujoco_warp.reset_data(self.on_device, self._data, reset=self._mask))

    def forward(self, mask: Tensor) -> None:
        def forward() -> None:
            mujoco_warp.forward(self.on_device, self._data)
            self._compute_contact_forces()

        if self._computed_fields:  # a step computes all else anew
            kept = self._keep_computed()
            self._replay("forward", forward)
            self._restore_computed(kept, mask)

    def step(self, nstep: int) -> Tensor:
        def substeps() -> None:
            for _ in range(nstep):
                mujoco_warp.step(self.on_device, self._data)
            self._compute_contact_forces()

        self._replay(f"step {nstep}", substeps)
        self._overflow |= self.state("overflow")
        sound = torch.ones_like(self._picked)
        for name in ("qpos", "qvel", "qacc"):
            sound &= (self.state(name).abs() < DIVERGED).all(dim=-1)  # false of a number that is none
        diverged = ~sound
        self.reset(diverged)
        return diverged

    def any(self, mask: Tensor) -> bool:
        return True

    def check(self) -> None:
        overflow = int(np.bitwise_or.reduce(self._overflow.cpu().numpy())) & int(CAPACITY)
        if overflow:
            self._overflow.zero_()
            contacts, constraints = capacity(self.model)
            raise CapacityError(
                f"MuJoCo Warp ran out of room ({mujoco_warp.OverflowType(overflow).name}): {contacts} contacts and"
                f" {constraints} constraints are allotted to each simulation. Let fewer geoms collide (contype,"
                " conaffinity), or take --physics mujoco"
            )

    def snapshot(self, sim: int) -> tuple[mujoco.MjModel, mujoco.MjData]:
        model = self.model.__copy__()
        for name, values in self._model_fields.items():
            owner, _, field = name.rpartition(".")
            setattr(attrgetter(owner)(model) if owner else model, field, values[sim].double().cpu().numpy())
        data = mujoco.MjData(model)
        mujoco.mj_setConst(model, data)
        for name in ("qpos", "qvel", "act", "ctrl", "mocap_pos", "mocap_quat"):
            getattr(data, name)[:] = self.state(name)[sim].double().cpu().numpy()
        data.time = float(self.state("time")[sim])
        mujoco.mj_forward(model, data)
        return model, data

    def close(self) -> None:
        self._graphs.clear()
        self._states.clear()

    def _replay(self, name: str, work: Callable[[], None]) -> None:
        """Does the work: captured when it is first asked for, replayed from then on."""
        if name in self._graphs:
            warp.capture_launch(self._graphs[name], self._stream())
            return
        self._launch(work)  # compiles its kernels, which a capture could not hold
        with warp.ScopedDevice(self._warp), warp.ScopedCapture() as capture:
            work()
        self._graphs[name] = capture.graph

    def _launch(self, work: Callable[[], None]) -> None:
        """Does the work once, in turn with torch's."""
        with warp.ScopedDevice(self._warp), warp.ScopedStream(self._stream()):
            work()

    def _stream(self) -> warp.Stream | None:
        return warp.stream_from_torch(self.device) if self._warp.is_cuda else None

    def _compute_contact_forces(self) -> None:
        """Computes the field that MuJoCo computes on demand alone, where it is asked for."""
        if CONTACT_FORCES in self._computed_fields:
            mujoco_warp.rne_postconstraint(self.on_device, self._data)

    def _keep_computed(self) -> list[Tensor]:
        return [live.clone() for live in self._computed_fields.values()]

    def _restore_computed(self, kept: list[Tensor], mask: Tensor) -> None:
        """Undoes what was computed of simulations that the mask does not pick: theirs stay a substep behind."""
        for live, old in zip(self._computed_fields.values(), kept, strict=True):
            live.copy_(torch.where(mask.view(-1, *[1] * (live.dim() - 1)), live, old))


def put_model(model: mujoco.MjModel, num_sims: int, model_fields: Sequence[str]) -> mujoco_warp.Model:
    """Returns the model on Warp's device; each simulation has its own values of model_fields and of what they change.

    Raises InputError where MuJoCo Warp lacks what the model asks for.
    """
    own = [name for name in model_fields if not name.startswith("opt.")]
    batched = {*own, *DERIVED_CONSTANTS} if model_fields else set()
    try:
        put = mujoco_warp.put_model(model, dict.fromkeys(sorted(batched), num_sims))
    except (NotImplementedError, ValueError) as error:
        raise InputError(
            f"MuJoCo Warp cannot run this robot: {error} Take --physics mujoco, or another robot"
        ) from error
    for name in set(model_fields) - set(own):
        option = name.removeprefix("opt.")
        one = getattr(put.opt, option)
        values = np.repeat(one.numpy(), num_sims, axis=0)
        setattr(put.opt, option, warp.array(values, dtype=one.dtype))
    put.opt.warn_overflow = 0  # `check` tells of it
    return put


def capacity(model: mujoco.MjModel) -> tuple[int, int]:
    """Returns how many contacts and constraints to allot to a simulation: its worst case, within reason."""
    contacts = sum(max_contacts(model, *pair) for pair in colliding_pairs(model))
    condim = max(int(model.geom_condim.max(initial=1)), int(model.pair_dim.max(initial=1)))
    rows = contacts * max(1, 2 * (condim - 1))
    rows += int((model.dof_frictionloss > 0).sum() + model.jnt_limited.sum() + model.tendon_limited.sum())
    rows += int((model.tendon_frictionloss > 0).sum()) + 6 * model.neq
    return min(contacts, MAX_CONTACTS), min(rows, MAX_CONSTRAINTS)


def colliding_pairs(model: mujoco.MjModel) -> list[tuple[int, int]]:
    """Returns the pairs of geoms that MuJoCo would test against each other."""
    excluded = set(model.exclude_signature.tolist())
    weld, parent = model.body_weldid, model.body_weldid[model.body_parentid[model.body_weldid]]
    pairs = [(int(first), int(second)) for first, second in zip(model.pair_geom1, model.pair_geom2, strict=True)]
    for first, second in combinations(range(model.ngeom), 2):
        a, b = sorted((int(model.geom_bodyid[first]), int(model.geom_bodyid[second])))
        touches = (model.geom_contype[first] & model.geom_conaffinity[second]) | (
            model.geom_contype[second] & model.geom_conaffinity[first]
        )
        related = weld[a] == weld[b] or (weld[a] and weld[b] and (weld[a] == parent[b] or weld[b] == parent[a]))
        if touches and not related and (a << 16) + b not in excluded:
            pairs.append((first, second))
    return pairs


def max_contacts(model: mujoco.MjModel, first: int, second: int) -> int:
    """Returns at how many points two geoms can touch."""
    kinds = mujoco.mjtGeom
    shapes = {int(model.geom_type[first]), int(model.geom_type[second])}
    if int(kinds.mjGEOM_SPHERE) in shapes or shapes == {int(kinds.mjGEOM_PLANE), int(kinds.mjGEOM_ELLIPSOID)}:
        return 1
    if int(kinds.mjGEOM_CAPSULE) in shapes:
        return 2
    return 4 if int(kinds.mjGEOM_PLANE) in shapes else 8


def shared(owner: object, name: str) -> Tensor:
    """Returns a tensor over one of Warp's arrays, as torch sees it: vectors and matrices become axes."""
    tensor: Tensor = warp.to_torch(attrgetter(name)(owner))
    return tensor


def _indexed(device: torch.device) -> torch.device:
    """Returns the device with its number, which Warp asks for."""
    if device.type == "cuda" and device.index is None:
        return torch.device("cuda", torch.cuda.current_device())
    return device
