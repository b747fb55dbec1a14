"""All robots and their families; importing this registers them."""

from envs.robots import half_cheetah, reacher

__all__ = ["half_cheetah", "reacher"]
