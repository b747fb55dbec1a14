"""Imports envs before a test imports MuJoCo, which reads MUJOCO_GL, a choice of envs, when it is first imported."""

import envs

__all__ = ["envs"]
