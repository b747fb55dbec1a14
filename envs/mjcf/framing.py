"""Where films of a robot look, and from how far, so that it fills half of the frame."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import mujoco
import numpy as np
from numpy.typing import NDArray

from limbshift.envs.mjcf.extent import geoms_of, reach
from limbshift.envs.mjcf.kinematics import Mechanism

AZIMUTH, ELEVATION = 90.0, -20.0
"""Of the camera, degrees: it looks along +y, and somewhat down."""
SHARE = 0.5
"""Of the frame's width or height that the robot fills at its start, whichever is more."""
ASPECT = 4 / 3
"""The frame's width over its height."""
_FORWARD = np.array([0.0, math.cos(math.radians(ELEVATION)), math.sin(math.radians(ELEVATION))])
_RIGHT = np.array([1.0, 0.0, 0.0])
_UP = np.cross(_RIGHT, _FORWARD)


@dataclass(frozen=True)
class Framing:
    """What a film is of, and where its camera stands."""

    bodies: tuple[int, ...]
    root: int
    travels: bool
    """Whether the camera follows."""
    center: NDArray[np.float64]
    """(3,) the middle of the robot as it starts, m."""
    offset: NDArray[np.float64]
    """(3,) from the root's centre of mass to there, m."""
    height: float
    """Of the robot as it starts, m."""
    distance: float
    """Of the camera from the middle, m."""

    @classmethod
    def of(cls, model: mujoco.MjModel, data: mujoco.MjData, robot: Mechanism) -> Self:
        """Returns how to film a robot, as it stands in the data."""
        geoms = geoms_of(model, robot.shown, drawn=True)
        mass_center = data.subtree_com[robot.root].copy()
        center, height, distance = mass_center, float(model.stat.extent), 2.5 * float(model.stat.extent)
        if geoms:
            vertical = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]])
            height = float(reach(model, data, geoms, directions=vertical).max(axis=0).sum())
            center, distance = _stand(model, data, geoms)
        return cls(
            robot.shown, robot.root, bool(robot.hidden), center, center - mass_center, height=height, distance=distance
        )

    @property
    def camera(self) -> Mapping[str, float]:
        """The camera as `Robot.camera` has it."""
        return {"distance": self.distance, "azimuth": AZIMUTH, "elevation": ELEVATION}

    def lookat(self, data: mujoco.MjData) -> NDArray[np.float64]:
        """Returns the (3,) point to look at."""
        point: NDArray[np.float64] = data.subtree_com[self.root] + self.offset if self.travels else self.center.copy()
        return point


def _stand(model: mujoco.MjModel, data: mujoco.MjData, geoms: list[int]) -> tuple[NDArray[np.float64], float]:
    """Returns the (3,) point that a camera looks at, and from how far, so that the geoms fill its share of the frame.

    The share is bounded by four planes through the camera. Seen from the point, a plane lies distance * slope
    along its normal, and lets the geoms pass that reach no farther; in the point that is returned, geoms reach as
    far up as down, and as far to the left as to the right.
    """
    axes = np.stack([_RIGHT, _UP, _FORWARD])
    high = reach(model, data, geoms, directions=axes).max(axis=0)
    low = -reach(model, data, geoms, directions=-axes).max(axis=0)
    middle: NDArray[np.float64] = (high + low) / 2 @ axes
    slope = SHARE * math.tan(math.radians(model.vis.global_.fovy / 2))
    slopes = np.array([slope * ASPECT, slope * ASPECT, slope, slope])
    normals = np.stack([_RIGHT, -_RIGHT, _UP, -_UP]) - slopes[:, None] * _FORWARD
    lengths = np.linalg.norm(normals, axis=1)
    farthest = reach(model, data, geoms, directions=normals / lengths[:, None]).max(axis=0) * lengths
    right, left, up, down = farthest - normals @ middle
    middle += (right - left) / 2 * _RIGHT + (up - down) / 2 * _UP
    return middle, float(max((right + left) / 2 / slopes[0], (up + down) / 2 / slopes[2]))
