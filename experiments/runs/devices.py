"""Where the network lives, and what simulates."""

from typing import get_args

import torch

from limbshift.envs.errors import InputError
from limbshift.envs.given import choice
from limbshift.envs.physics import EngineName
from limbshift.envs.physics.engine import Engine
from limbshift.experiments.configs import Device


def choose_device(device: Device) -> torch.device:
    """Returns the device asked for; auto is the GPU where there is one."""
    choice("device", device, get_args(Device))
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise InputError("device is cuda, expected cpu: this machine's PyTorch sees no CUDA device")
    return torch.device("cuda" if available and device != "cpu" else "cpu")


def choose_engine(physics: EngineName, device: torch.device) -> Engine:
    """Returns the simulator asked for; MuJoCo Warp runs where the network lives."""
    choice("physics", physics, get_args(EngineName))
    return Engine(physics, device if physics == "warp" else torch.device("cpu"))
