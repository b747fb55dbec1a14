"""The choice of a simulator."""

from collections.abc import Sequence
from typing import NamedTuple, get_args

import mujoco
import torch

from limbshift.envs.errors import InputError
from limbshift.envs.given import choice
from limbshift.envs.physics import EngineName
from limbshift.envs.physics.mujoco_batch import MujocoPhysics
from limbshift.envs.physics.protocol import Physics


class Engine(NamedTuple):
    """What simulations run on.

    >>> from limbshift.envs.robots.half_cheetah import HalfCheetah
    >>> physics = Engine().simulate(HalfCheetah().model, 4)
    >>> physics.state("qpos").shape
    torch.Size([4, 9])
    """

    name: EngineName = "mujoco"
    """MuJoCo on CPU threads, or MuJoCo Warp."""
    device: torch.device = torch.device("cpu")
    """Of MuJoCo Warp; the other is on the CPU."""
    num_threads: int | None = None
    """Of MuJoCo; by default as many as there are cores."""

    def simulate(
        self,
        model: mujoco.MjModel,
        num_sims: int,
        model_fields: Sequence[str] = (),
        *,
        computed_fields: Sequence[str] = (),
    ) -> Physics:
        """Returns N simulations of a model, of which the named fields can be written to or read.

        Raises InputError where MuJoCo Warp is missing or cannot run the model.
        """
        if choice("physics", self.name, get_args(EngineName)) == "mujoco":
            return MujocoPhysics(
                model, num_sims, model_fields, computed_fields=computed_fields, num_threads=self.num_threads
            )
        try:
            from limbshift.envs.physics.warp import WarpPhysics  # an optional extra, and slow to import
        except ImportError as error:
            raise InputError(
                f"physics is warp, but {error.name} is not installed: pip install '.[gpu]', or take mujoco"
            ) from error
        return WarpPhysics(model, num_sims, model_fields, computed_fields=computed_fields, device=self.device)


def chosen_engine(physics: str, device: str | torch.device = "auto") -> Engine:
    """Returns the engine by its name, on a device: the one that is there, for "auto".

    Raises InputError for a device that the engine cannot use, or that is not there.

    >>> chosen_engine("mujoco").device
    device(type='cpu')
    """
    name = choice("physics", physics, get_args(EngineName))
    found = torch.cuda.device_count()
    if isinstance(device, str) and device == "auto":
        return Engine(name, torch.device("cuda" if name == "warp" and found else "cpu"))
    try:
        on = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise InputError(f"device is {device!r}, expected auto, cpu or cuda") from error
    if on.type not in ("cpu", "cuda") or (on.type == "cuda" and (on.index or 0) >= found):
        raise InputError(f"device is {on}, expected cpu, or one of the {found} CUDA devices that PyTorch sees")
    if name == "mujoco" and on.type != "cpu":
        raise InputError(f"device is {on} with physics mujoco, expected cpu, or physics warp")
    return Engine(name, on)


CPU = Engine()
