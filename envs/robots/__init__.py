"""All robots and their families; importing this registers them."""

from limbshift.envs.robots import (
    ant,
    arm,
    half_cheetah,
    hopper,
    humanoid,
    inverted_pendulum,
    quadruped,
    reacher,
    swimmer,
    walker2d,
)

__all__ = [
    "ant",
    "arm",
    "half_cheetah",
    "hopper",
    "humanoid",
    "inverted_pendulum",
    "quadruped",
    "reacher",
    "swimmer",
    "walker2d",
]
