"""Time, as a device has it."""

import time

import torch


def wait_for(device: torch.device) -> None:
    """Waits until a GPU has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def now(device: torch.device) -> float:
    """Returns seconds, when a device has done all that it was given."""
    wait_for(device)
    return time.perf_counter()
