"""The robots that Gymnasium ships as MJCF."""

from importlib.resources import files
from pathlib import Path


def gymnasium_xml(name: str) -> Path:
    return Path(str(files("gymnasium"))) / "envs" / "mujoco" / "assets" / name
