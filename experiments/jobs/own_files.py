"""Takes the user's own task family, and methods, to machines that lack their files."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

Files = Mapping[str, bytes]
"""Contents by path below a folder."""


def files_of_own(reference: str) -> tuple[str, Files]:
    """Returns a reference to what is loaded, as it is in a folder of its own, and the files of that folder.

    reference: FILE.py:Class or module:Class, or of a function. The files are the modules that were imported from the
    folder of FILE.py, or from the working directory; what is installed must be so on each machine.
    """
    place, _, name = reference.rpartition(":")
    from_file = place.endswith(".py")
    folder = Path(place).absolute().parent if from_file else Path.cwd()
    files = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in map(source_of, list(sys.modules.values()))
        if path and path.is_relative_to(folder)
    }
    return f"{Path(place).name if from_file else place}:{name}", files


def source_of(module: ModuleType | None) -> Path | None:
    """Returns the file of a module that is the user's own: not Python's, nor ours, nor installed."""
    file = vars(module).get("__file__") if module else None
    if not file or not file.endswith(".py"):
        return None
    path = Path(file)
    root = vars(module)["__name__"].partition(".")[0]
    installed = {"site-packages", "dist-packages"} & set(path.parts)
    return None if installed or root in ("limbshift", "__main__", *sys.stdlib_module_names) else path.absolute()


@contextmanager
def in_folder(files: Files) -> Iterator[None]:
    """Makes a folder of these files the working directory for a while."""
    with TemporaryDirectory(prefix="limbshift-") as folder, chdir(folder):
        for name, content in files.items():
            path = Path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        yield
