"""Training states in files: tensors, numbers and containers of them, nothing that could be executed.

A file begins with a line that says what it is: the format, the SHA-256 of all that follows, and as JSON its version,
the env steps and the settings that the training was begun with. The rest is what `torch.save` writes.
"""

import hashlib
import json
import os
import re
import shutil
import zipfile
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from limbshift.agents.atomic_write import replacing
from limbshift.envs.errors import InputError

FORMAT = b"limbshift-checkpoint "
VERSION = 2
"""Files of version 1 have no first line; they are read too."""
KEPT = 3
"""So many of the newest checkpoints of a training are kept."""
MAX_BYTES = 2**30
"""Of a file, unless the caller knows better."""
_ZIP = b"PK"


class CheckpointError(InputError):
    """A file that does not hold a training's state, or holds that of another training."""


def save_checkpoint(
    path: Path, state: Mapping[str, Any], *, steps: int = 0, settings: Mapping[str, str] | None = None
) -> None:
    """Replaces the file by a training's state, which is on the disk when this returns."""
    content = BytesIO()
    torch.save(dict(state), content)
    about = {"version": VERSION, "steps": steps, "settings": dict(settings or {})}
    kept = json.dumps(about).encode() + b"\n" + content.getbuffer()
    with replacing(path) as temporary:
        temporary.write_bytes(FORMAT + hashlib.sha256(kept).hexdigest().encode() + b" " + kept)


def load_checkpoint(
    path: Path, *, settings: Mapping[str, str] | None = None, max_bytes: int = MAX_BYTES
) -> dict[str, Any]:
    """Returns a training's state; nothing in the file is executed, and CheckpointError says where it is broken.

    settings: those that the training must have been begun with, by name; what either side does not know may be any.
    max_bytes: how large a file is looked at.

    >>> from tempfile import mkdtemp
    >>> path = Path(mkdtemp()) / "checkpoint.pt"
    >>> save_checkpoint(path, {"weights": torch.ones(2), "steps": 3})
    >>> load_checkpoint(path)
    {'weights': tensor([1., 1.]), 'steps': 3}
    """
    try:
        _check_size(path.stat().st_size, max_bytes)
        about, content = _parts(path.read_bytes())
        _check_size(sum(entry.file_size for entry in zipfile.ZipFile(BytesIO(content)).infolist()), max_bytes)
        state = torch.load(BytesIO(content), map_location="cpu", weights_only=True)
        if not isinstance(state, dict):
            raise InputError(f"it holds a {type(state).__name__}, not a dict")
    except Exception as error:  # torch names no type for a broken file: zip, pickle and OS errors all occur
        reason = (
            next(iter(str(error).splitlines()), type(error).__name__).partition("This file can still be")[0].strip()
        )
        raise CheckpointError(f"{path} is broken, expected what a training saved: {reason}") from error
    _check_settings(about.get("settings"), settings or {}, path)
    return state


class Checkpoints:
    """The states of one training, in one folder: the newest, those before it, and the best on validation tasks.

    The newest is at the path that is given, `checkpoint.pt`. Each also has its env steps for a name,
    `checkpoint-6400.pt`, of which the last three are kept; `checkpoint-best.pt` is the best.

    >>> from tempfile import mkdtemp
    >>> folder = Path(mkdtemp())
    >>> checkpoints = Checkpoints(folder / "checkpoint.pt")
    >>> for steps in (10, 20, 30, 40):
    ...     checkpoints.save({"steps": steps}, steps, best=steps == 20)
    >>> sorted(path.stem for path in folder.iterdir())
    ['checkpoint', 'checkpoint-20', 'checkpoint-30', 'checkpoint-40', 'checkpoint-best']
    >>> checkpoints.load()
    {'steps': 40}
    """

    def __init__(self, newest: Path, settings: Mapping[str, str] | None = None, *, max_bytes: int = MAX_BYTES) -> None:
        """settings: those that the training is begun with, by name. max_bytes: how large a file can be."""
        self.newest = newest
        self.best = newest.with_stem(f"{newest.stem}-best")
        self._settings = settings
        self._max_bytes = max_bytes

    def save(self, state: Mapping[str, Any], steps: int, *, best: bool = False) -> None:
        """Adds the state after so many env steps, and removes those that are not kept."""
        path = self._at(steps)
        save_checkpoint(path, state, steps=steps, settings=self._settings)
        for name in (self.newest, *((self.best,) if best else ())):
            _give_name(path, name)
        numbered = self._numbered()
        kept = sorted(number for number in numbered if number <= steps)[-KEPT:]
        for number in numbered.keys() - set(kept):  # later ones are of a future that a resumed training has left
            numbered[number].unlink()

    def load(
        self,
        check: Callable[[dict[str, Any]], object] = lambda state: None,
        warn: Callable[[str], object] = lambda text: None,
    ) -> dict[str, Any]:
        """Returns the newest state that is sound.

        check: raises InputError for a state that the training cannot go on from. warn: is told, in
        one line, of a newer one that is damaged. Raises CheckpointError, of the newest, where none is sound.
        """
        failures: list[CheckpointError] = []
        for path in self._newest_first():
            try:
                state = load_checkpoint(path, settings=self._settings, max_bytes=self._max_bytes)
                _checked(check, state, path)
            except CheckpointError as error:
                failures.append(error)
                continue
            if failures:
                warn(f"{failures[0]}. Going on from {path.name}.")
            return state
        raise failures[0] if failures else CheckpointError(f"no checkpoint at {self.newest}, expected one")

    def last_good(self) -> Path | None:
        """Returns the newest file that is whole; None where there is none."""
        for path in self._newest_first():
            try:
                load_checkpoint(path, max_bytes=self._max_bytes)
            except CheckpointError:
                continue
            return path
        return None

    def _at(self, steps: int) -> Path:
        return self.newest.with_stem(f"{self.newest.stem}-{steps}")

    def _numbered(self) -> dict[int, Path]:
        """Returns the files by their env steps."""
        name = re.compile(rf"{self.newest.stem}-(\d+)\{self.newest.suffix}")
        found = ((name.fullmatch(path.name), path) for path in self.newest.parent.iterdir())
        return {int(match[1]): path for match, path in found if match}

    def _newest_first(self) -> list[Path]:
        numbered = self._numbered()
        paths = [numbered[steps] for steps in sorted(numbered, reverse=True)]
        if not self.newest.is_file():
            return paths
        return [self.newest, *(path for path in paths if not path.samefile(self.newest))]


def _checked(check: Callable[[dict[str, Any]], object], state: dict[str, Any], path: Path) -> None:
    try:
        check(state)
    except InputError as error:
        raise CheckpointError(f"{path} cannot be gone on from: {error}") from error


def _parts(raw: bytes) -> tuple[dict[str, Any], bytes]:
    """Returns what the first line tells, and the rest, which is checked against it."""
    if raw.startswith(_ZIP):
        return {}, raw
    if not raw.startswith(FORMAT):
        raise InputError(f"it begins with {raw[:12]!r}, not with {FORMAT.decode().strip()}")
    checksum, _, kept = raw[len(FORMAT) :].partition(b" ")
    if checksum != hashlib.sha256(kept).hexdigest().encode():
        raise InputError("its content is not that of which its checksum was taken")
    line, _, content = kept.partition(b"\n")
    about = json.loads(line)
    if not isinstance(about, dict) or about.get("version") != VERSION:
        found = about.get("version") if isinstance(about, dict) else about
        raise InputError(f"its version is {str(found)[:20]}, not {VERSION} or 1")
    return about, content


def _check_settings(begun_with: object, settings: Mapping[str, str], path: Path) -> None:
    """Raises CheckpointError where a training was begun with other settings, of those that both sides know."""
    for name, value in begun_with.items() if isinstance(begun_with, dict) else ():
        if name in settings and settings[name] != value:
            found = f"{path} is of a training whose {name} is {str(value)[:60]}"
            raise CheckpointError(f"{found}, expected {settings[name]} as in its directory")


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise InputError(f"it has {size:,} bytes, and can have {max_bytes:,}")


def _give_name(path: Path, name: Path) -> None:
    """Makes a file known by another name too; where the file system knows no hard links, as a copy."""
    with replacing(name) as temporary:
        temporary.unlink()
        try:
            os.link(path, temporary)
        except OSError:
            shutil.copyfile(path, temporary)
