"""What varies, and the physics: robots, task families, trials."""

import ctypes.util
import os

# MuJoCo reads MUJOCO_GL when it is first imported, so the choice is made here, before that.
if "MUJOCO_GL" not in os.environ and "DISPLAY" not in os.environ and ctypes.util.find_library("EGL"):
    os.environ["MUJOCO_GL"] = "egl"
