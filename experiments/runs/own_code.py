"""Loads code of the user's own from the file or the module that holds it."""

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from limbshift.envs.errors import InputError


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
        if not place or not name.isidentifier():
            raise self.error(f"{self.option} is {reference!r}, {self.expected}")
        return place, name

    def load(self, place: str) -> ModuleType:
        """Runs a file, or imports a module; the working directory's come first, as in Python."""
        path = Path(place)
        from_file = place.endswith(".py")
        if from_file and not path.is_file():
            raise self.error(f"{self.option} names {place}, which is not a file, {self.expected}")
        try:
            with _importable(path.absolute().parent if from_file else Path.cwd()):
                return _run_file(path) if from_file else import_module(place)
        except ModuleNotFoundError as error:
            if not from_file and error.name in (place, place.partition(".")[0]):
                raise self.error(
                    f"{self.option} names the module {place}, which is not found, {self.expected}"
                ) from error
            raise self.failure(place, error) from error
        except (Exception, SystemExit) as error:  # whatever a user's file may raise
            raise self.failure(place, error) from error

    def failure(self, place: str, error: BaseException) -> InputError:
        """Returns an error that tells what the user's code raised, and where."""
        file = Path(place.rpartition(":")[0] if ".py:" in place else place)
        lines = [
            frame.lineno
            for frame in traceback.extract_tb(error.__traceback__)
            if Path(frame.filename).name == file.name
        ]
        where = f" in line {lines[-1]}" if lines else ""
        said = next(iter(str(error).splitlines()), "")
        return self.error(f"{place} raised {type(error).__name__}{where}{': ' if said else ''}{said}")


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Lets a file import its neighbours, as Python does for a script."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _run_file(path: Path) -> ModuleType:
    spec = spec_from_file_location(f"limbshift_own_{path.stem}", path.absolute())
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
