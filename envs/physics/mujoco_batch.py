"""Physics on MuJoCo's CPU engine."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter

import mujoco
import mujoco.batch
import numpy as np
import torch
from mujoco.batch import Batch
from torch import Tensor

from limbshift.envs.errors import SimulationError
from limbshift.envs.physics.cores import available_cores
from limbshift.envs.physics.models import MESSAGES
from limbshift.envs.physics.protocol import CONTACT_FORCES

_DIVERGENCE = slice(int(mujoco.mjtWarning.mjWARN_BADQPOS), int(mujoco.mjtWarning.mjWARN_BADQACC) + 1)
"""The kinds of warning, of position, velocity and acceleration, after which MuJoCo resets a simulation."""
STATE = (
    *("time", "qpos", "qvel", "act", "history", "qacc_warmstart", "ctrl", "qfrc_applied", "xfrc_applied", "eq_active"),
    *("mocap_pos", "mocap_quat", "userdata", "plugin_state", "plastic"),
)
"""What MuJoCo's integration state, mjSTATE_INTEGRATION, consists of."""


class MujocoPhysics:
    """Physics on `mujoco.batch`: a pool of C++ threads over shared memory, in float64.

    >>> from limbshift.envs.robots.half_cheetah import HalfCheetah
    >>> physics = MujocoPhysics(HalfCheetah().model, num_sims=2, model_fields=["body_mass"])
    >>> physics.model_field("body_mass")[1] *= 2  # (2, bodies) kg: the second is twice as heavy
    >>> physics.recompute_constants(torch.tensor([False, True]))
    >>> physics.state("ctrl")[:] = 1.0
    >>> physics.step(nstep=5)  # (2,) whose simulation diverged
    tensor([False, False])
    >>> light, heavy = physics.state("qpos")
    >>> torch.equal(light, heavy)
    False
    """

    device = torch.device("cpu")
    dtype = torch.float64

    def __init__(
        self,
        model: mujoco.MjModel,
        num_sims: int,
        model_fields: Sequence[str] = (),
        *,
        computed_fields: Sequence[str] = (),
        num_threads: int | None = None,
    ) -> None:
        self.model = model
        self.num_sims = num_sims
        self.num_threads = min(num_threads or len(available_cores()), num_sims)
        # Contacts, from which their forces are computed, are kept by a persistent batch alone.
        self._batch = Batch(model, num_sims, self.num_threads, persistent=CONTACT_FORCES in computed_fields)
        self._states: dict[str, Tensor] = {}
        self._model_fields = {name: torch.from_numpy(self._batch.expand(name)) for name in model_fields}
        self._nominal = {name: torch.tensor(np.asarray(attrgetter(name)(model))) for name in model_fields}
        self.nobody = torch.zeros(num_sims, dtype=torch.bool)
        self._divergences = self._batch.warning[:, _DIVERGENCE, 1]  # live: (N, kinds) numbers of warnings
        self._computed_fields = {
            name: _view(self._batch.bind(name)) for name in computed_fields if name != CONTACT_FORCES
        }
        self._scratch: mujoco.MjData | None = None
        """Where contact forces are computed, if they are asked for."""
        if CONTACT_FORCES in computed_fields:
            self._scratch = mujoco.MjData(model)
            self._computed_fields[CONTACT_FORCES] = torch.zeros(num_sims, model.nbody, 6, dtype=self.dtype)

    def state(self, name: str) -> Tensor:
        if name not in self._states:
            self._states[name] = torch.from_numpy(self._batch.bind(name))
        return self._states[name]

    def computed_field(self, name: str) -> Tensor:
        return self._computed_fields[name]

    def model_field(self, name: str) -> Tensor:
        return self._model_fields[name]

    def nominal(self, name: str) -> Tensor:
        return self._nominal[name]

    def recompute_constants(self, mask: Tensor) -> None:
        self._batch.set_const(_ids(mask))

    def reset(self, mask: Tensor) -> None:
        self._batch.reset(_ids(mask), stage=mujoco.mjtStage.mjSTAGE_NONE)

    def forward(self, mask: Tensor) -> None:
        self._batch.forward(_ids(mask))
        if self._scratch is not None:
            self._compute_contact_forces(_ids(mask), self._scratch)

    def step(self, nstep: int) -> Tensor:
        MESSAGES.expected = "The simulation is unstable"  # set here: `expecting` is three calls
        try:
            self._batch.step(nstep=nstep)
        except mujoco.batch.SimulationError as error:
            raise SimulationError(f"MuJoCo cannot go on: {error}") from error
        finally:
            MESSAGES.expected = None
        if self._scratch is not None:
            self._compute_contact_forces(range(self.num_sims), self._scratch)
        if not np.count_nonzero(self._divergences):
            return self.nobody
        diverged = torch.from_numpy(self._divergences.any(axis=1))
        self._divergences[:] = 0  # MuJoCo's reset leaves them at one, and a second divergence would too
        return diverged

    def owns(self, tensor: Tensor) -> bool:
        """Returns whether a tensor is a live view of a field that `state`, `computed_field` or `model_field` gives."""
        live = (*self._states.values(), *self._computed_fields.values(), *self._model_fields.values())
        return tensor.untyped_storage().data_ptr() in {field.untyped_storage().data_ptr() for field in live}

    def any(self, mask: Tensor) -> bool:
        return mask is not self.nobody and bool(mask.any())

    def check(self) -> None:
        pass  # the engine raises in `step`

    def snapshot(self, sim: int) -> tuple[mujoco.MjModel, mujoco.MjData]:
        model, data = self._batch.get_model(sim), self._batch.get_data(sim)
        mujoco.mj_forward(model, data)
        return model, data

    def saved(self) -> dict[str, Tensor]:
        """Returns a copy of all that makes the simulations go on as they do."""
        return {name: live.clone() for name, live in self._all_live().items()}

    def restore(self, saved: Mapping[str, Tensor]) -> None:
        """Puts as many simulations of the same model into what `saved` returned."""
        live = self._all_live()
        for name in self._model_fields:
            live[name].copy_(saved[name])
        if self._model_fields:
            self._batch.set_const()
        for name in (*STATE, *self._computed_fields):  # which set_const computes anew, from the states of now
            live[name].copy_(saved[name])

    def close(self) -> None:
        self._states.clear()

    def _all_live(self) -> dict[str, Tensor]:
        return {**{name: self.state(name) for name in STATE}, **self._model_fields, **self._computed_fields}

    def _compute_contact_forces(self, sims: Iterable[int], scratch: mujoco.MjData) -> None:
        """Fills in the forces of these simulations' contacts.

        A force sensor would make MuJoCo compute them too, but from the first of the four stages of RK4; after a step
        the contacts are the last one's, from which Gymnasium computes them.
        """
        forces = self._computed_fields[CONTACT_FORCES].numpy()
        for sim in sims:
            self._batch.get_data(sim, scratch)
            mujoco.mj_rnePostConstraint(self.model, scratch)  # of the model, it reads no field that tasks change
            forces[sim] = scratch.cfrc_ext


def _ids(mask: Tensor) -> np.ndarray:
    return np.flatnonzero(mask.numpy())


def _view(array: np.ndarray) -> Tensor:
    """Returns a tensor over a read-only array, for reading alone: torch has no read-only tensors and warns."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable", category=UserWarning)
        return torch.from_numpy(array)
