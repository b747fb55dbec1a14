"""What the envs are told: other kinds of numbers are taken, and what cannot be used is refused in one line."""

from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from limbshift.envs.adapters.gym_env import TaskFamilyEnv
from limbshift.envs.adapters.gym_vector import TaskFamilyVectorEnv
from limbshift.envs.adapters.make import make_sb3, make_trials
from limbshift.envs.errors import InputError
from tests.envs.sled import Sledding

DIR, VEL = "limbshift/HalfCheetahDir-v0", "limbshift/HalfCheetahVel-v0"
MAKERS: dict[str, Callable[..., Any]] = {
    "single": lambda **told: TaskFamilyEnv(**told),
    "make": lambda **told: gym.make(DIR, **told),
    "make_vec": lambda **told: gym.make_vec(DIR, num_envs=2, **told),
    "trials": lambda **told: make_trials(**{"num_envs": 2, **told}),
    "sb3": lambda **told: make_sb3(**{"num_envs": 2, **told}),
}
every_maker = pytest.mark.parametrize("maker", MAKERS.values(), ids=MAKERS)


@every_maker
@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"seed": -1}, "seed is -1, expected a whole number of at least 0"),
        ({"seed": 1.5}, "seed is 1.5, expected a whole number of at least 0"),
        ({"seed": "0"}, "seed is '0', expected a whole number of at least 0"),
        ({"seed": True}, "seed is True, expected a whole number of at least 0"),
        ({"horizon": "9"}, "horizon is '9', expected a whole number from 1 to 1000000"),
        ({"horizon": True}, "horizon is True, expected a whole number from 1 to 1000000"),
        ({"horizon": 10**6 + 1}, "horizon is 1000001, expected a whole number from 1 to 1000000"),
        ({"family": ":"}, "family is ':', expected module:Class"),
        ({"family": ".a:B"}, "family is '.a:B', expected module:Class"),
        ({"family": "a\0b:C"}, r"family is 'a\x00b:C', expected module:Class"),
        ({"split": "Train"}, "split is 'Train', expected one of train, heldout"),
        ({"split": 3}, "split is 3, expected one of train, heldout"),
        ({"render_mode": "rgb"}, "render_mode is 'rgb', expected 'rgb_array' or None"),
        ({"family": 3}, "family is 3, expected a name, or an object of a TaskFamily"),
        ({"family": Sledding}, "family is <class 'tests.envs.sled.Sledding'>, expected a name, or an object of"),
        ({"family": Sledding("free"), "variant": "x"}, "variant is 'x', expected 'free' as the family that is given"),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:.*render_mode='rgb'")
def test_values_that_cannot_be_used_are_refused(maker: Callable[..., Any], told: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        maker(**{"family": "HalfCheetahDir", **told})
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("maker", [TaskFamilyVectorEnv, make_trials, make_sb3])
def test_no_more_robots_are_made_than_fit(maker: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match=r"^num_envs is 1000000000000, expected a whole number from 1 to 1000000$"):
        maker("HalfCheetahDir", num_envs=10**12)


def test_what_is_either_so_or_not_is_a_bool() -> None:
    """The third of make_trials is the number of episodes, the third of make_sb3 whether there are trials."""
    for make in (make_trials, make_sb3):
        with pytest.raises(InputError, match=r"^flat_info is 'yes', expected True or False$"):
            make("HalfCheetahDir", 2, flat_info="yes")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"^trials is 3, expected True or False$"):
        make_sb3("HalfCheetahDir", 2, 3)  # type: ignore[arg-type]
    numpys: Any = np.True_
    assert make_sb3("HalfCheetahDir", 2, numpys).env.horizon == 200


def test_names_that_do_not_exist_are_refused_in_one_line() -> None:
    expected = "split, variant, horizon, max_episode_steps, render_mode, flat_info or seed"
    message = f"^got an unexpected keyword argument 'horizn', expected {expected}"
    with pytest.raises(InputError, match=f"{message}$"):
        TaskFamilyEnv("HalfCheetahDir", horizn=9)
    with pytest.raises(InputError, match=f"{message} was raised from the environment creator for {DIR}"):
        gym.make(DIR, horizn=9)


def test_an_unknown_argument_is_pythons_own_type_error() -> None:
    """TorchRL's GymEnv tries "frameskip", and goes on without it where a TypeError says these words."""
    with pytest.raises(TypeError, match="unexpected keyword argument 'frameskip'"):
        gym.make(DIR, frameskip=1)


def test_what_gymnasiums_copies_would_not_do_is_refused() -> None:
    """In mode "sync" it goes to each single env, which begins nothing by itself."""
    with pytest.raises(InputError, match=r"^argument 'autoreset_mode' is of a vector env, expected none for a"):
        gym.make_vec(DIR, num_envs=2, vectorization_mode="sync", autoreset_mode="Disabled")
    theirs = gym.make_vec(DIR, num_envs=2, vectorization_mode="sync", vector_kwargs={"autoreset_mode": "SameStep"})
    assert theirs.spec is not None
    assert isinstance(gym.make(theirs.spec).unwrapped, TaskFamilyEnv)


def test_numbers_of_numpy_are_the_same_numbers() -> None:
    """A task is drawn by its seed's digits: those of NumPy's kind must be no others."""
    numbers: Any = np.array([2, 3, 9, 7, 4], dtype=np.int32)
    two, three, nine, seven, other = numbers
    plain = TaskFamilyVectorEnv("HalfCheetahVel", 2, horizon=9, seed=7)
    numpys = TaskFamilyVectorEnv("HalfCheetahVel", two, horizon=nine, seed=seven)
    np.testing.assert_array_equal(plain.reset()[0], numpys.reset()[0])
    np.testing.assert_array_equal(plain.reset(seed=4)[0], numpys.reset(seed=other)[0])
    trials = make_trials("HalfCheetahVel", two, three, horizon=nine, seed=seven)
    again = make_trials("HalfCheetahVel", 2, 3, horizon=9, seed=7)
    np.testing.assert_array_equal(trials.reset()[0], again.reset()[0])
    assert isinstance(trials.horizon, int)
    large = TaskFamilyEnv("HalfCheetahVel", seed=10**20)
    assert large.reset()[1] == TaskFamilyEnv("HalfCheetahVel", seed=10**20).reset()[1]


def test_tasks_may_be_tensors_and_numbers_of_any_kind() -> None:
    env = TaskFamilyVectorEnv("HalfCheetahVel", 2)
    for given in (torch.tensor([1.0, 2.0]), np.array([1, 2], dtype=np.uint8), [1, 2.0], (1, np.float16(2))):
        assert env.reset(options={"task": {"target_velocity": given}})[1]["task"]["target_velocity"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (3, "reset options are 3, expected a mapping, or a list of 2"),
        ([{}], r"reset options are \[{}\], expected a mapping, or a list of 2"),
        ({"keep_task": 1}, "reset option keep_task is 1, expected True or False"),
        ({"task": {"target_velocity": [[1.0], [1.0, 2.0]]}}, ".*target_velocity is .*, expected a number"),
        ({"task": {"target_velocity": None}}, "task parameter target_velocity is None, expected a number"),
    ],
)
def test_wrong_options_are_refused(options: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}$"):
        TaskFamilyVectorEnv("HalfCheetahVel", 2).reset(options=options)


# The length of episodes


def steps_until_the_end(env: Any) -> int:
    env.reset(seed=0)
    for step in range(1, 300):
        if np.all(env.step(np.zeros(env.action_space.shape, dtype=np.float32))[3]):
            return step
    raise AssertionError


@pytest.mark.parametrize("mode", ["single", "sync", "vector_entry_point"])
def test_gymnasiums_time_limit_ends_episodes(mode: str) -> None:
    if mode == "single":
        env: Any = gym.make(DIR, max_episode_steps=7)
    else:
        env = gym.make_vec(DIR, num_envs=2, vectorization_mode=mode, max_episode_steps=7)
    assert steps_until_the_end(env) == 7
    env.close()


def test_a_time_limit_beyond_the_horizon_is_refused() -> None:
    for make in (gym.make, gym.make_vec, partial(gym.make_vec, vectorization_mode="sync")):
        with pytest.raises(InputError, match=r"^max_episode_steps is 500, expected at most the horizon, which is 200$"):
            make(DIR, max_episode_steps=500)
        make(DIR, max_episode_steps=500, horizon=500).close()
    assert gym.make(DIR, max_episode_steps=-1).spec
    assert steps_until_the_end(TaskFamilyEnv("HalfCheetahDir", horizon=12, max_episode_steps=11)) == 11
    with pytest.raises(InputError, match=r"^max_episode_steps is 0, expected a whole number of at least 1$"):
        TaskFamilyEnv("HalfCheetahDir", max_episode_steps=0)


# Copies made by Gymnasium


def first_speeds(mode: str, **told: Any) -> list[float]:
    env: Any = gym.make_vec(VEL, num_envs=3, vectorization_mode=mode, **told)
    try:
        speeds: list[float] = env.reset(seed=None if "seed" in told else 4)[1]["task"]["target_velocity"].tolist()
    finally:
        env.close()
    return speeds


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_seed_for_each_of_gymnasiums_copies_is_refused(mode: str) -> None:
    """All of them would meet the same tasks, side by side."""
    with pytest.raises(
        InputError, match=r"^seed is 0 in each env that gym\.make_vec copies, expected None: reset\(seed"
    ):
        first_speeds(mode, seed=0)
    assert len(set(first_speeds(mode))) == 3
    assert len(set(first_speeds("vector_entry_point", seed=0))) == 3


def test_a_seed_for_a_single_env_is_taken() -> None:
    assert gym.make(VEL, seed=4).reset()[1] == TaskFamilyEnv("HalfCheetahVel", seed=4).reset()[1]
