"""Copies of envs, by deepcopy and by pickle: both go on alike. And specs, from which an env is made again."""

import copy
import pickle
from collections.abc import Callable
from typing import Any, cast

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import data_equivalence

from limbshift.envs.adapters.gym_env import TaskFamilyEnv
from limbshift.envs.adapters.gym_vector import TaskFamilyVectorEnv
from limbshift.envs.adapters.make import make_sb3, make_trials
from limbshift.envs.catalogue import families
from limbshift.envs.errors import FamilyError, InputError
from limbshift.envs.physics.engine import Engine
from limbshift.envs.physics.protocol import Physics
from tests.envs.sled import Sledding

WAYS: tuple[Callable[[Any], Any], ...] = (copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env)))
every_way = pytest.mark.parametrize("copied", WAYS, ids=["deepcopy", "pickle"])
REFERENCE = "tests.envs.sled:Sledding"


def go_on(env: Any, steps: int) -> list[Any]:
    """All that an env says over random steps, of its own generator; a single env begins anew where an episode ends."""
    told = []
    for _ in range(steps):
        told.append(env.step(env.action_space.sample()))
        if isinstance(env, TaskFamilyEnv) and (told[-1][2] or told[-1][3]):
            told.append(env.reset())
    return told


@every_way
@pytest.mark.parametrize("family", families())
def test_a_copy_goes_on_as_the_original_does(family: str, copied: Callable[[Any], Any]) -> None:
    """Over the ends of episodes, whose tasks and states are drawn anew."""
    env = TaskFamilyVectorEnv(family, 2, horizon=4, seed=0)
    env.action_space.seed(1)
    env.reset()
    go_on(env, 3)
    twin = copied(env)
    assert data_equivalence(go_on(twin, 6), go_on(env, 6), exact=True)
    assert data_equivalence(twin.reset(), env.reset(), exact=True)


@every_way
@pytest.mark.parametrize("variant", ["gymnasium", "default"])
def test_a_copy_keeps_variant_and_contacts(variant: str, copied: Callable[[Any], Any]) -> None:
    """The variant "gymnasium" of the ant has a robot of its own, which reads the forces of contacts."""
    env = TaskFamilyEnv("AntLimbs", variant=variant, horizon=30, seed=0)
    env.action_space.seed(1)
    env.reset()
    go_on(env, 20)
    twin = copied(env)
    assert data_equivalence(go_on(twin, 15), go_on(env, 15), exact=True)


@every_way
def test_copies_keep_delayed_actions_and_noise(copied: Callable[[Any], Any]) -> None:
    env = TaskFamilyEnv("HalfCheetahHardware", seed=0)
    env.action_space.seed(1)
    env.reset(options={"task": {"action_delay": 3.0, "obs_noise": 0.1}})
    go_on(env, 2)
    twin = copied(env)
    assert data_equivalence(go_on(twin, 6), go_on(env, 6), exact=True)


@every_way
def test_trials_and_their_stable_baselines_form_are_copied(copied: Callable[[Any], Any]) -> None:
    for env in (make_trials(Sledding(), 2, 2, horizon=3, seed=0), make_sb3(Sledding(), 2, True, horizon=3, seed=0)):
        env.action_space.seed(1)
        env.reset()
        actions = [np.full((2, 1), 0.1 * step, dtype=np.float32) for step in range(12)]
        for action in actions[:4]:
            env.step(action)
        twin = copied(env)
        for action in actions:
            assert data_equivalence(list(twin.step(action)), list(env.step(action)), exact=True)


@every_way
def test_an_env_that_was_never_reset_is_copied(copied: Callable[[Any], Any]) -> None:
    env = gym.make("limbshift/HalfCheetahVel-v0", seed=3)
    twin = copied(env)
    assert twin.spec == env.spec
    assert data_equivalence(twin.reset(), env.reset(), exact=True)


def test_a_copy_is_apart_from_the_original() -> None:
    env = TaskFamilyEnv(Sledding(), seed=0)
    env.reset()
    untouched, twin = copy.deepcopy(env), copy.deepcopy(env)
    env.step([1.0])
    assert data_equivalence(twin.step([0.5]), untouched.step([0.5]), exact=True)


# Specs


def test_the_spec_of_a_vector_env_makes_one_of_its_robots_and_the_same_again() -> None:
    made = gym.make_vec("limbshift/HalfCheetahVel-v0", num_envs=3, seed=5, horizon=9, autoreset_mode="NextStep")
    assert made.spec is not None
    single, again = gym.make(made.spec), gym.make_vec(made.spec)
    task = made.reset()[1]["task"]["target_velocity"]
    assert single.reset()[1]["task"]["target_velocity"] == task[0]
    np.testing.assert_array_equal(again.reset()[1]["task"]["target_velocity"], task)
    unwrapped: Any = single.unwrapped
    assert unwrapped.horizon == 9


def test_a_family_of_ones_own_is_named_by_its_class_and_the_spec_is_text() -> None:
    made = gym.make("limbshift/HalfCheetahDir-v0", family=REFERENCE, variant="free")
    assert made.spec is not None
    again = gym.make(EnvSpec.from_json(made.spec.to_json()))
    for env in (made, again):
        unwrapped: Any = env.unwrapped
        assert isinstance(unwrapped.family, Sledding)
        assert unwrapped.family.variant == "free"


def test_a_family_that_is_given_as_an_object_is_named_in_the_spec() -> None:
    for made in (
        gym.make("limbshift/HalfCheetahDir-v0", family=Sledding("free")),
        gym.make_vec("limbshift/HalfCheetahDir-v0", num_envs=2, family=Sledding("free")),
    ):
        assert made.spec is not None
        text = made.spec.to_json()
        assert f'"family": "{REFERENCE}"' in text
        again: Any = gym.make(EnvSpec.from_json(text)).unwrapped
        assert (again.family.name, again.family.variant) == ("Sledding", "free")


def test_a_family_that_its_class_does_not_make_again_stays_an_object() -> None:
    few = Sledding().with_train_tasks(2)
    made = gym.make("limbshift/HalfCheetahDir-v0", family=few)
    assert made.spec is not None
    assert made.spec.kwargs["family"].task_space == few.task_space


def test_an_env_on_a_gpu_is_not_copied() -> None:
    env = TaskFamilyEnv(Sledding(), seed=0).task_env
    env.physics = cast(Physics, object())
    env.engine = Engine("warp")
    with pytest.raises(InputError, match=r"^physics of the env to copy is warp, expected mujoco$"):
        copy.copy(env)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("tests.envs.no_such:Sledding", "family 'tests.envs.no_such:Sledding' cannot be imported: No module named"),
        ("tests.envs.sled:Sled", "family 'tests.envs.sled:Sled' is no class of a task family, expected module:Class"),
        ("tests.envs.sled:Sleigh", "family 'tests.envs.sled:Sleigh' is no class of a task family, expected module:"),
    ],
)
def test_a_class_that_is_not_there_is_named(reference: str, message: str) -> None:
    with pytest.raises(FamilyError) as caught:
        TaskFamilyEnv(reference)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


class Weighed(Sledding):
    """One that is made with more than its variant."""

    def __init__(self, variant: str = "default", weight: float = 1.0) -> None:
        super().__init__(variant)
        self.weight = weight


def test_a_family_that_is_made_with_more_than_its_variant_stays_an_object() -> None:
    heavy = Weighed(weight=100.0)
    made = gym.make("limbshift/HalfCheetahDir-v0", family=heavy)
    assert made.spec is not None
    again: Any = gym.make(made.spec).unwrapped
    assert again.family.weight == 100.0
