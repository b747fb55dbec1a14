"""The examples in docstrings of environments, physics and robots are run."""

import doctest
from importlib import import_module

import pytest

MODULES = (
    "catalogue",
    "physics.engine",
    "physics.mujoco_batch",
    "robots.mjcf_robot",
    "adapters.gym_env",
    "adapters.gym_vector",
    "adapters.gym_trials",
    "adapters.make",
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_say_what_happens(name: str) -> None:
    found = doctest.testmod(import_module(f"limbshift.envs.{name}"))
    assert found.attempted
    assert not found.failed
