"""MJCF files with all that they refer to, as one archive from which any version of MuJoCo compiles them again."""

import os
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import mujoco
import numpy as np

from limbshift.envs.errors import InputError
from limbshift.envs.mjcf.markup import MarkupError, parse_mjcf
from limbshift.envs.mjcf.size_limits import SizeError, check_written_sizes
from limbshift.envs.physics.models import numbers_of

MAIN = "robot.xml"
"""The MJCF file in an archive."""
_FILES = ("file", "fileright", "fileleft", "fileup", "filedown", "filefront", "fileback")
_DIRECTORIES = ("assetdir", "meshdir", "texturedir", "strippath")
MAX_BYTES = 2**29
"""Of a robot's files together."""
MAX_FILES, MAX_DEPTH = 5_000, 200
MAX_MODELS = 100
"""Attached to a robot or to each other, each counted as often as it is attached."""
_FROM = "came_from"
"""An attribute by which an element remembers the directory of its file, while files are joined."""


class RobotError(InputError):
    """An MJCF file that is no robot that could be trained."""


@dataclass(frozen=True)
class MjcfSource:
    """An MJCF file, into which those that it includes are written, with its meshes, textures and models.

    The numbers are kept as they are written: `MjSpec.to_xml` would round them to six digits.
    """

    files: Mapping[str, bytes]
    """By name in the archive; `MAIN` is the MJCF file."""

    @classmethod
    def of(cls, path: Path, allow_outside: bool = False) -> "MjcfSource":
        """Returns an MJCF file with all that it refers to.

        Raises RobotError where it refers to files outside its directory, unless those are allowed: a stranger's
        file could have any of the user's put into the run.
        """
        read_mjcf(path)
        joiner = _Joiner(path, allow_outside)
        joiner.files[MAIN] = joiner.joined(path)
        return cls(joiner.files)

    @classmethod
    def read(cls, path: Path) -> "MjcfSource":
        """Reads what `write` wrote; RobotError where a file is none of those, or refers to files outside itself."""
        if path.exists() and not path.is_file():  # to read from a pipe would be to wait for ever
            raise RobotError(f"{path} is no regular file, expected an archive of a robot")
        try:
            with zipfile.ZipFile(path) as archive:
                _check_archive(archive, path)
                files = {name: archive.read(name) for name in archive.namelist()}
        except RobotError:
            raise
        except Exception as error:  # zipfile names no type for what is no archive: errors of each codec occur
            reason = " ".join(str(error).split()) or type(error).__name__
            raise RobotError(f"{path} cannot be read: {reason}, expected an archive of a robot") from error
        if MAIN not in files:
            raise RobotError(f"{path} holds no {MAIN}, expected an archive of a robot")
        _check_complete(files, path)
        return cls(files)

    def write(self, path: Path) -> None:
        """Writes the archive, the same for the same files."""
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in self.files.items():
                archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)

    def spec(self) -> mujoco.MjSpec:
        """Returns the robot, ready to be compiled; ValueError where MuJoCo cannot read it."""
        models = {name: text for name, text in self.files.items() if name.endswith(".xml") and name != MAIN}
        assets = {name: content for name, content in self.files.items() if not name.endswith(".xml")}
        return mujoco.MjSpec.from_string(self.files[MAIN].decode(), include=models, assets=assets)


def read_spec(path: Path) -> mujoco.MjSpec:
    """Reads an MJCF file that `MjcfSource.of` has checked; ValueError where MuJoCo cannot read it."""
    return mujoco.MjSpec.from_file(str(path))


def read_mjcf(path: Path) -> bytes:
    """Returns the text of an MJCF file; RobotError where there is none."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        shown = str(path).encode(errors="backslashreplace").decode()
        raise RobotError(f"path of robot {shown} is not UTF-8, expected one that MuJoCo can open") from error
    if not path.exists():
        raise RobotError(f"robot {path} does not exist, expected an MJCF file")
    if path.is_dir():
        raise RobotError(f"robot {path} is a directory, expected an MJCF file")
    if not path.is_file():
        raise RobotError(f"robot {path} is no regular file, expected an MJCF file")
    if path.suffix.lower() != ".xml":  # by which MuJoCo knows the format
        raise RobotError(f"robot {path} does not end in .xml, expected an MJCF file")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RobotError(f"robot {path} cannot be read: {error.strerror}, expected an MJCF file") from error
    if not content.strip():
        raise RobotError(f"robot {path} is empty, expected an MJCF file")
    return content


def same_models(one: mujoco.MjModel, other: mujoco.MjModel) -> bool:
    """Returns whether two models are equal in all of their numbers, but for where their files lay."""
    others = numbers_of(other)
    return all(np.array_equal(value, others[name]) for name, value in numbers_of(one).items())


def _check_archive(archive: zipfile.ZipFile, path: Path) -> None:
    """Raises RobotError where an archive would unpack to more than any robot."""
    names = archive.namelist()
    if len(names) > MAX_FILES or len(set(names)) < len(names):
        raise RobotError(f"{path} holds {len(names)} files, expected at most {MAX_FILES} of different names")
    unpacked = sum(info.file_size for info in archive.infolist())
    if unpacked > MAX_BYTES:
        raise RobotError(f"{path} would unpack to {unpacked} bytes, expected at most {MAX_BYTES}")


def _check_complete(files: Mapping[str, bytes], path: Path) -> None:
    """Raises RobotError where MuJoCo would look for a file outside the archive, or where it holds too large a robot."""
    read: dict[str, list[str]] = {}
    """By name of an MJCF file, the models that it attaches."""
    for name, content in files.items():
        if name.endswith(".xml"):
            root, where = _parsed(content, f"{name} in {path}"), f"{name} in {path}"
            _check_sizes(root, where)
            _check_files(root, files, where)
            read[name] = [element.get("file", "") for element in root.iter("model")]
    now, count = [MAIN], 0
    while now and count <= MAX_MODELS:
        count += len(now)
        now = [other for name in now for other in read[name]]
    if now:
        raise RobotError(f"{path} attaches a model to itself, or too many, expected at most {MAX_MODELS}")


def _check_files(root: ElementTree.Element, files: Mapping[str, bytes], where: str) -> None:
    """Raises RobotError where an MJCF file in an archive refers to files outside, or has MuJoCo read one unchecked."""
    for element in root.iter():
        wanted = [value for name, value in element.items() if name in (*_FILES, *_DIRECTORIES)]
        for name in wanted:
            unchecked = element.tag == "include" or (element.tag == "model" and not name.endswith(".xml"))
            if unchecked or name not in files:
                raise RobotError(f"{where} refers to {name[:60]}, expected files in the archive alone")


class _Joiner:
    """Writes the files that an MJCF file includes into it, and gathers what it still refers to."""

    def __init__(self, main: Path, allow_outside: bool) -> None:
        self.files: dict[str, bytes] = {}
        """By the names that the joined file has for them."""
        self._main = main
        self._models = 0
        self._home = None if allow_outside else main.parent.resolve()

    def joined(self, path: Path) -> bytes:
        """Returns an MJCF file that includes none."""
        root = self._parsed(path)
        self._include(root, path.parent, path.parent)
        compilers = list(root.iter("compiler"))
        settings = {name: value for compiler in compilers for name, value in compiler.items()}
        for compiler in compilers:
            for name in _DIRECTORIES:
                compiler.attrib.pop(name, None)
        for element in root.iter():
            came_from = Path(element.attrib.pop(_FROM, path.parent))
            for name in _FILES:
                given = element.get(name)
                found = given and next(_candidates(element.tag, given, settings, bases=(path.parent, came_from)), None)
                if found:
                    element.set(name, self._keep(found, element.tag))
        _check_sizes(root, str(self._main))
        return ElementTree.tostring(root)

    def _parsed(self, path: Path) -> ElementTree.Element:
        return _parsed(self._content(path), str(path))

    def _content(self, path: Path) -> bytes:
        if self._home and not path.resolve().is_relative_to(self._home):
            raise RobotError(
                f"robot {self._main} refers to {path}, which is outside its directory: allow that by --allow-outside"
                " where you trust the file"
            )
        try:
            if path.exists() and not path.is_file():  # to read from a pipe would be to wait for ever
                raise RobotError(f"{path} is no regular file, expected a file that a robot includes")
            if path.stat().st_size > MAX_BYTES:
                raise RobotError(f"{path} has {path.stat().st_size} bytes, expected at most {MAX_BYTES}")
            return path.read_bytes()
        except OSError as error:
            reason = error.strerror
            raise RobotError(f"{path} cannot be read: {reason}, expected a file that a robot includes") from error

    def _include(self, element: ElementTree.Element, main: Path, here: Path, *, depth: int = 0) -> None:
        """Puts the content of included files where they are included."""
        if depth > MAX_DEPTH:
            raise RobotError(
                f"robot {self._main} includes itself, or nests too deep, expected at most {MAX_DEPTH} levels"
            )
        children: list[ElementTree.Element] = []
        for child in element:
            if child.tag == "include":
                name = child.get("file", "")
                path = main / name if _is_there(main / name) else here / name
                included = self._parsed(path)
                self._include(included, main, path.parent, depth=depth + 1)
                children += list(included)
            else:
                self._include(child, main, here, depth=depth + 1)
                child.attrib.setdefault(_FROM, str(here))
                children.append(child)
        element[:] = children

    def _keep(self, path: Path, tag: str) -> str:
        """Puts a file among the files, and returns its name there: its own, by which MuJoCo names what has no name."""
        if tag == "model":
            self._models += 1
            if self._models > MAX_MODELS:
                raise RobotError(
                    f"robot {self._main} attaches a model to itself, or too many, expected at most {MAX_MODELS}"
                )
            name = f"model_{len(self.files)}.xml"
            self.files[name] = b""  # taken, while the model's own files are numbered
            self.files[name] = self.joined(path)
            return name
        content = self._content(path)
        for name, kept in self.files.items():
            if kept == content and name.endswith(f"/{path.name}"):
                return name
        name = f"{len(self.files)}/{path.name}"
        self.files[name] = content
        return name


def _parsed(content: bytes, where: str) -> ElementTree.Element:
    try:
        root = parse_mjcf(content)
    except MarkupError as error:
        raise RobotError(f"robot {where} {error}, expected an MJCF file") from error
    if root.tag.lower() == "robot":  # whose meshes MuJoCo would look for by other rules
        raise RobotError(f"robot {where} is a URDF, expected an MJCF file")
    return root


def _check_sizes(root: ElementTree.Element, where: str) -> None:
    """Raises RobotError where a robot asks for too much."""
    try:
        check_written_sizes(root)
    except SizeError as error:
        raise RobotError(f"robot {where} {error}") from error
    except RecursionError as error:
        raise RobotError(f"robot {where} nests too deep, expected at most {MAX_DEPTH} levels") from error


def _candidates(tag: str, given: str, settings: Mapping[str, str], *, bases: tuple[Path, ...]) -> Iterator[Path]:
    """Yields the files that MuJoCo may mean by a name, those first in which it looks first."""
    name = Path(given).name if settings.get("strippath") == "true" else given
    own, other = ("texturedir", "meshdir") if tag == "texture" else ("meshdir", "texturedir")
    directories = [settings.get(own), settings.get("assetdir"), settings.get(other), ""]
    for directory in directories:
        for base in bases:
            if directory is not None and _is_there(path := base / directory / name):
                yield path


def _is_there(path: Path) -> bool:
    """Returns whether MuJoCo would open a path, were it a pipe."""
    return os.path.exists(path) and not os.path.isdir(path)
