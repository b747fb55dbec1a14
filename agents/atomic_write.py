"""Files are replaced whole, or not at all."""

import os
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


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`, of the same suffix, that takes its place when the block succeeds.

    As with `open`, a new file has the mode that the umask leaves, and one that is replaced keeps its own.

    Missing folders are made. Where the block fails, what was at `path` stays as it is.

    >>> folder = Path(tempfile.mkdtemp())
    >>> with replacing(folder / "result.txt") as temporary:
    ...     _ = temporary.write_text("whole")
    >>> [path.name for path in folder.iterdir()]
    ['result.txt']
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}-{secrets.token_hex(8)}{path.suffix}")
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))  # less what the umask takes
    mode = stat.S_IMODE((path if path.exists() else temporary).stat().st_mode)
    try:
        yield temporary
        temporary.chmod(mode)  # some libraries put a file of their own in this one's place
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


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
        if "\0" in part:
            raise InputError(f"{shortened(part)} holds a null character, expected a path")
