"""Loads a task family of the user's own from the file or the module that defines it."""

import inspect
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from limbshift.envs.catalogue import make_family
from limbshift.envs.errors import FamilyError, InputError
from limbshift.envs.family import TaskFamily

EXPECTED = "expected FILE.py:Class or module:Class"


def named_family(name: str, family_file: str | None, variant: str = "default") -> TaskFamily:
    """Returns the family of this name that comes with limbshift, or the user's own where there is a reference to one.

    Raises FamilyError where there is none, and where the user's own has another name than the one that is given.
    """
    if not family_file:
        return make_family(name, variant)
    family = load_family(family_file, variant)
    if name not in ("", family.name):
        raise FamilyError(f"family is {name}, expected {family.name} as {family_file} names it")
    return family


def load_family(reference: str, variant: str = "default") -> TaskFamily:
    """Returns the family whose class `FILE.py:Class` or `module:Class` names. This runs the file.

    Raises FamilyError, in one line, where there is no such file or class, where the class is no
    TaskFamily that is made without arguments, and where the file raises.
    """
    place, name = _split(reference)
    return _make(_find_class(_import(place), name, place), variant, reference)


def absolute_reference(reference: str) -> str:
    """Returns the reference with its file's absolute path, so that it holds in any working directory."""
    place, name = _split(reference)
    return f"{Path(place).absolute()}:{name}" if place.endswith(".py") else reference


def _split(reference: str) -> tuple[str, str]:
    place, _, name = reference.rpartition(":")
    if not place or not name.isidentifier():
        raise FamilyError(f"family_file is {reference!r}, {EXPECTED}")
    return place, name


def _import(place: str) -> ModuleType:
    """Returns the module of a file, or the one of that name; the working directory's come first, as in Python."""
    path = Path(place)
    from_file = place.endswith(".py")
    if from_file and not path.is_file():
        raise FamilyError(f"family_file names {place}, which is not a file, {EXPECTED}")
    try:
        with _importable(path.absolute().parent if from_file else Path.cwd()):
            return _run_file(path) if from_file else import_module(place)
    except ModuleNotFoundError as error:
        if not from_file and error.name in (place, place.partition(".")[0]):
            raise FamilyError(f"family_file names the module {place}, which is not found, {EXPECTED}") from error
        raise _failure(place, error) from error
    except (Exception, SystemExit) as error:  # whatever a user's file may raise
        raise _failure(place, error) from error


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Lets a file import its neighbours, as Python does for a script."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _run_file(path: Path) -> ModuleType:
    spec = spec_from_file_location(f"limbshift_family_file_{path.stem}", path.absolute())
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


def _find_class(module: ModuleType, name: str, place: str) -> type[TaskFamily]:
    found = getattr(module, name, None)
    if isinstance(found, type) and issubclass(found, TaskFamily):
        return found
    if found is not None:
        raise FamilyError(f"{name} in {place} is not a subclass of TaskFamily, expected one")
    own = [
        other
        for other, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, TaskFamily) and value.__module__ == module.__name__
    ]
    raise FamilyError(f"{place} has no class {name}, expected {' or '.join(own) or 'a subclass of TaskFamily in it'}")


def _make(kind: type[TaskFamily], variant: str, reference: str) -> TaskFamily:
    """Makes the family; a class whose constructor takes no variant will do where the default is asked for."""
    if inspect.isabstract(kind):
        missing = ", ".join(sorted(kind.__abstractmethods__))
        raise FamilyError(f"{reference} does not define {missing}, expected a class that does")
    arguments = () if variant == "default" else (variant,)
    try:
        inspect.signature(kind).bind(*arguments)
    except TypeError as error:
        expected = "without arguments" if not arguments else f"with the variant {variant!r} alone"
        raise FamilyError(f"{reference} cannot be made ({error}), expected a class that is made {expected}") from error
    try:
        return kind(*arguments)
    except InputError:
        raise
    except Exception as error:  # whatever a user's class may raise
        raise _failure(reference, error) from error


def _failure(place: str, error: BaseException) -> FamilyError:
    """Returns an error that tells, in one line, what a user's code raised, and where."""
    file = Path(place.rpartition(":")[0] if ".py:" in place else place)
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).name == file.name
    ]
    where = f" in line {lines[-1]}" if lines else ""
    said = next(iter(str(error).splitlines()), "")
    return FamilyError(f"{place} raised {type(error).__name__}{where}{': ' if said else ''}{said}")
