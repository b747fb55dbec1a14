"""Training states in files: tensors, numbers and containers of them, nothing that could be executed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from limbshift.agents.atomic_write import replacing
from limbshift.envs.errors import InputError

CHECKPOINT = "checkpoint.pt"


def save_checkpoint(run: Path, state: Mapping[str, Any]) -> None:
    """Replace the run's checkpoint."""
    with replacing(run / CHECKPOINT) as temporary:
        torch.save(dict(state), temporary)


def load_checkpoint(run: Path) -> dict[str, Any]:
    """The run's checkpoint; nothing in it is executed."""
    try:
        state: dict[str, Any] = torch.load(run / CHECKPOINT, map_location="cpu", weights_only=True)
    except Exception as error:  # torch names no type for a broken file: zip, pickle and OS errors all occur
        raise InputError(f"{run / CHECKPOINT} is broken: {str(error).splitlines()[0]}") from error
    return state
