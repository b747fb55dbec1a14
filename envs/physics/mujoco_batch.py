"""Physics on MuJoCo's CPU engine."""

import os
import warnings
from collections.abc import Sequence
from operator import attrgetter

import mujoco
import mujoco.batch
import numpy as np
import torch
from mujoco.batch import Batch
from torch import Tensor

from limbshift.envs.errors import SimulationError
from limbshift.envs.physics.models import MESSAGES

_DIVERGENCE = slice(int(mujoco.mjtWarning.mjWARN_BADQPOS), int(mujoco.mjtWarning.mjWARN_BADQACC) + 1)
"""The kinds of warning, of position, velocity and acceleration, after which MuJoCo resets a simulation."""


class MujocoPhysics:
    """Physics on `mujoco.batch`: a pool of C++ threads over shared memory, in float64."""

    device = torch.device("cpu")
    dtype = torch.float64

    def __init__(
        self,
        model: mujoco.MjModel,
        num_sims: int,
        model_fields: Sequence[str] = (),
        computed_fields: Sequence[str] = (),
        num_threads: int | None = None,
    ) -> None:
        self.model = model
        self.num_sims = num_sims
        self.timestep = float(model.opt.timestep)
        self.num_threads = min(num_threads or len(os.sched_getaffinity(0)), num_sims)
        self._batch = Batch(model, num_sims, self.num_threads)
        self._states: dict[str, Tensor] = {}
        self._model_fields = {name: torch.from_numpy(self._batch.expand(name)) for name in model_fields}
        self._nominal = {name: torch.tensor(np.asarray(attrgetter(name)(model))) for name in model_fields}
        self._none = torch.zeros(num_sims, dtype=torch.bool)
        self._divergences = self._batch.warning[:, _DIVERGENCE, 1]  # live: (N, kinds) numbers of warnings
        self._computed_fields = {name: _view(self._batch.bind(name)) for name in computed_fields}

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

    def step(self, nstep: int) -> Tensor:
        try:
            with MESSAGES.expecting("The simulation is unstable"):
                self._batch.step(nstep=nstep)
        except mujoco.batch.SimulationError as error:
            raise SimulationError(f"MuJoCo cannot go on: {error}") from error
        if not np.count_nonzero(self._divergences):
            return self._none
        diverged = torch.from_numpy(self._divergences.any(axis=1))
        self._divergences[:] = 0  # MuJoCo's reset leaves them at one, and a second divergence would too
        return diverged

    def any(self, mask: Tensor) -> bool:
        return bool(mask.any())

    def check(self) -> None:
        pass  # the engine raises in `step`

    def snapshot(self, sim: int) -> tuple[mujoco.MjModel, mujoco.MjData]:
        model, data = self._batch.get_model(sim), self._batch.get_data(sim)
        mujoco.mj_forward(model, data)
        return model, data

    def close(self) -> None:
        self._states.clear()


def _ids(mask: Tensor) -> np.ndarray:
    return np.flatnonzero(mask.numpy())


def _view(array: np.ndarray) -> Tensor:
    """A tensor over a read-only array, for reading alone: torch has no read-only tensors and warns."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable", category=UserWarning)
        return torch.from_numpy(array)
