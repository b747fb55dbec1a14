"""Gets the robots: wheels of other projects, unpacked without what they depend on."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import mujoco

CACHE = Path(".cache/survey")
PROJECTS = {
    "dm_control": "1.0.50",
    "gymnasium-robotics": "1.4.2",
    "mjlab": "1.6.0",
    "myosuite": "3.0.0",
    "metaworld": "3.1.1",
    "robosuite": "1.5.2",
    "playground": "0.2.0",
}
"""Versions whose robots are looked at."""


def fetch(project: str) -> Path:
    """Returns the folder of a project's files, from the package registry when it is first asked for."""
    folder = CACHE / project
    if not folder.is_dir():
        wheels = CACHE / "wheels"
        wanted = f"{project}=={PROJECTS[project]}"
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(wheels), wanted]
        subprocess.run(pip, check=True)
        (wheel,) = wheels.glob(f"{project.replace('-', '_')}-{PROJECTS[project]}-*.whl")
        unpacked = folder.with_suffix(".part")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(unpacked)
        unpacked.rename(folder)
    return folder


def scenes(project: str) -> list[Path]:
    """Returns the MJCF files with actuators that MuJoCo compiles, but for those that another of them includes."""
    texts = {path: path.read_text(errors="replace") for path in sorted(fetch(project).rglob("*.xml"))}
    found = {path: text for path, text in texts.items() if "<mujoco" in text and has_actuators(path)}
    included = {
        (path.parent / name).resolve()
        for path, text in found.items()
        for name in re.findall(r'<include\s+file="([^"]+)"', text)
    }
    return [path for path in found if path.resolve() not in included]


def has_actuators(path: Path) -> bool:
    """Returns whether MuJoCo compiles a file as a model with actuators; in a process of its own, since it may crash."""
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            found = mujoco.MjModel.from_xml_path(str(path)).nu > 0
        except ValueError:
            found = False
        os._exit(0 if found else 1)
    _, status = os.waitpid(pid, 0)
    return status == 0
