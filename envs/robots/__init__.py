"""Robots and their task families; `limbshift.envs.catalogue` finds them by name."""
