"""Where the network lives, and what simulates."""

from typing import NamedTuple, get_args

import torch

from limbshift.envs.errors import InputError
from limbshift.envs.given import choice
from limbshift.envs.physics import EngineName
from limbshift.envs.physics.cores import available_cores
from limbshift.envs.physics.engine import Engine
from limbshift.experiments.configs import Device


class Threads(NamedTuple):
    """How many threads do what."""

    simulating: int
    learning: int


def choose_threads(threads: int | None, *, overlap: bool) -> Threads:
    """Returns the threads asked for, by default as many as there are cores, by what they do.

    Where trials are collected while others are learnt from, half of them simulate: learning takes longer, and all of
    them share its work when the trials are there.

    >>> choose_threads(8, overlap=True), choose_threads(8, overlap=False)
    (Threads(simulating=4, learning=8), Threads(simulating=8, learning=8))
    """
    available = threads or len(available_cores())
    return Threads(max(1, available // 2) if overlap else available, available)


def choose_device(device: Device) -> torch.device:
    """Returns the device asked for; auto is the GPU where there is one."""
    choice("device", device, get_args(Device))
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise InputError("device is cuda, expected cpu: this machine's PyTorch sees no CUDA device")
    return torch.device("cuda" if available and device != "cpu" else "cpu")


def choose_engine(physics: EngineName, device: torch.device, num_threads: int | None = None) -> Engine:
    """Returns the simulator asked for; MuJoCo Warp runs where the network lives, MuJoCo on so many threads."""
    choice("physics", physics, get_args(EngineName))
    return Engine(physics, device if physics == "warp" else torch.device("cpu"), num_threads)
