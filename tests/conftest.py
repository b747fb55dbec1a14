"""Imports what must come before all that a test imports.

limbshift comes before MuJoCo, which reads MUJOCO_GL, our choice, when it is first imported; Triton, of PyTorch for
CUDA, before dm_control, which draws as it is imported: its LLVM and Mesa's crash in the other order.
"""

import contextlib
import importlib

import limbshift

with contextlib.suppress(ImportError):
    importlib.import_module("triton")

__all__ = ["limbshift"]
