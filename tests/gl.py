"""Which tests need OpenGL."""

import ctypes.util
import os

import pytest

needs_gl = pytest.mark.skipif(
    not ctypes.util.find_library("EGL") and not ctypes.util.find_library("OSMesa") and "DISPLAY" not in os.environ,
    reason="no OpenGL library: neither libEGL nor libOSMesa nor a display",
)
