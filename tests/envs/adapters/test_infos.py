"""Flat infos, and what readers of other projects make of them."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import DictInfoToList
from numpy.typing import NDArray

from limbshift.envs.adapters.gym_env import TaskFamilyEnv
from limbshift.envs.adapters.gym_vector import TaskFamilyVectorEnv
from limbshift.envs.adapters.make import make_trials
from tests.envs.sled import Sledding

PUSH = np.ones((2, 1), dtype=np.float32)
STEP = {"task/mass", "task/price", "reward_terms/sold", "reward_terms/control", "diverged"}


def arrays(infos: dict[str, Any]) -> dict[str, NDArray[Any]]:
    """What a reader that knows arrays alone, (N, ...) each, makes of an info; it fails at anything else."""
    read = {name: value for name, value in infos.items() if name not in ("final_info", "final_obs")}
    assert all(isinstance(value, np.ndarray) and value.shape[0] == 2 for value in read.values())
    return read


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_a_vector_envs_flat_info_holds_arrays_alone(mode: AutoresetMode) -> None:
    env, nested = (
        TaskFamilyVectorEnv(Sledding(), 2, horizon=2, seed=0, autoreset_mode=mode, flat_info=flat)
        for flat in (True, False)
    )
    infos, told = env.reset()[1], nested.reset()[1]
    assert set(arrays(infos)) == {"task/mass", "task/price"}
    np.testing.assert_array_equal(infos["task/mass"], told["task"]["mass"])
    infos, told = env.step(PUSH)[4], nested.step(PUSH)[4]
    assert set(arrays(infos)) == STEP
    np.testing.assert_array_equal(infos["reward_terms/control"], told["reward_terms"]["control"])
    infos = env.step(PUSH)[4]
    if mode is AutoresetMode.SAME_STEP:
        assert set(arrays(infos)) == STEP | {"_final_obs", "_final_info"}
        assert set(arrays(infos["final_info"])) == STEP
        assert (infos["final_info"]["task/mass"] != infos["task/mass"]).all()
    else:
        assert set(arrays(infos)) == STEP


def test_a_flat_info_says_who_has_taken_no_step() -> None:
    env = TaskFamilyVectorEnv(Sledding(), 2, horizon=1, seed=0, autoreset_mode="NextStep", flat_info=True)
    env.reset()
    env.step(PUSH)
    infos = arrays(env.step(PUSH)[4])
    masks = {"_reward_terms/sold", "_reward_terms/control", "_diverged"}
    assert set(infos) == STEP | masks
    assert not any(infos[mask].any() for mask in masks)


def test_trials_and_gymnasiums_factory_take_the_switch() -> None:
    trials = make_trials(Sledding(), 2, 1, horizon=1, seed=0, flat_info=True)
    assert set(arrays(trials.reset()[1])) == {"task/mass", "task/price"}
    infos = trials.step(PUSH)[4]
    assert set(arrays(infos["final_info"])) == {"task/mass", "task/price", "fallen", "diverged"}
    made = gym.make_vec("limbshift/HalfCheetahVel-v0", num_envs=2, flat_info=True)
    assert set(made.reset()[1]) == {"task/target_velocity"}


def test_gymnasiums_reader_makes_a_flat_info_for_each() -> None:
    env = DictInfoToList(TaskFamilyVectorEnv(Sledding(), 2, horizon=2, seed=0, flat_info=True))
    env.reset()
    env.step(PUSH)
    infos: Any = env.step(PUSH)[4]
    assert set(infos[0]) == STEP | {"final_obs", "final_info"}
    assert set(infos[0]["final_info"]) == STEP


class Reader:
    """What TorchRL's wrapper of a Gymnasium vector env reads, in the order in which it does."""

    def __init__(self, env: Any) -> None:
        assert env.metadata["autoreset_mode"] in AutoresetMode
        assert env.autoreset_mode is env.metadata["autoreset_mode"]
        assert (env.num_envs, env.render_mode, env.closed) == (2, None, False)
        for space, single in (
            (env.observation_space, env.single_observation_space),
            (env.action_space, env.single_action_space),
        ):
            assert space.shape == (2, *single.shape)
            assert space.dtype == single.dtype
        self.env = env

    def rollout(self, steps: int) -> tuple[int, int]:
        """Returns how many episodes ended, and of how many the final observation was found."""
        obs, infos = self.env.reset(seed=1)
        keys, ends, finals = set(arrays(infos)), 0, 0
        for _ in range(steps):
            obs, reward, terminated, truncated, infos = self.env.step(self.env.action_space.sample())
            assert (obs.dtype, reward.dtype, terminated.dtype, truncated.dtype) == ("f4", "f8", "?", "?")
            assert keys <= set(arrays(infos))
            ends += int((terminated | truncated).sum())
            finals += sum(final is not None for final in infos.get("final_obs", ()))
        return ends, finals


def test_torchrls_wrapper_finds_what_it_reads() -> None:
    reader = Reader(TaskFamilyVectorEnv("HalfCheetahDir", 2, horizon=3, seed=0, flat_info=True))
    assert reader.rollout(7) == (4, 4)
    assert Reader(make_trials("HalfCheetahDir", 2, 1, horizon=3, seed=0, flat_info=True)).rollout(7) == (4, 4)


def test_a_single_envs_flat_info_holds_numbers_that_have_a_dtype() -> None:
    """As TorchRL's reader of infos asks for them, alone and in Gymnasium's copies of the env."""
    env = TaskFamilyEnv(Sledding(), horizon=2, seed=0, flat_info=True)
    env.reset(options={"task": {"mass": 0.5}})
    info = env.step(PUSH[0])[4]
    assert set(info) == STEP
    assert (info["task/mass"], info["reward_terms/control"], info["diverged"]) == (0.5, -0.5, False)
    assert [info[name].dtype for name in ("task/mass", "diverged")] == ["float64", "bool"]
    copies = gym.make_vec("limbshift/HalfCheetahVel-v0", 2, vectorization_mode="sync", flat_info=True)
    assert copies.reset(seed=0)[1]["task/target_velocity"].shape == (2,)
