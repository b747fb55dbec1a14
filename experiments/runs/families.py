"""Loads a task family of the user's own from the file or the module that defines it."""

import inspect
from pathlib import Path
from types import ModuleType

from limbshift.envs.catalogue import make_family
from limbshift.envs.errors import FamilyError, InputError
from limbshift.envs.family import TaskFamily
from limbshift.experiments.runs.own_code import OwnCode, leave_importable

CODE = OwnCode("family_file", "Class", FamilyError)


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
    place, name = CODE.split(reference)
    kind = _find_class(CODE.load(place), name, place)
    leave_importable(place)
    return _make(kind, variant, reference)


def absolute_reference(reference: str) -> str:
    """Returns the reference with its file's absolute path, so that it holds in any working directory."""
    place, name = CODE.split(reference)
    return f"{Path(place).absolute()}:{name}" if place.endswith(".py") else reference


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
        inspect.signature(kind.reward).bind(None, None, None)
    except TypeError as error:
        raise FamilyError(f"{reference}: reward cannot be called with a motion and a task ({error})") from error
    try:
        return kind(*arguments)
    except InputError:
        raise
    except Exception as error:  # whatever a user's class may raise
        raise CODE.failure(reference, error) from error
