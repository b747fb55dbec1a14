"""Loads code of the user's own from the file or the module that holds it."""

import ast
import hashlib
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec, PathFinder
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from limbshift.envs.errors import InputError

NOT_OWN = ("limbshift", *sys.stdlib_module_names)
"""Modules that are never the user's, whatever their files are called."""
SUFFIXES = (".py", Path(EXTENSION_SUFFIXES[-1]).suffix)
"""Of files that Python imports."""


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
    return Path(place).resolve().parent if place.endswith(".py") else Path.cwd()


def files_of(place: str) -> dict[str, bytes]:
    """Returns what is to be had in another folder for the code to run there: contents by path below its own.

    These are the file and all that it imports from its folder, wherever in it an import stands; and theirs. What is
    installed is not among them.
    """
    folder = folder_of(place)
    todo = [Path(place).resolve()] if place.endswith(".py") else list(_named(place, folder))
    found: dict[Path, bytes] = {}
    while todo:
        path = todo.pop()
        if path not in found and path.is_relative_to(folder):
            found[path] = path.read_bytes()
            todo += _imported(path, found[path], folder)
    return {str(path.relative_to(folder)): found[path] for path in sorted(found)}


def _imported(path: Path, source: bytes, folder: Path) -> Iterator[Path]:
    """Yields the files of the folder that a file's imports name, wherever in it they stand."""
    tree = ast.Module([], [])
    with suppress(SyntaxError):  # which is told where it is run
        tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _named(alias.name, folder)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:  # a module, or what one defines
                name = ".".join(filter(None, (node.module, alias.name)))
                above = [folder, *path.parents][: node.level + 1][-1]
                yield from _below(above, name) if node.level else _named(name, folder)


def _named(module: str, folder: Path) -> Iterator[Path]:
    """Yields the files that an absolute import reads of a folder."""
    return iter(()) if module.partition(".")[0] in NOT_OWN else _below(folder, module)


def _below(folder: Path, module: str) -> Iterator[Path]:
    """Yields what Python reads below a folder to import a module: those of the packages on the way, and its own."""
    path = folder
    for part in module.split("."):
        path /= part
        yield from filter(Path.is_file, (path / "__init__.py", path.with_suffix(".py")))


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
    beside = {path.name.partition(".")[0] for path in folder.iterdir() if path.is_dir() or path.suffix in SUFFIXES}
    forgotten = {name for name in beside - {*NOT_OWN, "__main__"} if _is_own(sys.modules.get(name), folder, anew=anew)}
    for name in list(sys.modules):
        if name.partition(".")[0] in forgotten:
            del sys.modules[name]


def _is_own(module: ModuleType | None, folder: Path, *, anew: bool) -> bool:
    """Returns whether a module, or a package, is the user's and not the folder's, or is to be read anew."""
    place = _source(module)
    installed = {"site-packages", "dist-packages"} & set(place.parts)
    return place != Path(os.devnull) and not installed and (anew or not place.is_relative_to(folder))


def _source(module: ModuleType | None) -> Path:
    """Returns the file of a module, or the folder of a package without one; of another, what no file is called."""
    content = vars(module) if module else {}
    return Path(content.get("__file__") or next(iter(content.get("__path__", ())), os.devnull))


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
