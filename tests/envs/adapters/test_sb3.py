"""Stable-Baselines3's form of the envs."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.wrappers import TimeLimit
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize, VecVideoRecorder

import limbshift
from limbshift.envs.adapters.gym_env import TaskFamilyEnv
from limbshift.envs.adapters.gym_vector import TaskFamilyVectorEnv
from limbshift.envs.adapters.make import make_sb3
from limbshift.envs.errors import ActionError, InputError
from tests.envs.adapters.opengl import opengl_works
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


@pytest.mark.parametrize("trials", [False, True])
def test_options_set_the_tasks_of_the_next_reset_alone(trials: bool) -> None:
    env = make_sb3(Sledding(), 3, trials, horizon=2, seed=0)
    env.set_options({"task": {"mass": 1.5}})
    env.reset()
    assert [info["task"] for info in env.reset_infos] == [{"mass": 1.5, "price": 0.0}] * 3
    env.set_options([{"task": {"mass": 0.5}}, {"keep_task": True}, {}])
    env.reset()
    first, kept, drawn = (info["task"]["mass"] for info in env.reset_infos)
    assert (first, kept) == (0.5, 1.5)
    assert drawn not in (0.5, 1.5)
    env.reset()
    assert len({0.5, 1.5, *(info["task"]["mass"] for info in env.reset_infos)}) == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tasks": {}}, "reset option is 'tasks', expected task or keep_task"),
        ([{}, {"taks": {}}], "reset option is 'taks', expected task or keep_task"),
        ([{"task": {"mass": [0.5, 1.0]}}, {}], r"task parameter mass has shape \(2,\), expected \(\) or \(1,\)"),
        ("task", "reset options are 'task', expected a mapping, or a list of 2"),
        ([3, 4], "reset options are 3, expected a mapping"),
        ([{}], r"reset options are \[{}\], expected a mapping, or a list of 2"),
        ({"reset_mask": np.ones(2, dtype=np.bool_)}, "reset option is 'reset_mask', expected task or keep_task"),
    ],
)
def test_wrong_options_are_refused(options: Any, message: str) -> None:
    env = make_sb3(Sledding(), 2, True, seed=0)

    def reset() -> None:
        env.set_options(options)
        env.reset()

    with pytest.raises(InputError, match=f"^{message}$"):
        reset()


@pytest.mark.parametrize("trials", [False, True])
def test_refused_options_leave_those_before(trials: bool) -> None:
    env = make_sb3(Sledding(), 2, trials, seed=0)
    env.set_options({"task": {"mass": 1.5}})
    wrong: list[Any] = [{"tasks": {}}, [{}, {"task": {"mass": -1.0}}], {"task": {"weight": 1.0}}, {"keep_task": True}]
    for options in wrong:
        with pytest.raises(InputError):
            env.set_options(options)
    env.reset()
    assert [info["task"]["mass"] for info in env.reset_infos] == [1.5, 1.5]


@pytest.mark.parametrize("seed", [-1, 2**32, 2.0, True])
def test_wrong_seeds_are_refused(seed: Any) -> None:
    env = make_sb3(Sledding(), 2)
    with pytest.raises(InputError, match=f"^seed is {seed}, expected a whole number from 0 to 4294967295$"):
        env.seed(seed)
    assert len(env.seed()) == len(env.seed(2**32 - 1)) == 2


def test_a_step_without_actions_is_refused() -> None:
    env = make_sb3(Sledding(), 2, seed=0)
    env.reset()
    for _ in range(2):
        with pytest.raises(InputError, match=r"^step_wait was called without actions, expected step_async before it$"):
            env.step_wait()
        env.step(PUSH)


def test_an_ends_info_is_that_of_the_episode_which_ended() -> None:
    """The reward of a push of 1 is price * v_x - 0.5."""
    env = VecMonitor(make_sb3(Sledding(), 2, horizon=2, seed=0), info_keywords=("task", "diverged"))
    plain = env.unwrapped
    env.set_options([{"task": {"mass": 0.5}}, {"task": {"mass": 1.0}}])
    env.reset()
    assert env.step(PUSH)[3] == [{}, {}]
    infos = env.step(PUSH)[3]
    assert [info["episode"]["task"] for info in infos] == [{"mass": 0.5, "price": 0.0}, {"mass": 1.0, "price": 0.0}]
    assert [info["episode"]["diverged"] for info in infos] == [False, False]
    assert infos[1]["reward_terms"] == {"sold": 0.0, "control": -0.5}
    assert all(info["task"]["mass"] not in (0.5, 1.0) for info in plain.reset_infos)


def test_flat_infos_are_columns_of_a_monitors_file(tmp_path: Path) -> None:
    trials = make_sb3(Sledding(), 2, True, episodes_per_trial=1, horizon=2, seed=0, flat_info=True)
    env = VecMonitor(trials, str(tmp_path / "monitor.csv"), info_keywords=("task/mass", "fallen"))
    env.set_options({"task": {"mass": 0.5}})
    env.reset()
    assert env.unwrapped.reset_infos[0] == {"task/mass": 0.5, "task/price": 0.0}
    env.step(PUSH)
    env.step(PUSH)
    env.close()
    header, *rows = (tmp_path / "monitor.csv").read_text().splitlines()[1:]
    assert header == "r,l,t,task/mass,fallen"
    assert [row.split(",")[3:] for row in rows] == [["0.5", "False"]] * 2


@pytest.mark.parametrize("trials", [False, True])
@pytest.mark.skipif(not opengl_works(), reason="OpenGL does not work here")
def test_frames_are_tiled_and_told_to_recorders(trials: bool) -> None:
    env = make_sb3("HalfCheetahDir", 2, trials, seed=0, render_mode="rgb_array")
    env.reset()
    assert env.render_mode == "rgb_array"
    told: dict[str, Any] = env.metadata
    assert told["render_fps"] == 20
    images = env.get_images()
    tiled = env.render()
    assert tiled is not None
    assert images[0] is not None
    assert tiled.shape == (2 * images[0].shape[0], images[0].shape[1], 3) or tiled.shape[1] == 2 * images[0].shape[1]
    before = [np.array(image) for image in images]
    for _ in range(5):
        env.step(np.ones((2, 6), dtype=np.float32))
    assert all((old != new).any() for old, new in zip(before, env.get_images(), strict=True))
    env.close()


@pytest.mark.skipif(not opengl_works(), reason="OpenGL does not work here")
def test_their_recorder_films_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "moviepy", np)  # it is asked for, and used when a film is written
    films: list[int] = []
    monkeypatch.setattr(VecVideoRecorder, "_stop_recording", lambda recorder: films.append(stopped(recorder)))

    def stopped(recorder: VecVideoRecorder) -> int:
        frames, recorder.recorded_frames, recorder.recording = recorder.recorded_frames, [], False
        return len(frames)

    made = make_sb3("HalfCheetahDir", 2, True, seed=0, render_mode="rgb_array")
    recorder = VecVideoRecorder(made, str(tmp_path), lambda step: step == 0, video_length=2)
    recorder.reset()
    for _ in range(3):
        recorder.step(np.zeros((2, 6), dtype=np.float32))
    assert films == [3]
    recorder.close()


def test_without_a_render_mode_there_are_no_frames() -> None:
    env = make_sb3("HalfCheetahDir", 2, seed=0)
    env.reset()
    assert env.render_mode is None
    assert env.get_images() == [None, None]


def test_wrong_actions_and_trials_without_trials_are_refused() -> None:
    env = make_sb3(Sledding(), 2, seed=0)
    env.reset()
    with pytest.raises(ActionError, match=r"^dtype of actions is <U4, expected real numbers$"):
        env.step(np.array([["left"], ["left"]]))
    with pytest.raises(InputError, match=r"^episodes_per_trial is 3, expected None: trials=True makes trials$"):
        make_sb3(Sledding(), 2, episodes_per_trial=3)


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
