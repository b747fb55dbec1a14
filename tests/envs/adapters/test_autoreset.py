"""Each of Gymnasium's ways to begin anew, beside its own SyncVectorEnv of the same robots."""

from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.performance import benchmark_vector_step
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import (
    DictInfoToList,
    FlattenObservation,
    NormalizeObservation,
    NormalizeReward,
    RecordEpisodeStatistics,
    RecordVideo,
)
from numpy.typing import NDArray

from limbshift.envs.adapters.gym_env import TaskFamilyEnv
from limbshift.envs.adapters.gym_vector import TaskFamilyVectorEnv
from limbshift.envs.errors import ActionError, InputError
from tests.envs.sled import Sledding

HORIZON = 9
every_mode = pytest.mark.parametrize("mode", list(AutoresetMode), ids=lambda mode: mode.value)
waiting_mode = pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED])


class EveryThird(TaskFamilyEnv):
    """A single env that takes the tasks n, n + 3, n + 6, ... of its sequence, as one of three simulations does."""

    def __init__(self, number: int) -> None:
        super().__init__(Sledding(), horizon=HORIZON, seed=0)
        self.task_env.task_index += number - 2

    def reset(self, **given: Any) -> Any:
        self.task_env.task_index += 2
        return super().reset(**given)


def ours_and_theirs(mode: AutoresetMode) -> tuple[TaskFamilyVectorEnv, SyncVectorEnv]:
    ours = TaskFamilyVectorEnv(Sledding(), 3, horizon=HORIZON, seed=0, autoreset_mode=mode)
    theirs = SyncVectorEnv([partial(EveryThird, number) for number in range(3)], autoreset_mode=mode)
    return ours, theirs


def alone(infos: dict[str, Any]) -> list[dict[str, Any]]:
    """What a vector env's info says of each of the three, by Gymnasium's own reader."""
    reader = DictInfoToList(TaskFamilyVectorEnv(Sledding(), 3))
    told: list[dict[str, Any]] = reader._convert_info_to_list(infos)
    return told


def assert_same(mode: AutoresetMode, found: Any, expected: Any) -> None:
    for ours, theirs in zip(found[:-1], expected[:-1], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for ours, theirs in zip(alone(found[-1]), alone(expected[-1]), strict=True):
        if mode is AutoresetMode.SAME_STEP:  # where ours keeps the step's own in sight of an episode that ended too
            ours = {name: value for name, value in ours.items() if name in theirs}
        final = [told.pop("final_obs", None) for told in (ours, theirs)]
        assert ours == theirs
        np.testing.assert_array_equal(*final)


@every_mode
@pytest.mark.parametrize("options", [None, {"task": {"mass": 0.5, "price": 2.0}}])
def test_it_is_gymnasiums_vector_env_of_the_single_env(mode: AutoresetMode, options: dict[str, Any] | None) -> None:
    """A light sled that is pushed all along falls off its rail, a heavy one is truncated."""
    ours, theirs = ours_and_theirs(mode)
    assert_same(mode, ours.reset(options=options), theirs.reset(options=options))
    ends = np.zeros(2, dtype=int)
    for step in range(60):
        action = np.array([[1.0], [-1.0], [0.3 * (step % 3)]], dtype=np.float32)
        told = ours.step(action)
        assert_same(mode, told, theirs.step(action))
        ends += [told[2].sum(), told[3].sum()]
        over = told[2] | told[3]
        if mode is AutoresetMode.DISABLED and over.any():
            assert_same(mode, ours.reset(options={"reset_mask": over}), theirs.reset(options={"reset_mask": over}))
    assert ends.all()


def test_a_step_that_begins_an_episode_asks_for_nothing_and_pays_nothing() -> None:
    env = TaskFamilyVectorEnv(Sledding(), 2, horizon=1, seed=0, autoreset_mode="NextStep")
    env.reset()
    env.step(np.ones((2, 1)))
    obs, reward, terminated, truncated, infos = env.step(np.ones((2, 1)))
    assert (obs[:, 1] == 0).all()  # at rest, as each episode begins
    assert not np.stack([reward, terminated, truncated]).any()
    np.testing.assert_array_equal(infos["_reward_terms"], [False, False])
    assert "final_obs" not in infos
    assert env.step(np.ones((2, 1)))[3].all()


def test_an_action_that_comes_to_nothing_may_be_anything() -> None:
    """As in Gymnasium's: env 0 falls off its rail in its first step, and begins in its second."""
    env = TaskFamilyVectorEnv(Sledding(), 2, seed=0, autoreset_mode="NextStep")
    env.reset()
    env.task_env.physics.state("qpos")[0] = 2.0
    assert env.step(np.zeros((2, 1)))[2].tolist() == [True, False]
    with pytest.raises(ActionError, match=r"^value in actions is nan, expected finite numbers$"):
        env.step(np.array([[0.0], [np.nan]]))
    obs = env.step(np.array([[np.nan], [0.0]]))[0]
    assert np.abs(obs[0, 0]) <= 0.1  # where episodes begin


@every_mode
def test_the_mode_is_told_to_wrappers_and_taken_by_its_value(mode: AutoresetMode) -> None:
    env: Any = gym.make_vec("limbshift/HalfCheetahDir-v0", num_envs=2, autoreset_mode=mode.value)
    assert env.metadata["autoreset_mode"] is env.autoreset_mode is mode
    assert TaskFamilyVectorEnv.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    env.close()


@waiting_mode
def test_wrappers_of_observations_take_the_modes_that_they_want(mode: AutoresetMode) -> None:
    env = FlattenObservation(TaskFamilyVectorEnv("HalfCheetahDir", 2, horizon=3, seed=0, autoreset_mode=mode))
    assert env.reset()[0].shape == (2, 17)


def test_gymnasiums_normalisers_and_statistics_run_over_episode_ends() -> None:
    env: Any = TaskFamilyVectorEnv("HalfCheetahDir", 2, horizon=3, seed=0, autoreset_mode="NextStep")
    env = RecordEpisodeStatistics(NormalizeReward(NormalizeObservation(env)))
    env.reset(seed=0)
    lengths: list[int] = []
    for _ in range(8):
        *_, infos = env.step(env.action_space.sample())
        lengths += infos["episode"]["l"][infos["_episode"]].tolist() if "episode" in infos else []
    assert lengths == [3, 3, 3, 3]


@every_mode
def test_gymnasiums_benchmark_steps_it(mode: AutoresetMode) -> None:
    env = TaskFamilyVectorEnv(Sledding(), 2, horizon=2, seed=0, autoreset_mode=mode)
    assert benchmark_vector_step(env, target_duration=0, seed=0) > 0


def test_disabled_wants_a_reset_of_those_that_ended_and_of_no_others() -> None:
    env = TaskFamilyVectorEnv(Sledding(), 2, horizon=4, seed=0, autoreset_mode=AutoresetMode.DISABLED)
    tasks = env.reset()[1]["task"]["mass"]
    env.step(np.zeros((2, 1)))
    first = np.array([True, False])
    _, infos = env.reset(options={"reset_mask": first, "task": {"mass": 2.0}})
    np.testing.assert_array_equal(infos["task"]["mass"], [2.0, tasks[1]])
    ends = [env.step(np.zeros((2, 1)))[3].tolist() for _ in range(3)]
    assert ends == [[False, False], [False, False], [False, True]]
    with pytest.raises(ResetNeeded, match=r"^step was called where episodes of envs \[1\] are over, expected reset"):
        env.step(np.zeros((2, 1)))
    kept = env.reset(options={"reset_mask": ~first, "keep_task": True})[1]["task"]["mass"]
    np.testing.assert_array_equal(kept, [2.0, tasks[1]])
    assert env.step(np.zeros((2, 1)))[3].tolist() == [True, False]


NOBODY = np.zeros(2, dtype=np.bool_)


@pytest.mark.parametrize(
    ("mask", "found"),
    [
        ([True, False], r"\[True, False\]"),
        (np.ones(3, dtype=np.bool_), r"bool of \(3,\)"),
        (np.ones(2), r"float64 of \(2,\)"),
        (NOBODY, "False throughout"),
    ],
)
def test_wrong_masks_are_refused(mask: Any, found: str) -> None:
    env = TaskFamilyVectorEnv(Sledding(), 2, seed=0)
    env.reset()
    expected = "expected a NumPy array of 2 bools, not all False"
    with pytest.raises(InputError, match=f"^reset option reset_mask is {found}, {expected}$"):
        env.reset(options={"reset_mask": mask})


def test_masks_that_cannot_be_followed_are_refused() -> None:
    env = TaskFamilyVectorEnv(Sledding(), 2, seed=0)
    with pytest.raises(InputError, match=r"^reset option reset_mask is set at the first reset, expected all envs"):
        env.reset(options={"reset_mask": ~NOBODY})
    env.reset()
    with pytest.raises(InputError, match=r"^seed is 3 beside the reset option reset_mask, expected None"):
        env.reset(seed=3, options={"reset_mask": ~NOBODY})
    with pytest.raises(InputError, match=r"^autoreset_mode is 'Never', expected one of 'NextStep', 'SameStep', 'Disab"):
        TaskFamilyVectorEnv(Sledding(), 2, autoreset_mode="Never")


class Filmed(TaskFamilyVectorEnv):
    """Whose frames, for want of OpenGL, show the sleds' places, in centimetres."""

    def render(self) -> tuple[NDArray[np.uint8], ...]:
        places = self.task_env.physics.state("qpos")[:, 0].mul(100).round().abs()
        return tuple(np.full((2, 2, 3), place, dtype=np.uint8) for place in places.tolist())


def test_gymnasiums_recorder_films_the_last_frame_where_the_next_step_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From rest at 0 under a push of 1: x = 0.015, 0.05, 0.105 m, each for 0.1 v + 0.015 more."""
    monkeypatch.setitem(__import__("sys").modules, "moviepy", gym)  # it is asked for, and used when a film is written
    films: list[list[int]] = []

    def keep(self: Any) -> None:
        films.append([int(frame[0, 0, 0]) for frame in self.recorded_frames])
        self.recorded_frames, self.recording = [], False

    monkeypatch.setattr(RecordVideo, "stop_recording", keep)
    env = Filmed(Sledding(), 1, horizon=3, seed=0, autoreset_mode="NextStep", render_mode="rgb_array")
    recorder = RecordVideo(env, str(tmp_path / "films"), episode_trigger=lambda number: True)
    recorder.reset(options={"task": {"mass": 1.0}})
    start = float(env.task_env.physics.state("qpos")[0, 0]) * 100
    for _ in range(4):
        recorder.step(np.ones((1, 1), dtype=np.float32))
    assert films == [[abs(round(start + moved)) for moved in (0, 1.5, 5.0, 10.5)]]
    recorder.close()
