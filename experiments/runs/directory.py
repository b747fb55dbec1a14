"""A run's directory: what is in it, who may write to it, and how its JSON is read."""

import errno
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from limbshift.agents.atomic_write import check_names, remove_leftovers, replacing
from limbshift.envs.errors import InputError, RunFailure
from limbshift.envs.schema import shortened

CONFIG = "config.json"
CHECKPOINT = "checkpoint.pt"
CONTROLLER = "controller.safetensors"
ROBOT = "robot.zip"
"""The MJCF file of a robot of the user's own with its meshes and textures, beside the controller."""
COMPILED_ROBOT = "robot.mjb"
"""What older runs hold in its place: the model as one version of MuJoCo compiled it."""
TEACHER = "teacher.safetensors"
"""The controller that the run's imitates."""
VIDEO = "adaptation.mp4"
_LOCK = ".lock"
MAX_JSON_BYTES = 2**26
_DISK_TROUBLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)


class RunError(InputError):
    """A run directory that cannot be used as asked."""


class DiskError(RunFailure):
    """A disk that is full or takes nothing for another reason."""


@contextmanager
def telling_of_the_disk(what: str) -> Iterator[None]:
    """Turns what an OSError says of a full or broken disk into one line: that `what` could not be written."""
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK_TROUBLE:
            raise
        raise DiskError(f"{what} could not be written: {error.strerror}") from error


@contextmanager
def open_run(path: Path, resume: bool) -> Iterator[Path]:
    """Holds a run directory: a new or empty one, or with resume one in which a run was begun."""
    check_names(path)
    if resume:
        require_run(path)
    if path.exists() and not path.is_dir():
        raise RunError(f"run directory {path} is a file, expected a directory")
    if not resume and path.is_dir() and any(entry.name != _LOCK for entry in path.iterdir()):
        raise RunError(f"run directory {path} is not empty, expected a new one, or --resume to go on with it")
    made = not path.exists()
    with locked(path):
        if resume:
            remove_leftovers(path)
        try:
            with telling_of_the_disk(f"a file in {path}"):
                yield path
        except InputError:  # what is refused before anything is begun leaves nothing behind
            if made and [entry.name for entry in path.iterdir()] == [_LOCK]:
                (path / _LOCK).unlink()
                path.rmdir()
            raise


def has_checkpoint(path: Path) -> bool:
    """Returns whether a run has come to its first checkpoint."""
    return any(path.glob(f"{Path(CHECKPOINT).stem}*{Path(CHECKPOINT).suffix}"))


def holds_run(path: Path) -> bool:
    """Returns whether a run was begun in a directory, which can be resumed."""
    return (path / CONFIG).exists()


def require_run(path: Path) -> None:
    """Raises RunError unless a run was begun in the directory."""
    if not holds_run(path):
        raise RunError(f"run directory {path} holds no {CONFIG}, expected that of a run to resume")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds a directory, which is made if there is none, against other processes."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        handle = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise RunError(f"directory {path} cannot be written to: {error.strerror}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise RunError(f"directory {path} is in use by another process, expected one that is free") from error
    else:
        yield
    finally:
        os.close(handle)


def write_json(path: Path, content: Mapping[str, Any], indent: int | None = 2) -> None:
    """Replaces a JSON file, which is on one line where indent is None; a NaN in it is an error of ours."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=indent, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Returns the JSON object in a file of ours; raises RunError where there is none, or one with NaN in it."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise RunError(f"{path} is no regular file, expected a JSON object")
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise RunError(f"{path} has {path.stat().st_size:,} bytes, expected at most {MAX_JSON_BYTES:,}")
        content = from_json(path.read_bytes(), allow_inf_nan=False)
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}, expected a JSON object") from error
    except ValueError as error:
        if isinstance(error, RunError):
            raise
        raise RunError(f"{path} is broken: {error}, expected a JSON object") from error
    if not isinstance(content, dict):
        raise RunError(f"{path} holds {shortened(content)}, expected a JSON object")
    return content


def robot_file(run: Path) -> Path:
    """Returns the file of a run's own robot, in the form in which it is there."""
    compiled = run / COMPILED_ROBOT
    return compiled if compiled.is_file() and not (run / ROBOT).is_file() else run / ROBOT


def make_directory(path: Path) -> Path:
    """Makes a directory of this name, numbered if it is taken, which no other process is given too.

    >>> from tempfile import mkdtemp
    >>> path = Path(mkdtemp()) / "demo"
    >>> [make_directory(path).name for _ in range(3)]
    ['demo', 'demo-2', 'demo-3']
    """
    candidate, number = path, 2
    while True:
        try:
            candidate.mkdir(parents=True)
        except FileExistsError:
            candidate = path.with_name(f"{path.name}-{number}")
            number += 1
        except OSError as error:
            raise RunError(f"run directory {candidate} cannot be written to: {error.strerror}") from error
        else:
            return candidate
