"""What varies, and the physics: robots, task families, trials."""

import ctypes.util
import os

ASKED_GL = os.environ.get("MUJOCO_GL")
"""What the user asks MuJoCo to draw by; None for no wish."""
_LIBRARIES = {"egl": "EGL", "osmesa": "OSMesa"}
_DRAWS = ("egl", "osmesa", "glfw", "glx", "enable", "enabled", "on", "true", "1", "")
_OFF = ("disable", "disabled", "off", "false", "0")


def _choose_gl() -> None:
    """Sets MUJOCO_GL so that MuJoCo, which reads it when it is first imported, can be imported and draws if it can.

    It cannot be imported under a name that it does not know, or of a library that is not there; training draws nothing.
    """
    asked = None if ASKED_GL is None else ASKED_GL.lower().strip()
    if asked is None:
        if "DISPLAY" not in os.environ and ctypes.util.find_library("EGL"):
            os.environ["MUJOCO_GL"] = "egl"
    elif asked not in (*_DRAWS, *_OFF) or (asked in _LIBRARIES and not ctypes.util.find_library(_LIBRARIES[asked])):
        os.environ["MUJOCO_GL"] = "off"


_choose_gl()
