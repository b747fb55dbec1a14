"""Many simulations side by side, each with its own dynamics: one interface, two engines."""

from typing import Literal

EngineName = Literal["mujoco", "warp"]
"""MuJoCo on CPU threads, or MuJoCo Warp on a GPU."""
