"""Many simulations of one robot, each with its own dynamics: what every engine offers."""

from typing import Any, Protocol, TypeAlias

import mujoco
import torch
from torch import Tensor

CONTACT_FORCES = "cfrc_ext"
"""(N, bodies, 6) torque and force of the contacts on each body, N m and N: MuJoCo computes it on demand alone."""
Array: TypeAlias = Any
"""An engine's native array, with which a control step computes: NumPy's on MuJoCo's own engine, else a tensor."""


class Physics(Protocol):
    """N simulations of one model, stepped together.

    Arrays have the simulations first, (N, ...). What `state` and `model_field` return is live: it
    changes with each call, and writing to it writes to the simulation. Simulations are picked by
    (N,) bool masks.
    """

    model: mujoco.MjModel
    """The unmodified robot; not to be written to."""
    num_sims: int
    device: torch.device
    dtype: torch.dtype
    nobody: Tensor
    """(N,) False, read-only: what `step` returns where it is known, without waiting for a GPU, that none diverged."""

    def state(self, name: str) -> Tensor:
        """Returns a live, writable state field, as named in MjData: (N, nq) qpos, (N, nv) qvel, (N, nu) ctrl, ..."""
        ...

    def computed_field(self, name: str) -> Tensor:
        """Returns a live, read-only field that MuJoCo computes, such as (N, nbody, 3) xpos; named at construction.

        After `step` it is one substep behind the state, as in Gymnasium's robots.
        """
        ...

    def model_field(self, name: str) -> Tensor:
        """Returns a live, writable model field, such as (N, nbody) body_mass or (N, 3) opt.gravity.

        Named at construction.
        """
        ...

    def nominal(self, name: str) -> Tensor:
        """Returns the model field's values on the unmodified robot, without the simulations' axis."""
        ...

    def recompute_constants(self, mask: Tensor) -> None:
        """Recomputes what MuJoCo derives from the model fields, after writing to them."""
        ...

    def reset(self, mask: Tensor) -> None:
        """Puts simulations into the model's default state."""
        ...

    def forward(self, mask: Tensor) -> None:
        """Computes the fields of a state that was written."""
        ...

    def step(self, nstep: int) -> Tensor:
        """Advances by nstep substeps; returns (N,) bool, read-only: whose simulation diverged and was reset."""
        ...

    def any(self, mask: Tensor) -> bool:
        """Returns whether the mask may pick a simulation: True, unseen, where to look would be to wait for a GPU."""
        ...

    def check(self) -> None:
        """Raises CapacityError where steps so far were wrong and could not say so without waiting for a GPU."""
        ...

    def snapshot(self, sim: int) -> tuple[mujoco.MjModel, mujoco.MjData]:
        """Returns a copy of one simulation, for rendering."""
        ...

    def close(self) -> None:
        """Gives up the views of what the simulations hold; their memory and threads end with the object."""
        ...
