"""Stable-Baselines3's form of the envs."""

import sys

import numpy as np
import pytest
from gymnasium.wrappers import TimeLimit
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

import limbshift
from limbshift.envs.adapters.gym_env import TaskFamilyEnv
from limbshift.envs.adapters.gym_vector import TaskFamilyVectorEnv
from limbshift.envs.adapters.make import make_sb3
from limbshift.envs.errors import InputError
from tests.envs.sled import Sledding

PUSH = np.ones((2, 1), dtype=np.float32)


def test_the_single_env_passes_their_check() -> None:
    check_env(TaskFamilyEnv("HalfCheetahLimbsDir", seed=0))


def test_it_is_our_vector_env_step_for_step() -> None:
    ours, theirs = TaskFamilyVectorEnv(Sledding(), 2, horizon=3, seed=5), make_sb3(Sledding(), 2, horizon=3, seed=5)
    np.testing.assert_array_equal(theirs.reset(), ours.reset()[0])
    for step in range(7):
        obs, reward, done, infos = theirs.step(PUSH)
        expected = ours.step(PUSH)
        np.testing.assert_array_equal(obs, expected[0])
        np.testing.assert_array_equal(reward, expected[1].astype(np.float32))
        ends = step % 3 == 2
        assert done.tolist() == [ends, ends]
        assert reward.dtype == np.float32
        for number in range(2):
            assert infos[number].get("TimeLimit.truncated", False) == ends
            if ends:
                np.testing.assert_array_equal(infos[number]["terminal_observation"], expected[4]["final_obs"][number])


def test_a_fall_ends_an_episode_but_no_trial() -> None:
    """Pushed all along, the sled passes a metre, where it has fallen, within 14 steps of four newtons."""
    plain, trials = make_sb3(Sledding(), 2, horizon=30, seed=0), make_sb3(Sledding(), 2, True, horizon=15, seed=0)
    for env in (plain, trials):
        env.reset()
    fell = False
    for _ in range(20):
        _, _, done, infos = plain.step(PUSH)
        for number in np.flatnonzero(done):
            fell = True
            assert infos[number]["TimeLimit.truncated"] is False
    assert fell
    ends = [bool(trials.step(PUSH)[2].any()) for _ in range(45)]
    assert ends == [False] * 44 + [True]


def test_a_seed_is_used_once() -> None:
    env = make_sb3("HalfCheetahLimbsDir", 2, seed=3)
    env.seed(7)
    first, later = env.reset(), env.reset()
    assert not np.array_equal(first, later)
    np.testing.assert_array_equal(first, make_sb3("HalfCheetahLimbsDir", 2, seed=7).reset())


def test_attributes_are_the_vector_envs() -> None:
    env = make_sb3("HalfCheetahDir", 3, horizon=9)
    assert env.get_attr("horizon") == [9, 9, 9]
    env.set_attr("horizon", 4)
    assert env.get_attr("horizon", indices=[0, 1]) == [4, 4]
    assert len(env.env_method("reset", seed=1, indices=0)) == 1
    assert env.env_is_wrapped(TimeLimit) == [False, False, False]
    env.close()


@pytest.mark.parametrize("trials", [False, True])
def test_their_algorithms_train_on_it(trials: bool) -> None:
    env = VecNormalize(VecMonitor(limbshift.make_sb3("InvertedPendulumBody", 4, trials, horizon=8, seed=0)))
    PPO("MlpPolicy", env, n_steps=16, batch_size=32, n_epochs=1, seed=0, device="cpu").learn(128)
    SAC("MlpPolicy", env, learning_starts=16, batch_size=16, seed=0, device="cpu").learn(32)


def test_without_the_extra_the_command_to_install_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "limbshift.envs.adapters.sb3", raising=False)
    monkeypatch.setitem(sys.modules, "stable_baselines3", None)
    monkeypatch.setitem(sys.modules, "stable_baselines3.common.vec_env", None)
    with pytest.raises(InputError, match=r"is not installed: pip install '\.\[sb3\]'"):
        make_sb3("HalfCheetahDir", 2)
