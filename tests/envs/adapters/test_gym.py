"""Task families and trials as Gymnasium environments."""

from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env, data_equivalence
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import DictInfoToList, RecordEpisodeStatistics
from numpy.typing import NDArray

from limbshift.envs.adapters.gym_env import TaskFamilyEnv
from limbshift.envs.adapters.gym_vector import TaskFamilyVectorEnv
from limbshift.envs.adapters.make import make_trials
from limbshift.envs.catalogue import families, register_envs
from limbshift.envs.errors import ActionError, InputError
from limbshift.envs.robots.half_cheetah import HalfCheetahDir
from limbshift.envs.tasks.parameter import TaskError
from tests.envs.adapters.opengl import opengl_works
from tests.envs.sled import Sledding

Array = NDArray[Any]

register_envs()

FAMILIES = families()
KINDS = ("single", "vector", "trials")


def cheetah(**settings: Any) -> TaskFamilyEnv:
    return TaskFamilyEnv("HalfCheetahDir", **{"seed": 0, **settings})


def make(kind: str, family: str) -> Any:
    """A single env, 3 in a vector env, or 3 trials: each ends after 4 steps."""
    if kind == "single":
        return TaskFamilyEnv(family, horizon=4, seed=0)
    if kind == "vector":
        return TaskFamilyVectorEnv(family, 3, horizon=4, seed=0)
    return make_trials(family, 3, episodes_per_trial=2, horizon=2, seed=0)


def actions(*shape: int) -> Array:
    """Within and a little beyond the motors' range."""
    return np.random.default_rng(5).uniform(-1.2, 1.2, shape).astype(np.float32)


def play(env: Any, steps: int, seed: int) -> list[Any]:
    """All that an env says over a reset and some steps, or until a single env's robot falls."""
    told: list[Any] = [env.reset(seed=seed)]
    for action in actions(steps, *env.action_space.shape):
        told.append(env.step(action))
        if told[-1][2] is True:
            break
    return told


# Every family


@pytest.mark.filterwarnings("ignore:.*symmetric and normalized space")  # InvertedPendulum's motor takes -3 to 3
@pytest.mark.parametrize("name", FAMILIES)
def test_gymnasium_checker_finds_nothing(name: str) -> None:
    env = gym.make(f"limbshift/{name}-v0")
    check_env(env.unwrapped, skip_render_check=not opengl_works())
    env.close()


@pytest.mark.parametrize("name", FAMILIES)
def test_spaces_are_float32_and_hold_what_is_seen(name: str) -> None:
    env = TaskFamilyEnv(name, seed=0)
    obs, info = env.reset()
    assert obs in env.observation_space
    assert obs.dtype == env.observation_space.dtype == env.action_space.dtype == np.float32
    ctrlrange = env.family.robot.model.actuator_ctrlrange
    assert isinstance(env.action_space, gym.spaces.Box)
    bounds = np.stack([env.action_space.low, env.action_space.high], axis=1)
    np.testing.assert_array_equal(bounds, ctrlrange.astype(np.float32))
    assert list(info["task"]) == [parameter.name for parameter in env.family.parameters]
    assert all(type(value) is float for value in info["task"].values())


@pytest.mark.parametrize("name", FAMILIES)
def test_reward_terms_add_up(name: str) -> None:
    env = make("single", name)
    env.reset()
    _, reward, _, _, info = env.step(actions(*env.action_space.shape))
    assert reduce(add, info["reward_terms"].values()) == reward  # one by one: sum() is more exact from Python 3.12 on


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_makes_everything(name: str, kind: str) -> None:
    steps = 4 if kind == "single" else 6
    env = make(kind, name)
    first = play(env, steps, seed=3)
    assert data_equivalence(first, play(env, steps, seed=3), exact=True)
    assert data_equivalence(first, play(make(kind, name), steps, seed=3), exact=True)
    assert not data_equivalence(first, play(env, steps, seed=4))


@pytest.mark.parametrize("name", FAMILIES)
def test_vector_env_is_the_single_env_many_times(name: str) -> None:
    """Sim n of 3 plays the single env's task n, and after its horizon of 4 steps the task n + 3."""
    single, vector = make("single", name), make("vector", name)
    given = actions(8, *vector.action_space.shape)
    obs, infos = vector.reset()
    told = [(obs, None, None, None, infos), *(vector.step(action) for action in given)]
    for episode in range(2):
        begin = 4 * episode
        for n in range(3):
            alone, info = single.reset()
            np.testing.assert_array_equal(told[begin][0][n], alone)
            assert {key: values[n] for key, values in told[begin][4]["task"].items()} == info["task"]
            for step in range(begin, begin + 4):
                alone, *alone_told, info = single.step(given[step, n])
                obs, *env_told, infos = told[step + 1]
                assert [values[n] for values in env_told] == alone_told
                np.testing.assert_array_equal(infos["final_obs"][n] if alone_told[2] else obs[n], alone)
                assert {key: values[n] for key, values in infos["reward_terms"].items()} == info["reward_terms"]


# Against MuJoCo and Gymnasium


def test_equals_a_loop_of_mj_step_bit_for_bit() -> None:
    env = cheetah(horizon=60)
    obs, _ = env.reset(options={"task": {"direction": -1}})
    model = env.family.robot.model
    data = mujoco.MjData(model)
    data.qpos[:], data.qvel[:] = (env.task_env.physics.state(name)[0].numpy() for name in ("qpos", "qvel"))
    mujoco.mj_forward(model, data)
    for action in actions(60, 6):
        before = data.qpos[0]
        data.ctrl[:] = np.clip(action, -1, 1)
        for _ in range(5):
            mujoco.mj_step(model, data)
        obs, reward, _, _, info = env.step(action)
        np.testing.assert_array_equal(obs, np.concatenate([data.qpos[1:], data.qvel]).astype(np.float32))
        assert info["reward_terms"]["run"] == -(data.qpos[0] - before) / (5 * model.opt.timestep)
        assert reward == pytest.approx(info["reward_terms"]["run"] - 0.05 * np.square(data.ctrl).sum(), abs=1e-12)


@pytest.mark.filterwarnings("ignore:MuJoCo.*settotalmass")
def test_equals_gymnasiums_half_cheetah_bit_for_bit() -> None:
    theirs: Any = gym.make("HalfCheetah-v5").unwrapped
    ours = cheetah()
    ours.reset()
    expected, _ = theirs.reset(seed=1)
    seen = ours.set_state(theirs.data.qpos, theirs.data.qvel)
    for action in np.clip(actions(60, 6), -1, 1):
        np.testing.assert_array_equal(seen, expected.astype(np.float32))
        expected, *_ = theirs.step(action)
        seen, *_ = ours.step(action)
    theirs.close()


# Tasks


def test_reset_draws_sets_and_keeps_tasks() -> None:
    env = TaskFamilyEnv("HalfCheetahLimbsDir", seed=0)
    drawn = env.reset()[1]["task"]
    again = env.reset()[1]["task"]
    assert drawn != again
    given = env.reset(options={"task": {"torso_mass": 2.0}})[1]["task"]
    assert given == {**env.family.nominal, "torso_mass": 2.0}
    obs, info = env.reset(options={"keep_task": True})
    assert info["task"] == given
    assert (env.reset(options={"keep_task": True})[0] != obs).all()  # the initial state is another
    assert env.reset(options={"keep_task": False})[1]["task"] != given
    mass = env.task_env.physics.model_field("body_mass")
    env.reset(options={"task": {}})
    np.testing.assert_array_equal(mass[0], env.family.robot.model.body_mass)


def test_vector_env_takes_numbers_and_arrays_as_tasks() -> None:
    env = TaskFamilyVectorEnv("HalfCheetahLimbsDir", 2, seed=0)
    options = {"task": {"bfoot_mass": np.array([0.5, 3.0]), "direction": -1}}
    task = env.reset(options=options)[1]["task"]
    np.testing.assert_array_equal(task["bfoot_mass"], [0.5, 3.0])
    np.testing.assert_array_equal(task["direction"], [-1, -1])
    np.testing.assert_array_equal(task["torso_mass"], [1, 1])
    kept = env.reset(options={"keep_task": True})[1]["task"]
    np.testing.assert_array_equal(kept["bfoot_mass"], [0.5, 3.0])


def test_seed_of_reset_overrides_the_constructors() -> None:
    def first_task(seed: int | None, reset_seed: int | None = None) -> Any:
        return TaskFamilyEnv("HalfCheetahVel", seed=seed).reset(seed=reset_seed)[1]["task"]

    assert first_task(1) == first_task(1) == first_task(2, reset_seed=1) != first_task(2)
    assert first_task(None) != first_task(None)
    env = TaskFamilyEnv("HalfCheetahVel", seed=1)
    tasks = [env.reset()[1]["task"], env.reset()[1]["task"]]
    assert [env.reset(seed=1)[1]["task"], env.reset()[1]["task"]] == tasks


def test_splits_and_variants_reach_the_env() -> None:
    faster = TaskFamilyVectorEnv("HalfCheetahVel", 20, split="extrapolation", seed=0)
    assert (faster.reset()[1]["task"]["target_velocity"] > 3).all()
    dense = TaskFamilyEnv("ReacherGoal", variant="dense", seed=0)
    dense.reset()
    assert list(dense.step(np.zeros(2))[4]["reward_terms"]) == ["distance"]


def test_a_family_of_the_users_own_is_taken_as_it_is() -> None:
    family = Sledding("free")
    assert TaskFamilyEnv(family).family is TaskFamilyVectorEnv(family).family is make_trials(family, 1).family is family


# Episodes


def test_single_env_is_truncated_and_then_refuses_to_step() -> None:
    env = cheetah(horizon=2)
    env.reset()
    assert [env.step(np.zeros(6))[2:4] for _ in range(2)] == [(False, False), (False, True)]
    with pytest.raises(ResetNeeded, match="outside an episode"):
        env.step(np.zeros(6))
    env.reset()
    assert env.step(np.zeros(6))[2:4] == (False, False)


def test_horizon_is_200_or_the_familys_own() -> None:
    assert TaskFamilyEnv("ReacherGoal").horizon == TaskFamilyVectorEnv("ReacherGoal").horizon == 200
    assert TaskFamilyEnv("ReacherGoal", horizon=None).horizon == 50


def test_a_fall_terminates_the_single_env() -> None:
    env = TaskFamilyEnv(Sledding(), seed=0)
    env.reset()
    # x' = x + 0.1 v + 0.015 a = 0.95 + 0.1 + 0 > 1
    env.set_state([0.95], [1.0])
    obs, _, terminated, truncated, info = env.step([0.0])
    assert (terminated, truncated, info["diverged"]) == (True, False, False)
    np.testing.assert_allclose(obs, [1.05, 1.0], rtol=1e-6)
    with pytest.raises(ResetNeeded):
        env.step([0.0])


def test_vector_env_begins_anew_in_the_same_step() -> None:
    """Env 0 falls in its first step, env 1 goes on to its horizon of 2; each then has the next task, alone."""
    env = TaskFamilyVectorEnv(Sledding(), 2, horizon=2, seed=0)
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    _, infos = env.reset()
    masses = infos["task"]["mass"]
    env.task_env.physics.state("qpos")[0] = 0.95
    env.task_env.physics.state("qvel")[0] = 1.0
    obs, _, terminated, truncated, infos = env.step(np.zeros((2, 1)))
    np.testing.assert_array_equal([terminated, truncated], [[True, False], [False, False]])
    np.testing.assert_array_equal(infos["_final_obs"], [True, False])
    np.testing.assert_array_equal(infos["_final_info"], [True, False])
    np.testing.assert_allclose(infos["final_obs"][0], [1.05, 1.0], rtol=1e-6)
    assert infos["final_obs"][1] is None
    assert infos["final_info"]["task"]["mass"][0] == masses[0] != infos["task"]["mass"][0]
    assert infos["task"]["mass"][1] == masses[1]
    assert np.abs(obs[0, 0]) <= 0.1  # an initial state
    assert obs[0, 1] == 0
    _, _, terminated, truncated, infos = env.step(np.zeros((2, 1)))
    np.testing.assert_array_equal([terminated, truncated], [[False, False], [False, True]])
    np.testing.assert_array_equal(infos["_final_obs"], [False, True])


def test_info_goes_through_gymnasiums_vector_wrappers() -> None:
    env = DictInfoToList(RecordEpisodeStatistics(TaskFamilyVectorEnv("HalfCheetahDir", 2, horizon=2, seed=0)))
    env.reset()
    env.step(actions(2, 6))
    infos: Any = env.step(actions(2, 6))[4]
    assert [info["episode"]["l"] for info in infos] == [2, 2]
    assert [set(info) for info in infos] == [
        {"task", "reward_terms", "diverged", "final_obs", "final_info", "episode"}
    ] * 2


@pytest.mark.parametrize("kind", ["sync", "vector_entry_point"])
def test_gymnasium_makes_vector_envs(kind: str) -> None:
    env = gym.make_vec("limbshift/HalfCheetahVel-v0", num_envs=3, vectorization_mode=kind, horizon=5, split="heldout")
    obs, infos = env.reset(seed=0)
    assert obs.shape == (3, 17)
    assert infos["task"]["target_velocity"].shape == (3,)
    env.close()


# Trials


def test_layout_names_all_of_a_trials_observation() -> None:
    env = make_trials("HalfCheetahDir", 2, seed=0)
    assert env.layout == {
        "obs": slice(0, 17),
        "previous_action": slice(17, 23),
        "previous_reward": slice(23, 24),
        "boundary": slice(24, 25),
    }
    assert env.single_observation_space.shape == (25,)
    assert (env.episodes_per_trial, env.horizon) == (2, 200)


def test_a_trial_is_one_episode_of_the_public_env() -> None:
    """Two slots of two steps: boundary 1 after reset, after the first slot, and on the next trial's first step."""
    env = make_trials(Sledding(), 3, episodes_per_trial=2, horizon=2, seed=0)
    obs, infos = env.reset()
    tasks, boundary = [infos["task"]["mass"]], [obs[:, env.layout["boundary"]]]
    for step in range(4):
        action = np.full((3, 1), 0.1 * (step + 1), dtype=np.float32)
        obs, reward, terminated, truncated, infos = env.step(action)
        assert not terminated.any()
        assert (truncated == (step == 3)).all()
        assert ("final_obs" in infos) == (step == 3)
        seen = np.stack(infos["final_obs"]) if step == 3 else obs
        np.testing.assert_array_equal(seen[:, env.layout["previous_action"]], action)
        np.testing.assert_array_equal(seen[:, env.layout["previous_reward"]][:, 0], reward.astype(np.float32))
        tasks.append(infos["task"]["mass"])
        boundary.append(obs[:, env.layout["boundary"]])
    np.testing.assert_array_equal(np.hstack(boundary), [[1, 0, 1, 0, 1]] * 3)
    np.testing.assert_array_equal(tasks[:4], np.tile(tasks[0], (4, 1)))
    assert (tasks[4] != tasks[0]).all()
    np.testing.assert_array_equal(infos["final_info"]["task"]["mass"], tasks[0])
    assert not obs[:, env.layout["previous_action"]].any()
    assert not obs[:, env.layout["previous_reward"]].any()


def test_a_fall_inside_a_trial_does_not_end_it() -> None:
    env = make_trials(Sledding(), 2, episodes_per_trial=1, horizon=3, seed=0)
    env.reset()
    env.trials.task_env.physics.state("qpos")[1] = 2.0
    obs, _, terminated, truncated, infos = env.step(np.zeros((2, 1)))
    assert not (terminated | truncated).any()
    np.testing.assert_array_equal(infos["fallen"], [False, True])
    assert not infos["diverged"].any()
    np.testing.assert_array_equal(obs[:, env.layout["boundary"]], [[0], [1]])


def test_trials_take_the_options_of_reset() -> None:
    env = make_trials("HalfCheetahVel", 2, seed=0)
    given = env.reset(options={"task": {"target_velocity": [1.0, 2.0]}})[1]["task"]["target_velocity"]
    np.testing.assert_array_equal(given, [1, 2])
    kept = env.reset(options={"keep_task": True})[1]["task"]["target_velocity"]
    np.testing.assert_array_equal(kept, given)


# What is handed out belongs to the caller


def spoil(told: Any) -> None:
    """Overwrite all that can be."""
    if isinstance(told, dict):
        spoil(tuple(told.values()))
        told.clear()
    elif isinstance(told, tuple):
        for entry in told:
            spoil(entry)
    elif isinstance(told, np.ndarray):
        told[:] = None if told.dtype == object else 1


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_handed_out_can_be_changed_without_harm(kind: str) -> None:
    untouched, spoilt = make(kind, "HalfCheetahVel"), make(kind, "HalfCheetahVel")
    expected, found = untouched.reset(), spoilt.reset()
    for action in actions(4 if kind == "single" else 6, *untouched.action_space.shape):
        assert data_equivalence(found, expected, exact=True)
        spoil(found)
        given = action.copy()
        expected, found = untouched.step(action), spoilt.step(given)
        given[:] = 0
    assert data_equivalence(found, expected, exact=True)


# Divergence


def test_a_divergence_ends_the_episode_quietly(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where MuJoCo would leave its log
    env = cheetah()
    env.reset()
    env.set_state(np.zeros(9), np.full(9, 1e9))
    obs, reward, terminated, truncated, info = env.step(np.ones(6))
    assert np.isfinite(obs).all()
    assert (reward, terminated, truncated, info["diverged"]) == (0.0, True, False, True)
    assert info["reward_terms"] == {"run": 0.0, "control": 0.0}
    assert capfd.readouterr() == ("", "")
    assert not list(tmp_path.iterdir())
    env.reset(options={"keep_task": True})
    assert env.step(np.ones(6))[4]["diverged"] is False


@pytest.mark.parametrize("kind", ["vector", "trials"])
def test_a_divergence_leaves_the_neighbours_alone(kind: str) -> None:
    sound, broken = make(kind, "HalfCheetahDir"), make(kind, "HalfCheetahDir")
    sound.reset()
    broken.reset()
    tasks = broken.task_env if kind == "vector" else broken.trials.task_env
    tasks.physics.state("qvel")[1] = 1e9
    action = actions(3, 6)
    obs, reward, terminated, truncated, infos = broken.step(action)
    np.testing.assert_array_equal(infos["diverged"], [False, True, False])
    np.testing.assert_array_equal(terminated, [False, kind == "vector", False])
    assert not truncated.any()
    assert reward[1] == 0
    assert np.isfinite(obs).all()
    np.testing.assert_array_equal(obs[::2], sound.step(action)[0][::2])
    obs, *_, infos = broken.step(action)
    assert not infos["diverged"].any()
    np.testing.assert_array_equal(obs[::2, :17], sound.step(action)[0][::2, :17])


# Wrong input


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (np.zeros(5), r"shape of action is \(5,\), expected \(6,\)"),
        (np.zeros((1, 6)), r"shape of action is \(1, 6\), expected \(6,\)"),
        (np.array([0, 0, np.nan, 0, 0, 0]), "value in action is nan, expected finite numbers"),
    ],
)
def test_wrong_actions_are_refused(action: Array, message: str) -> None:
    env = cheetah()
    env.reset()
    with pytest.raises(ActionError, match=f"^{message}$"):
        env.step(action)


def test_wrong_actions_of_vector_envs_are_refused() -> None:
    env = TaskFamilyVectorEnv("HalfCheetahDir", 2)
    env.reset()
    with pytest.raises(ActionError, match=r"^shape of actions is \(6,\), expected \(2, 6\)$"):
        env.step(np.zeros(6))


def test_steps_and_states_before_a_first_reset_are_refused() -> None:
    single, vector, trials = cheetah(), TaskFamilyVectorEnv("HalfCheetahDir", 2), make_trials("HalfCheetahDir", 2)
    with pytest.raises(ResetNeeded):
        single.step(np.zeros(6))
    with pytest.raises(ResetNeeded):
        single.set_state(np.zeros(9), np.zeros(9))
    with pytest.raises(ResetNeeded):
        vector.step(np.zeros((2, 6)))
    with pytest.raises(ResetNeeded):
        trials.step(np.zeros((2, 6)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tasks": {}}, "reset option is 'tasks', expected task or keep_task"),
        ({"keep_task": True}, "reset option keep_task is set at the first reset, expected a task to keep"),
        ({"keep_task": True, "task": {}}, "reset options hold both task and keep_task, expected one of them"),
        ({"task": 3}, "task is 3, expected a mapping from parameter to value"),
        ({"task": {"mass": 2.0}}, "task parameter 'mass' does not exist, expected one of direction"),
        ({"task": {"direction": "left"}}, "task parameter direction is 'left', expected a number"),
        ({"task": {"direction": 0.5}}, "task parameter direction is 0.5, expected -1 or 1"),
        ({"task": {"direction": np.nan}}, "task parameter direction is nan, expected a finite number"),
        ({"task": {"direction": [1, 1, 1]}}, r"task parameter direction has shape \(3,\), expected \(\) or \(1,\)"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}$"):
        cheetah().reset(options=options)


def test_a_mass_factor_of_zero_is_refused() -> None:
    with pytest.raises(TaskError, match="torso_mass is 0, expected a number above 0"):
        TaskFamilyEnv("HalfCheetahLimbs").reset(options={"task": {"torso_mass": 0}})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"family": "HalfCheetaDir"}, "unknown task family 'HalfCheetaDir': did you mean HalfCheetahDir?"),
        ({"split": "test"}, "split is 'test', expected one of train, heldout, validation"),
        ({"variant": "x"}, "variant of HalfCheetahDir is 'x', expected one of default, gymnasium"),
        ({"num_envs": 0}, "num_envs is 0, expected a whole number from 1 to 1000000"),
        ({"horizon": 0}, "horizon is 0, expected a whole number from 1 to 1000000"),
        ({"horizon": 2.5}, "horizon is 2.5, expected a whole number from 1 to 1000000"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    for make in (TaskFamilyVectorEnv, make_trials):
        with pytest.raises(InputError) as caught:
            make(**{"family": "HalfCheetahDir", "num_envs": 2, **settings})
        assert str(caught.value) == message


def test_wrong_render_modes_and_trials_of_nothing_are_refused() -> None:
    with pytest.raises(InputError, match=r"^render_mode is 'human', expected 'rgb_array' or None$"):
        cheetah(render_mode="human")
    with pytest.raises(InputError, match=r"^episodes_per_trial is 0, expected a whole number from 1 to 1000000$"):
        make_trials("HalfCheetahDir", 2, episodes_per_trial=0)


@pytest.mark.parametrize(
    ("qpos", "qvel", "message"),
    [
        (np.zeros(8), np.zeros(9), r"shape of qpos is \(8,\), expected \(9,\)"),
        (np.zeros(9), np.full(9, np.nan), r"value in qvel is nan, expected finite numbers"),
        (np.full(9, 1e11), np.zeros(9), r"value in qpos is 1e\+11, expected numbers within 1e\+10 of zero"),
    ],
)
def test_wrong_states_are_refused_and_change_nothing(qpos: Array, qvel: Array, message: str) -> None:
    env = cheetah()
    env.reset()
    before = env.task_env.observe()
    with pytest.raises(InputError, match=f"^{message}$"):
        env.set_state(qpos, qvel)
    assert env.task_env.observe().equal(before)


# States and frames


def test_set_state_forgets_the_motion_so_far() -> None:
    rested, tired = cheetah(), cheetah()
    rested.reset()
    tired.reset()
    for action in actions(20, 6):
        tired.step(action)
    landing = [0, -0.1, 0, 0, 0, 0, 0, 0, 0], [0, -1, 0, 0, 0, 0, 0, 0, 0]
    np.testing.assert_array_equal(rested.set_state(*landing), tired.set_state(*landing))
    for action in actions(5, 6):
        rested.step(action)
        tired.step(action)
        for name in ("time", "qpos", "qvel"):
            assert rested.task_env.physics.state(name).equal(tired.task_env.physics.state(name))


def test_set_state_drops_actions_that_have_not_arrived() -> None:
    """Three pushes are on their way to the motors, three steps late: none of them moves the robot that is set anew."""
    pushed, fresh = (TaskFamilyEnv("HalfCheetahHardware", seed=0) for _ in range(2))
    for env in (pushed, fresh):
        env.reset(options={"task": {"action_delay": 3.0}})
    for _ in range(3):
        pushed.step(np.ones(6))
    place = [0, -0.1, 0, 0, 0, 0, 0, 0, 0], np.zeros(9)
    np.testing.assert_array_equal(pushed.set_state(*place), fresh.set_state(*place))
    for _ in range(3):
        np.testing.assert_array_equal(pushed.step(np.zeros(6))[0], fresh.step(np.zeros(6))[0])


def test_set_state_leaves_a_goal_where_it_is() -> None:
    env = TaskFamilyEnv("ReacherGoal", seed=0)
    env.reset(options={"task": {"goal_x": 0.1, "goal_y": -0.05}})
    env.set_state([0.5, 0.5, 0.0, 0.0], np.zeros(4))
    np.testing.assert_array_equal(env.task_env.physics.state("qpos")[0], [0.5, 0.5, 0.1, -0.05])


@pytest.mark.skipif(not opengl_works(), reason="OpenGL does not work here")
def test_frames_show_the_motion_and_do_not_change_it() -> None:
    filmed = TaskFamilyVectorEnv("HalfCheetahDir", 2, render_mode="rgb_array", seed=0)
    unseen = TaskFamilyVectorEnv("HalfCheetahDir", 2, seed=0)
    filmed.reset()
    unseen.reset()
    assert unseen.render() is None
    first = filmed.render()
    assert first is not None
    assert [frame.shape for frame in first] == [first[0].shape] * 2
    for action in actions(5, 2, 6):
        np.testing.assert_array_equal(filmed.step(action)[0], unseen.step(action)[0])
        later = filmed.render()
    assert later is not None
    assert all((a != b).any() for a, b in zip(first, later, strict=True))
    filmed.close()


def test_import_makes_the_families_known_and_no_env_twice() -> None:
    known = dict(gym.registry)
    register_envs()
    assert gym.registry == known
    assert isinstance(TaskFamilyEnv(HalfCheetahDir()).family, HalfCheetahDir)
    for name in FAMILIES:
        spec = gym.spec(f"limbshift/{name}-v0")
        assert spec.entry_point == "limbshift.envs.adapters.gym_env:TaskFamilyEnv"
        assert spec.vector_entry_point == "limbshift.envs.adapters.gym_vector:TaskFamilyVectorEnv"
