"""Copies between the env's device and the network's, through page-locked memory where those differ."""

import torch
from torch import Tensor


class RowWriter:
    """Writes rows of a tensor, (T, N, ...), that may come from another device: then without waiting for the copy."""

    def __init__(self, target: Tensor, source: torch.device) -> None:
        self._target = target
        self._staged = None if source == target.device else _page_locked(target)

    def write(self, t: int, row: Tensor) -> None:
        """Copies (N, ...) into row t, in the target's dtype."""
        if self._staged is None:
            self._target[t] = row
        else:  # each row has its own place, so that none is written to before it has left
            self._staged[t] = row
            self._target[t].copy_(self._staged[t], non_blocking=True)


class HostFetch:
    """Brings tensors of one shape to another device, and waits until they are there: the env is to read them."""

    def __init__(self, like: Tensor, to: torch.device) -> None:
        self._arrived = None if to == like.device else _page_locked(like)

    def __call__(self, tensor: Tensor) -> Tensor:
        if self._arrived is None:
            return tensor
        self._arrived.copy_(tensor, non_blocking=True)
        torch.cuda.current_stream(tensor.device).synchronize()
        return self._arrived


def _page_locked(like: Tensor) -> Tensor:
    return torch.empty_like(like, device="cpu", pin_memory=True)
