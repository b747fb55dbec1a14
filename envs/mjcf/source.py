"""MJCF files with all that they refer to, as one archive from which any version of MuJoCo compiles them again."""

import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import mujoco
import numpy as np

from limbshift.envs.errors import InputError
from limbshift.envs.mjcf.size_limits import check_written_sizes

MAIN = "robot.xml"
"""The MJCF file in an archive."""
_FILES = ("file", "fileright", "fileleft", "fileup", "filedown", "filefront", "fileback")
_DIRECTORIES = ("assetdir", "meshdir", "texturedir", "strippath")
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
    def of(cls, path: Path) -> "MjcfSource":
        """Returns an MJCF file that MuJoCo reads, with all that it refers to."""
        files: dict[str, bytes] = {}
        files[MAIN] = _joined(path, files)
        return cls(files)

    @classmethod
    def read(cls, path: Path) -> "MjcfSource":
        """Reads what `write` wrote; RobotError where a file is none of those."""
        try:
            with zipfile.ZipFile(path) as archive:
                files = {name: archive.read(name) for name in archive.namelist()}
        except (OSError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
            raise RobotError(f"{path} cannot be read: {error}, expected an archive of a robot") from error
        if MAIN not in files:
            raise RobotError(f"{path} holds no {MAIN}, expected an archive of a robot")
        return cls(files)

    def write(self, path: Path) -> None:
        """Writes the archive, the same for the same files."""
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in self.files.items():
                archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)

    def spec(self) -> mujoco.MjSpec:
        """Returns the robot, ready to be compiled; ValueError where MuJoCo cannot read it, or where it is too large."""
        models = {name: text for name, text in self.files.items() if name.endswith(".xml") and name != MAIN}
        assets = {name: content for name, content in self.files.items() if not name.endswith(".xml")}
        for text in (self.files[MAIN], *models.values()):
            check_written_sizes(text)
        return mujoco.MjSpec.from_string(self.files[MAIN].decode(), include=models, assets=assets)


def read_spec(path: Path) -> mujoco.MjSpec:
    """Reads an MJCF file; RobotError where there is none, ValueError where MuJoCo cannot read it or it is too large."""
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
    check_written_sizes(content, [path.parent])
    return mujoco.MjSpec.from_file(str(path))


def same_models(one: mujoco.MjModel, other: mujoco.MjModel) -> bool:
    """Returns whether two models are equal in all of their numbers, but for where their files lay."""
    fields = [name for name in dir(one) if not name.startswith("_") and "path" not in name]
    arrays = [name for name in fields if isinstance(getattr(one, name), np.ndarray)]
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in arrays)


def _joined(path: Path, files: dict[str, bytes]) -> bytes:
    """Returns an MJCF file that includes none, and puts what it still refers to among the files, by the names there."""
    root = _parsed(path)
    _include(root, path.parent, path.parent)
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
                element.set(name, _keep(found, element.tag, files))
    return ElementTree.tostring(root)


def _parsed(path: Path) -> ElementTree.Element:
    # Comments that MuJoCo takes may not be XML: those with two hyphens in them.
    try:
        text = re.sub(rb"<!--.*?-->", b"", path.read_bytes(), flags=re.DOTALL)
        return ElementTree.fromstring(text)
    except OSError as error:
        raise RobotError(f"{path} cannot be read: {error.strerror}, expected a file that a robot includes") from error
    except ElementTree.ParseError as error:
        raise RobotError(f"robot {path} is not XML: {error}, expected an MJCF file") from error


def _include(element: ElementTree.Element, main: Path, here: Path) -> None:
    """Puts the content of included files where they are included."""
    children: list[ElementTree.Element] = []
    for child in element:
        if child.tag == "include":
            name = child.get("file", "")
            path = main / name if (main / name).is_file() else here / name
            included = _parsed(path)
            _include(included, main, path.parent)
            children += list(included)
        else:
            _include(child, main, here)
            child.attrib.setdefault(_FROM, str(here))
            children.append(child)
    element[:] = children


def _candidates(tag: str, given: str, settings: Mapping[str, str], *, bases: tuple[Path, ...]) -> Iterator[Path]:
    """Yields the files that MuJoCo may mean by a name, those first in which it looks first."""
    name = Path(given).name if settings.get("strippath") == "true" else given
    own, other = ("texturedir", "meshdir") if tag == "texture" else ("meshdir", "texturedir")
    directories = [settings.get(own), settings.get("assetdir"), settings.get(other), ""]
    for directory in directories:
        for base in bases:
            if directory is not None and (path := base / directory / name).is_file():
                yield path


def _keep(path: Path, tag: str, files: dict[str, bytes]) -> str:
    """Puts a file among the files, and returns its name there: its own, by which MuJoCo names what has no name."""
    if tag == "model":
        name = f"model_{len(files)}.xml"
        files[name] = b""  # taken, while the model's own files are numbered
        files[name] = _joined(path, files)
        return name
    content = path.read_bytes()
    for name, kept in files.items():
        if kept == content and name.endswith(f"/{path.name}"):
            return name
    name = f"{len(files)}/{path.name}"
    files[name] = content
    return name
