"""Time, as a device has it, and where that of meta-training goes."""

import time
from collections.abc import Sequence

import torch

from limbshift.meta.rl2.iteration import Iteration


def wait_for(device: torch.device) -> None:
    """Waits until a GPU has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def now(device: torch.device) -> float:
    """Returns seconds, when a device has done all that it was given."""
    wait_for(device)
    return time.perf_counter()


def shares_of(iterations: Sequence[Iteration]) -> dict[str, float]:
    """Returns the parts of the time of iterations in which one thing was done after the other."""
    total = sum(iteration.seconds for iteration in iterations)
    return {
        "physics": sum(iteration.env_seconds for iteration in iterations) / total,
        "policy": sum(iteration.policy_seconds for iteration in iterations) / total,
        "update": sum(iteration.update_seconds for iteration in iterations) / total,
    }
