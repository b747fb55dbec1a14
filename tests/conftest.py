"""Imports limbshift before a test imports MuJoCo, which reads MUJOCO_GL, our choice, when it is first imported."""

import limbshift

__all__ = ["limbshift"]
