"""Reads .safetensors files of anyone's: what does not hold together is refused before any memory is taken for it."""

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from limbshift.envs.errors import ControllerError, InputError

MAX_HEADER_BYTES = 2**20
"""Of the JSON at a file's beginning; a controller's has some 3,000."""
MAX_FILE_BYTES = 2**30


def read_tensors(
    path: Path, what: str = "controller", error: type[InputError] = ControllerError
) -> tuple[dict[str, Tensor], Mapping[str, str]]:
    """Returns the tensors and the metadata of a .safetensors file.

    what, error: what the file is to hold, and what is raised, in one line, where it is none of those.
    """
    if not path.is_file():
        raise error(f"no {what} at {path}, expected a .safetensors file")
    try:
        check_size(path)
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError, ValueError) as reason:
        raise error(f"{path} is truncated or no .safetensors file: {reason}") from reason


def check_size(path: Path) -> None:
    """Raises ValueError where a file, or what it says of its header, is larger than any of ours."""
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise ValueError(f"it has {size:,} bytes, expected at most {MAX_FILE_BYTES:,}")
    with path.open("rb") as file:
        header = int.from_bytes(file.read(8), "little")
    if header > min(MAX_HEADER_BYTES, size):
        raise ValueError(f"its header would have {header:,} bytes")
