"""What a user keeps of an env stays as it was, and what a user writes there stays out of the env."""

import copy
from typing import Any

import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence
from numpy.typing import NDArray

from limbshift.envs.adapters.gym_env import TaskFamilyEnv
from limbshift.envs.adapters.gym_vector import TaskFamilyVectorEnv
from limbshift.envs.adapters.make import make_trials
from limbshift.envs.catalogue import make_family
from tests.envs.sled import Sledding


def envs() -> list[Any]:
    families = (Sledding(), make_family("ReacherGoal"))  # formulas make what the latter senses
    vectors = [
        TaskFamilyVectorEnv(family, 2, horizon=3, seed=0, autoreset_mode=mode)
        for family in families
        for mode in ("SameStep", "NextStep")
    ]
    return [*vectors, make_trials(Sledding(), 2, 2, horizon=2, seed=0), TaskFamilyEnv(Sledding(), horizon=9, seed=0)]


every_env = pytest.mark.parametrize("number", range(len(envs())))


def told(env: Any, steps: int) -> list[Any]:
    """What a reset and steps return, one after the other."""
    push = np.full(env.action_space.shape, 0.5, dtype=np.float32)
    return [env.reset(seed=3), *(env.step(push) for _ in range(steps))]


def arrays(value: Any) -> list[NDArray[Any]]:
    if isinstance(value, dict | tuple | list):
        return [array for part in (value.values() if isinstance(value, dict) else value) for array in arrays(part)]
    return [value] if isinstance(value, np.ndarray) else []


@every_env
def test_what_is_kept_does_not_change(number: int) -> None:
    env = envs()[number]
    kept = told(env, 3)
    then = copy.deepcopy(kept)
    told(env, 7)
    assert data_equivalence(kept, then, exact=True)


@every_env
def test_what_is_written_is_written_to_a_copy(number: int) -> None:
    """Step by step, all arrays that an env returns are overwritten: a twin that is left in peace says the same."""
    env, twin = envs()[number], envs()[number]
    push = np.full(env.action_space.shape, 0.5, dtype=np.float32)
    for number_of_step in range(7):
        ours, theirs = (each.reset(seed=3) if number_of_step == 0 else each.step(push) for each in (env, twin))
        assert data_equivalence(ours, theirs, exact=True)
        for array in arrays(ours):
            assert array.flags.writeable
            array.fill(0 if array.dtype == np.bool_ else None if array.dtype == object else 7)
