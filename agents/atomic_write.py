"""Files are replaced whole, or not at all."""

import os
import re
import secrets
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from limbshift.envs.errors import InputError
from limbshift.envs.schema import shortened

MAX_NAME_BYTES = 200
"""Of a file's name: most systems take 255, and temporary files beside it have longer names."""

_UNNAMEABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
"""Control characters, and how Python shows bytes that are no UTF-8: no message or JSON file could name such a path."""
_TEMPORARY = re.compile(r"\..+-[0-9a-f]{16}(\.\w+)?")
"""The names that `replacing` gives to files that are being written."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`, of the same suffix, that takes its place when the block succeeds.

    As with `open`, a new file has the mode that the umask leaves, and one that is replaced keeps its own.

    Missing folders are made. Where the block fails, what was at `path` stays as it is. When the new file is there, it
    is on the disk: neither a killed process nor a failing power supply leaves half of it.

    >>> folder = Path(tempfile.mkdtemp())
    >>> with replacing(folder / "result.txt") as temporary:
    ...     _ = temporary.write_text("whole")
    >>> [path.name for path in folder.iterdir()]
    ['result.txt']
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}-{secrets.token_hex(8)}{path.suffix}")
    try:  # from here on: a signal may come as soon as the file is there
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))  # less what the umask takes
        mode = stat.S_IMODE((path if path.exists() else temporary).stat().st_mode)
        yield temporary
        temporary.chmod(mode)  # some libraries put a file of their own in this one's place
        flush_to_disk(temporary)
        temporary.replace(path)
        flush_to_disk(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def flush_to_disk(path: Path) -> None:
    """Waits until what was written to a file, or what was named in a folder, would outlast a loss of power."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_leftovers(folder: Path) -> None:
    """Removes what `replacing` left in a folder where its process was killed; for a folder that nobody writes to.

    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / f".result-{'0' * 16}.txt").touch()
    >>> (folder / ".result.txt").touch()
    >>> remove_leftovers(folder)
    >>> [path.name for path in folder.iterdir()]
    ['.result.txt']
    """
    for path in folder.iterdir():
        if _TEMPORARY.fullmatch(path.name) and path.is_file():
            path.unlink()


def check_writable(path: Path) -> None:
    """Raises InputError where `replacing` could not write; to be called before long work."""
    check_names(path)
    try:
        if path.is_dir():
            raise InputError(f"{path} is a directory, expected a file's path")
        if path.exists() and not path.is_file():
            raise InputError(f"{path} is no regular file, expected a path that can be replaced")
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}, expected a path that can be") from error


def check_names(path: Path) -> None:
    """Raises InputError where a part of a path is no name that a file system takes."""
    for part in path.parts:
        if len(os.fsencode(part)) > MAX_NAME_BYTES:
            raise InputError(f"{part[:20]}… is a name of {len(part)} letters, expected at most {MAX_NAME_BYTES}")
        if _UNNAMEABLE.search(part):
            raise InputError(f"{shortened(part)} holds control characters, or bytes that are no UTF-8, expected a path")
