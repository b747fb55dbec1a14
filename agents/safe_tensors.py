"""Reads .safetensors files of anyone's: what does not hold together is refused before any memory is taken for it."""

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from limbshift.agents.errors import ControllerError

MAX_HEADER_BYTES = 2**20
"""Of the JSON at a file's beginning; a controller's has some 3,000."""
MAX_FILE_BYTES = 2**30


def read_tensors(path: Path) -> tuple[dict[str, Tensor], Mapping[str, str]]:
    """Returns the tensors and the metadata of a .safetensors file; ControllerError says what is wrong with it."""
    if not path.is_file():
        raise ControllerError(f"no controller at {path}, expected a .safetensors file")
    try:
        _check_size(path)
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError) as error:
        raise ControllerError(f"{path} is truncated or no .safetensors file: {error}") from error


def _check_size(path: Path) -> None:
    """Raises ControllerError where a file, or what it says of its header, is larger than any controller's."""
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise ControllerError(f"{path} has {size:,} bytes, expected at most {MAX_FILE_BYTES:,}")
    with path.open("rb") as file:
        header = int.from_bytes(file.read(8), "little")
    if header > min(MAX_HEADER_BYTES, size):
        raise ControllerError(f"{path} is truncated or no .safetensors file: its header would have {header:,} bytes")
