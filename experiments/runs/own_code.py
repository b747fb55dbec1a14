"""Loads code of the user's own from the file or the module that holds it."""

import hashlib
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import module_from_spec, spec_from_file_location
from modulefinder import ModuleFinder
from pathlib import Path
from types import ModuleType

from limbshift.envs.errors import InputError

NOT_OWN = ("limbshift", *sys.stdlib_module_names)
"""Modules that are never the user's, whatever their files are called."""


@dataclass(frozen=True)
class OwnCode:
    """How a reference to the user's code, `FILE.py:NAME` or `module:NAME`, is read; errors are one line each."""

    option: str
    """By which it is given."""
    kind: str
    """What it names, such as "Class"."""
    error: type[InputError]
    """What is raised where there is none, and where the file raises."""

    @property
    def expected(self) -> str:
        return f"expected FILE.py:{self.kind} or module:{self.kind}"

    def split(self, reference: str) -> tuple[str, str]:
        """Returns the file or module, and the name in it."""
        place, _, name = reference.rpartition(":")
        parts = [] if place.endswith(".py") else place.split(".")
        if not all(part.isidentifier() for part in (*parts, name)):
            raise self.error(f"{self.option} is {reference!r}, {self.expected}")
        return place, name

    def load(self, place: str) -> ModuleType:
        """Runs a file, or imports a module; its neighbours, or the working directory's, come first, as in Python."""
        path = Path(place)
        from_file = place.endswith(".py")
        if from_file and not path.is_file():
            raise self.error(f"{self.option} names {place}, which is not a file, {self.expected}")
        _forget_namesakes(folder_of(place), anew=from_file)
        try:
            with importing_beside(place):
                module = _run_file(path) if from_file else import_module(place)
        except ModuleNotFoundError as error:
            if not from_file and error.name in (place, place.partition(".")[0]):
                raise self.error(
                    f"{self.option} names the module {place}, which is not found, {self.expected}"
                ) from error
            raise self.failure(place, error) from error
        except (Exception, SystemExit) as error:  # whatever a user's file may raise
            raise self.failure(place, error) from error
        _loaded[str(_source(module))] = self, place
        return module

    def failure(self, place: str, error: BaseException) -> InputError:
        """Returns an error that tells what the user's code raised, and where."""
        file = place.partition(":")[0]
        file = file if file.endswith(".py") else f"{file.replace('.', '/')}.py"
        raised = traceback.TracebackException.from_exception(error)
        lines = [frame.lineno for frame in raised.stack if Path(frame.filename).match(file)]
        where = f" in line {lines[-1]}" if lines else ""
        said = next(iter(str(raised).splitlines()), "")
        return self.error(f"{place} raised {type(error).__name__}{where}{': ' if said else ''}{said}")


_loaded: dict[str, tuple[OwnCode, str]] = {}
"""By file, how code of the user's own was given, and where it is."""


def failure_of_own(error: Exception) -> InputError | None:
    """Returns what to tell of an error that code of the user's own raised, or made ours raise; None for another."""
    files = [frame.filename for frame in reversed(traceback.extract_tb(error.__traceback__))]
    code, place = next((_loaded[file] for file in files if file in _loaded), (None, ""))
    return code.failure(place, error) if code else None


def place_of(reference: str) -> str:
    """Returns the file or module of a reference that was checked.

    >>> place_of("robots/mine.py:Mine")
    'robots/mine.py'
    """
    return reference.rpartition(":")[0]


def folder_of(place: str) -> Path:
    """Returns the folder that a file, or a module, imports from first."""
    return Path(place).absolute().parent if place.endswith(".py") else Path.cwd()


def files_of(place: str) -> dict[str, bytes]:
    """Returns what is to be had in another folder for the code to run there: contents by path below its own.

    These are the file and all that it imports from its folder, wherever in it an import stands; and theirs. What is
    installed is not among them.
    """
    folder = folder_of(place)
    finder = ModuleFinder(path=[str(folder)], excludes=NOT_OWN)
    if place.endswith(".py"):
        finder.run_script(str(Path(place).absolute()))
    else:
        with suppress(ImportError):  # an installed one
            finder.import_hook(place)
    found = [Path(file) for module in finder.modules.values() if (file := vars(module)["__file__"])]
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(found)}


def code_hash(place: str) -> str:
    """Returns a few letters that tell loaded code from any other: of its file, and of all that it imports beside it."""
    files = files_of(place) or {place: _source(sys.modules[place]).read_bytes()}
    digest = hashlib.sha256()
    for name, content in files.items():
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


@contextmanager
def importing_beside(place: str) -> Iterator[None]:
    """Lets a file, or a module, import its neighbours for a while, as Python does for a script."""
    folder = str(folder_of(place))
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        with suppress(ValueError):  # the code may have removed it
            sys.path.remove(folder)


def leave_importable(place: str) -> None:
    """Lets code that is run later import the neighbours of a file, or a module, where nothing else is called so.

    What a family imports within its methods is thus found, and its folder is before nobody else's.
    """
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Beside)]
    sys.meta_path.append(_Beside(folder_of(place)))


class _Beside(MetaPathFinder):
    """Finds modules in the folder of the family that was loaded last."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Returns where a module lies that nobody else has found; None of what is within a package."""
        return PathFinder.find_spec(fullname, [str(self.folder)]) if path is None else None


def _forget_namesakes(folder: Path, *, anew: bool) -> None:
    """Forgets modules of the user's own that are called like one in the folder.

    Those of another folder, and those of this one too where they are to be read anew.
    """
    beside = {path.stem for path in folder.iterdir()}
    for name, module in list(sys.modules.items()):
        root, file = name.partition(".")[0], _source(module)
        installed = {"site-packages", "dist-packages"} & set(file.parts)
        own = not installed and root not in (*NOT_OWN, "__main__")
        if own and root in beside and (anew or not file.is_relative_to(folder)):
            del sys.modules[name]


def _source(module: ModuleType | None) -> Path:
    """Returns the file of a module; of one without, what no file is called."""
    return Path((vars(module).get("__file__") if module else None) or os.devnull)


def _run_file(path: Path) -> ModuleType:
    name = hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:8]
    spec = spec_from_file_location(f"limbshift_own_{path.stem}_{name}", path.absolute())
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[module.__name__] = module  # dataclasses look their module up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[module.__name__]
        raise
    return module
