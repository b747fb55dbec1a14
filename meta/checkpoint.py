"""Training states in files: tensors, numbers and containers of them, nothing that could be executed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from limbshift.agents.atomic_write import replacing
from limbshift.envs.errors import InputError


def save_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Replaces the file by a training's state."""
    with replacing(path) as temporary:
        torch.save(dict(state), temporary)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Returns a training's state; nothing in the file is executed, and InputError says where it is broken.

    >>> from tempfile import mkdtemp
    >>> path = Path(mkdtemp()) / "checkpoint.pt"
    >>> save_checkpoint(path, {"weights": torch.ones(2), "steps": 3})
    >>> load_checkpoint(path)
    {'weights': tensor([1., 1.]), 'steps': 3}
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch names no type for a broken file: zip, pickle and OS errors all occur
        reason = (
            next(iter(str(error).splitlines()), type(error).__name__).partition("This file can still be")[0].strip()
        )
        raise InputError(f"{path} is broken, expected what a training saved: {reason}") from error
    return state
