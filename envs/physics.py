"""Many simulations of one robot, each with its own dynamics: the interface, MuJoCo's CPU engine, and the choice."""

import logging
import os
import warnings
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import mujoco
import numpy as np
import torch
from mujoco.batch import Batch
from mujoco.batch import SimulationError as SimulationError
from torch import Tensor

from envs.errors import InputError


class CapacityError(RuntimeError):
    """More contacts or constraints than a simulator on a GPU has room for: what it computed is wrong."""


class Physics(Protocol):
    """N simulations of one model, stepped together.

    Arrays have the simulations first, (N, ...). What `state` and `parameter` return is live: it
    changes with each call, and writing to it writes to the simulation. Simulations are picked by
    (N,) bool masks.
    """

    model: mujoco.MjModel
    """The unmodified robot; not to be written to."""
    num_sims: int
    device: torch.device
    dtype: torch.dtype
    timestep: float
    """Seconds of one substep."""

    def state(self, name: str) -> Tensor:
        """A live, writable state field, as named in MjData: qpos, qvel, ctrl, ..."""
        ...

    def derived(self, name: str) -> Tensor:
        """A live, read-only field that MuJoCo computes, such as xpos; named at construction.

        After `step` it is one substep behind the state, as in Gymnasium's robots.
        """
        ...

    def parameter(self, name: str) -> Tensor:
        """A live, writable model field, such as body_mass or opt.gravity, with a value for each simulation.

        Named at construction.
        """
        ...

    def nominal(self, name: str) -> Tensor:
        """The model field's values on the unmodified robot, without the simulations' axis."""
        ...

    def commit(self, mask: Tensor) -> None:
        """Recompute what MuJoCo derives from the parameters, after writing to them."""
        ...

    def reset(self, mask: Tensor) -> None:
        """Put simulations into the model's default state."""
        ...

    def forward(self, mask: Tensor) -> None:
        """Compute the derived fields of a state that was written."""
        ...

    def step(self, nstep: int) -> Tensor:
        """Advance by nstep substeps; (N,) bool, read-only, says whose simulation diverged and was reset."""
        ...

    def any(self, mask: Tensor) -> bool:
        """Whether the mask may pick a simulation: True, unseen, where to look would be to wait for a GPU."""
        ...

    def check(self) -> None:
        """CapacityError where steps so far were wrong and could not say so without waiting for a GPU."""
        ...

    def snapshot(self, sim: int) -> tuple[mujoco.MjModel, mujoco.MjData]:
        """A copy of one simulation, for rendering."""
        ...

    def close(self) -> None: ...


_log = logging.getLogger(__name__)


class _Messages:
    """MuJoCo's warnings: out of its log file, and all but the expected into Python's `logging`.

    Not into `warnings`: where those are errors, one raised inside MuJoCo would abort the process.
    """

    def __init__(self) -> None:
        self.expected: str | None = None
        if mujoco.get_mju_user_warning() is None:
            mujoco.set_mju_user_warning(self)

    def __call__(self, message: str) -> None:
        if self.expected is None or self.expected not in message:
            _log.warning("MuJoCo: %s", message.strip())

    def expecting(self, text: str) -> "_Messages":
        """A context in which messages that contain the text are dropped."""
        self.expected = text
        return self

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        self.expected = None


_MESSAGES = _Messages()
# A handler is one for the whole process, and to change it at each step would cost more than to keep it.


def load_model(xml: Path) -> mujoco.MjModel:
    """The model of an MJCF file."""
    # Gymnasium's robots still use a deprecated attribute, of which MuJoCo warns in two ways.
    with _MESSAGES.expecting("settotalmass"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*settotalmass", category=UserWarning)
        spec = mujoco.MjSpec.from_file(str(xml))
        give_sky(spec)
        return spec.compile()


def give_sky(spec: mujoco.MjSpec) -> None:
    """Add a sky, which videos show, where a model has none."""
    if not any(texture.type == mujoco.mjtTexture.mjTEXTURE_SKYBOX for texture in spec.textures):
        spec.add_texture(
            name="sky",
            type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
            builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
            width=100,
            height=600,
        )


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
        parameters: Sequence[str] = (),
        derived: Sequence[str] = (),
        num_threads: int | None = None,
    ) -> None:
        self.model = model
        self.num_sims = num_sims
        self.timestep = float(model.opt.timestep)
        self.num_threads = min(num_threads or len(os.sched_getaffinity(0)), num_sims)
        self._batch = Batch(model, num_sims, self.num_threads)
        self._states: dict[str, Tensor] = {}
        self._parameters = {name: torch.from_numpy(self._batch.expand(name)) for name in parameters}
        self._nominal = {name: torch.tensor(np.asarray(attrgetter(name)(model))) for name in parameters}
        self._none = torch.zeros(num_sims, dtype=torch.bool)
        self._divergences = self._batch.warning[:, _DIVERGENCE, 1]  # live: (N, kinds) numbers of warnings
        self._derived = {name: _view(self._batch.bind(name)) for name in derived}

    def state(self, name: str) -> Tensor:
        if name not in self._states:
            self._states[name] = torch.from_numpy(self._batch.bind(name))
        return self._states[name]

    def derived(self, name: str) -> Tensor:
        return self._derived[name]

    def parameter(self, name: str) -> Tensor:
        return self._parameters[name]

    def nominal(self, name: str) -> Tensor:
        return self._nominal[name]

    def commit(self, mask: Tensor) -> None:
        self._batch.set_const(_ids(mask))

    def reset(self, mask: Tensor) -> None:
        self._batch.reset(_ids(mask), stage=mujoco.mjtStage.mjSTAGE_NONE)

    def forward(self, mask: Tensor) -> None:
        self._batch.forward(_ids(mask))

    def step(self, nstep: int) -> Tensor:
        with _MESSAGES.expecting("The simulation is unstable"):
            self._batch.step(nstep=nstep)
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


EngineName = Literal["mujoco", "warp"]


class Engine(NamedTuple):
    """What simulations run on."""

    name: EngineName = "mujoco"
    """MuJoCo on CPU threads, or MuJoCo Warp."""
    device: torch.device = torch.device("cpu")
    """Of MuJoCo Warp; the other is on the CPU."""
    num_threads: int | None = None
    """Of MuJoCo; by default as many as there are cores."""

    def simulate(
        self, model: mujoco.MjModel, num_sims: int, parameters: Sequence[str] = (), derived: Sequence[str] = ()
    ) -> Physics:
        """Simulations of a model; InputError where MuJoCo Warp is missing or cannot run it."""
        if self.name == "mujoco":
            return MujocoPhysics(model, num_sims, parameters, derived, self.num_threads)
        try:
            from envs.warp_physics import WarpPhysics  # an optional extra, and slow to import
        except ImportError as error:
            raise InputError(
                f"physics is warp, but {error.name} is not installed: pip install 'limbshift[gpu]', or take mujoco"
            ) from error
        return WarpPhysics(model, num_sims, parameters, derived, self.device)


CPU = Engine()
