"""Finds controllers: in run directories, in files, and among those shipped with the package."""

import difflib
from pathlib import Path

from agents.controller import Controller, ControllerError
from meta.checkpoint import CONTROLLER

SHIPPED = Path(__file__).parent / "controllers"


def shipped_names() -> list[str]:
    """Names of the controllers that come with the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.safetensors"))


def find_controller(name: str | Path) -> Path:
    """The file of a run directory, a path or a shipped name; a path that exists wins."""
    path = Path(name)
    if path.is_dir():
        return path / CONTROLLER
    if path.exists() or path.suffix or len(path.parts) > 1:
        return path
    names = shipped_names()
    if str(name) in names:
        return SHIPPED / f"{name}.safetensors"
    nearest = difflib.get_close_matches(str(name), names, n=1, cutoff=0.3)
    hint = f"did you mean {nearest[0]}?" if nearest else f"shipped are {', '.join(names) or 'none'}"
    raise ControllerError(
        f"unknown controller {str(name)!r}, expected a run directory, a file or a shipped name: {hint}"
    )


def load_controller(name: str | Path) -> Controller:
    """A controller by run directory, file or shipped name."""
    return Controller.load(find_controller(name))
