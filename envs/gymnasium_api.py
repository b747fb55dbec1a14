"""Task families and trials as Gymnasium environments, single and vector."""

from collections.abc import Mapping
from copy import deepcopy
from numbers import Integral
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import mujoco
import numpy as np
import torch
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

import envs.robots  # noqa: F401 (makes the families known)
from envs.errors import InputError
from envs.family import TaskFamily, families, make_family
from envs.parameters import Task, TaskError
from envs.task_env import ActionError, TaskEnv, TaskStep
from envs.trial_env import TrialEnv

if TYPE_CHECKING:
    from envs.rendering import TaskRenderer
    from envs.sb3_api import SB3VecEnv

Floats = NDArray[np.float32]
Info = dict[str, Any]

_LARGEST = float(np.finfo(np.float32).max)
"""Observations are finite, and no more is known of them."""


def register_envs() -> None:
    """Make `limbshift/<Family>-v0` known to `gym.make` and `gym.make_vec`, for all families."""
    for name in families():
        env_id = f"limbshift/{name}-v0"
        if env_id not in gym.registry:
            gym.register(
                env_id,
                entry_point=f"{__name__}:TaskFamilyEnv",
                vector_entry_point=f"{__name__}:TaskFamilyVectorEnv",
                kwargs={"family": name},
            )


class TaskFamilyEnv(gym.Env[Floats, Floats]):
    """One robot, and a task of its family that changes at each reset.

    Observations are the robot's own, (obs_dim,) float32, as its class in `envs.robots` lists them;
    the task is not among them. Actions are (action_dim,), and clipped to the motors' range.

    An episode is truncated after `horizon` steps (None for the family's own number) and terminated
    where the robot falls or its simulation diverges. After a divergence the observation is finite
    and the reward 0. The env never resets itself.

    `reset` draws the next task of the split. Its options are "task", a mapping from parameter to
    value (what is left out is nominal), and "keep_task": True. Two envs of one seed draw the same
    tasks and initial states; with no seed given, here or to `reset`, the system's entropy is drawn.

    | info | what |
    |---|---|
    | "task" | the value of each task parameter |
    | "reward_terms" | the terms whose sum is the reward; after a step only |
    | "diverged" | whether the simulation diverged; after a step only |

    Raises an InputError for an unknown family, variant, split, option or task parameter, and for
    values and actions that cannot be used; Gymnasium's ResetNeeded for a step outside an episode.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"]}

    def __init__(
        self,
        family: str | TaskFamily,
        split: str = "train",
        variant: str = "default",
        horizon: int | None = 200,
        render_mode: str | None = None,
        seed: int | None = None,
    ) -> None:
        super().reset(seed=seed)
        self.family = make_family(family, variant)
        self.horizon = _at_least_one("horizon", self.family.horizon if horizon is None else horizon)
        self.render_mode = _check_render_mode(render_mode)
        self.tasks = TaskEnv(self.family, 1, split, self.np_random_seed)
        self.observation_space = _observation_space(self.tasks.obs_dim)
        self.action_space = _action_space(self.tasks)
        self.metadata = _metadata(self.metadata, self.family)
        self._frames = _Frames(self.tasks)
        self._begun = False
        self._steps_left = 0

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[Floats, Info]:
        """Begin an episode: the (obs_dim,) observation, and info."""
        if seed is not None:
            super().reset(seed=seed)
            self.tasks.seed(seed)
        _choose_tasks(self.tasks, options, may_keep=self._begun)
        self.tasks.begin_episodes(self.tasks.every)
        self._begun = True
        self._steps_left = self.horizon
        return self._observe(), {"task": self._task()}

    def step(self, action: ArrayLike) -> tuple[Floats, float, bool, bool, Info]:
        """Execute an (action_dim,) action: observation, reward, terminated, truncated, info."""
        if not self._steps_left:
            raise ResetNeeded("step was called outside an episode, expected reset before it")
        if np.shape(action) != self.action_space.shape:
            raise ActionError(f"action has shape {np.shape(action)}, expected {self.action_space.shape}")
        step = self.tasks.step(self.tasks.check_actions(np.array(action)[None]))
        self._steps_left -= 1
        terms = {name: float(values[0]) for name, values in _terms(step).items()}
        info: Info = {"task": self._task(), "reward_terms": terms, "diverged": bool(step.diverged)}
        terminated, truncated = bool(step.terminated), not self._steps_left
        if terminated:
            self._steps_left = 0
        return self._observe(), float(step.reward), terminated, truncated, info

    def set_state(self, qpos: ArrayLike, qvel: ArrayLike) -> Floats:
        """Put the robot into a state, (nq,) and (nv,) in MuJoCo's units; returns the observation there.

        Nothing of the motion so far is left; the task stays, and with it what shows its goal.
        """
        if not self._begun:
            raise ResetNeeded("set_state was called before reset, expected reset first")
        physics, every = self.tasks.physics, self.tasks.every
        given = {"qpos": qpos, "qvel": qvel}
        checked = {name: _state(name, value, physics.state(name).shape[1]) for name, value in given.items()}
        physics.reset(every)
        for name, value in checked.items():
            physics.state(name).copy_(value)
        self.family.place_goal(physics, self.tasks.task, every)
        physics.forward(every)
        return self._observe()

    def render(self) -> NDArray[np.uint8] | None:
        """(H, W, 3) frame; None without a render mode."""
        if self.render_mode is None:
            return None
        if not self._begun:
            raise ResetNeeded("render was called before reset, expected reset first")
        return self._frames.of(0)

    def close(self) -> None:
        self._frames.close()
        self.tasks.close()

    def _observe(self) -> Floats:
        obs: Floats = self.tasks.observe()[0].numpy()
        return obs

    def _task(self) -> dict[str, float]:
        return {name: float(value) for name, value in self.tasks.task.items()}


class TaskFamilyVectorEnv(gym.vector.VectorEnv[Floats, Floats, NDArray[Any]]):
    """N robots of a family stepped together, each with its own task; what holds for `TaskFamilyEnv` holds here.

    Simulation n takes the tasks n, n + N, n + 2N, ... of the single env's sequence. Values of the
    option "task" are numbers, for all, or (N,) arrays. An episode that ends begins anew, with the
    next task, in the same step: `final_obs` and `final_info` tell of the one that ended. Entries of
    info are (N,) arrays; "task" is the one of the observation, "reward_terms" and "diverged" are
    the step's.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "autoreset_mode": AutoresetMode.SAME_STEP}

    def __init__(
        self,
        family: str | TaskFamily,
        num_envs: int = 1,
        split: str = "train",
        variant: str = "default",
        horizon: int | None = 200,
        render_mode: str | None = None,
        seed: int | None = None,
    ) -> None:
        super().reset(seed=seed)
        self.family = make_family(family, variant)
        self.num_envs = _at_least_one("num_envs", num_envs)
        self.horizon = _at_least_one("horizon", self.family.horizon if horizon is None else horizon)
        self.render_mode = _check_render_mode(render_mode)
        self.tasks = TaskEnv(self.family, self.num_envs, split, _seed_of(self))
        _set_spaces(self, self.tasks, self.tasks.obs_dim)
        self.metadata = _metadata(self.metadata, self.family)
        self._frames = _Frames(self.tasks)
        self._steps: NDArray[np.int64] | None = None
        """(N,) steps since each episode began; None before the first."""

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[Floats, Info]:
        """Begin an episode in each env: (N, obs_dim) observations, and info."""
        if seed is not None:
            super().reset(seed=seed)
            self.tasks.seed(seed)
        _choose_tasks(self.tasks, options, may_keep=self._steps is not None)
        self.tasks.begin_episodes(self.tasks.every)
        self._steps = np.zeros(self.num_envs, dtype=np.int64)
        return self.tasks.observe().numpy(), {"task": self.tasks.task_values()}

    def step(self, actions: ArrayLike) -> tuple[Floats, NDArray[Any], NDArray[Any], NDArray[Any], Info]:
        """Execute (N, action_dim) actions: observations, then (N,) rewards, terminated, truncated, and info."""
        if self._steps is None:
            raise ResetNeeded("step was called before reset, expected reset first")
        step = self.tasks.step(self.tasks.check_actions(np.array(actions)))
        self._steps += 1
        terms = {name: values.numpy() for name, values in _terms(step).items()}
        infos: Info = {
            "task": self.tasks.task_values(),
            "reward_terms": terms,
            "diverged": step.diverged.numpy().copy(),
        }
        terminated, truncated = step.terminated.numpy().copy(), self._steps >= self.horizon
        ended = terminated | truncated
        if ended.any():
            infos |= _final(self.tasks.observe().numpy(), infos, ended)
            self._begin(ended)
            infos["task"] = self.tasks.task_values()
        return self.tasks.observe().numpy(), step.reward.numpy(), terminated, truncated, infos

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """A frame (H, W, 3) of each env; None without a render mode."""
        if self.render_mode is None:
            return None
        if self._steps is None:
            raise ResetNeeded("render was called before reset, expected reset first")
        return tuple(self._frames.of(sim) for sim in range(self.num_envs))

    def close_extras(self, **kwargs: Any) -> None:
        self._frames.close()
        self.tasks.close()

    def _begin(self, ended: NDArray[np.bool_]) -> None:
        """A new task and episode for the envs that ended."""
        assert self._steps is not None
        mask = torch.from_numpy(ended)
        self.tasks.begin_tasks(mask)
        self.tasks.begin_episodes(mask)
        self._steps[ended] = 0


class TrialVectorEnv(gym.vector.VectorEnv[Floats, Floats, NDArray[Any]]):
    """N trials side by side; an episode of this env is a whole trial, as `envs.trial_env` describes it.

    Observations are (N, trial_obs_dim) float32; `layout` says where on the last axis the robot's
    observation, the previous action, the previous reward and the boundary bit lie. A trial is
    never terminated: it ends, truncated, after `episodes_per_trial * horizon` steps, all N at once,
    and the next begins in the same step, on the next tasks, with `final_obs` and `final_info`.

    | info | what, (N,) |
    |---|---|
    | "task" | the values of each task parameter |
    | "fallen" | whether the robot fell or its simulation diverged, and began its slot's next episode |
    | "diverged" | whether the simulation diverged |
    """

    metadata: dict[str, Any] = {"render_modes": [], "autoreset_mode": AutoresetMode.SAME_STEP}

    def __init__(
        self,
        family: str | TaskFamily,
        num_envs: int,
        episodes_per_trial: int | None = None,
        horizon: int | None = None,
        split: str = "train",
        seed: int | None = None,
        variant: str = "default",
    ) -> None:
        super().reset(seed=seed)
        self.family = make_family(family, variant)
        self.num_envs = _at_least_one("num_envs", num_envs)
        episodes = self.family.episodes_per_trial if episodes_per_trial is None else episodes_per_trial
        self.episodes_per_trial = _at_least_one("episodes_per_trial", episodes)
        self.horizon = _at_least_one("horizon", self.family.horizon if horizon is None else horizon)
        self.trials = TrialEnv(self.family, self.num_envs, self.episodes_per_trial, self.horizon, split, _seed_of(self))
        self.layout: dict[str, slice] = self.trials.layout._asdict()
        del self.layout["task"]  # hidden here, always
        _set_spaces(self, self.trials.tasks, self.trials.obs_dim)
        self._begun = False

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[Floats, Info]:
        """Begin a trial in each env; options as in `TaskFamilyVectorEnv`."""
        tasks = self.trials.tasks
        if seed is not None:
            super().reset(seed=seed)
            tasks.seed(seed)
        _choose_tasks(tasks, options, may_keep=self._begun)
        self._begun = True
        return self.trials.begin_trials().numpy(), {"task": tasks.task_values()}

    def step(self, actions: ArrayLike) -> tuple[Floats, NDArray[Any], NDArray[Any], NDArray[Any], Info]:
        """Execute (N, action_dim) actions: observations, then (N,) rewards, terminated, truncated, and info."""
        if not self._begun:
            raise ResetNeeded("step was called before reset, expected reset first")
        tasks = self.trials.tasks
        step = self.trials.step(tasks.check_actions(np.array(actions)))
        obs = step.obs.numpy()
        infos: Info = {
            "task": tasks.task_values(),
            "fallen": step.terminated.numpy().copy(),
            "diverged": step.diverged.numpy().copy(),
        }
        truncated = np.full(self.num_envs, step.trial_over)
        if step.trial_over:
            infos |= _final(obs, infos, truncated)
            obs = self.trials.reset().numpy()
            infos["task"] = tasks.task_values()
        return obs, step.reward.numpy(), np.zeros_like(truncated), truncated, infos

    def close_extras(self, **kwargs: Any) -> None:
        self.trials.close()


def make_trials(
    family: str | TaskFamily,
    num_envs: int,
    episodes_per_trial: int | None = None,
    horizon: int | None = None,
    split: str = "train",
    seed: int | None = None,
    variant: str = "default",
) -> TrialVectorEnv:
    """A vector env whose episode is a whole trial; the family's own trial shape unless given."""
    return TrialVectorEnv(family, num_envs, episodes_per_trial, horizon, split, seed, variant)


def make_sb3(
    family: str | TaskFamily,
    num_envs: int,
    trials: bool = False,
    *,
    split: str = "train",
    variant: str = "default",
    episodes_per_trial: int | None = None,
    horizon: int | None = None,
    seed: int | None = None,
) -> "SB3VecEnv":
    """Stable-Baselines3's VecEnv over a family's tasks: single episodes or, with trials, whole trials.

    The horizon is the family's own unless given. InputError where Stable-Baselines3 is not installed.
    """
    try:
        from envs.sb3_api import SB3VecEnv  # an optional extra
    except ImportError as error:
        raise InputError(f"{error.name} is not installed: pip install 'limbshift[rivals]'") from error
    if trials:
        return SB3VecEnv(TrialVectorEnv(family, num_envs, episodes_per_trial, horizon, split, seed, variant))
    return SB3VecEnv(TaskFamilyVectorEnv(family, num_envs, split, variant, horizon, seed=seed))


class _Frames:
    """Frames of a TaskEnv's simulations; OpenGL is not touched before the first, so that training needs none."""

    def __init__(self, tasks: TaskEnv) -> None:
        self._tasks = tasks
        self._renderer: TaskRenderer | None = None

    def of(self, sim: int) -> NDArray[np.uint8]:
        """(H, W, 3) of simulation number sim."""
        from envs.rendering import TaskRenderer

        if self._renderer is None:
            self._renderer = TaskRenderer(self._tasks.family)
        task = {name: float(values[sim]) for name, values in self._tasks.task.items()}
        return self._renderer.frame(self._tasks.physics, sim, task)

    def close(self) -> None:
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None


def _choose_tasks(tasks: TaskEnv, options: Mapping[str, Any] | None, may_keep: bool) -> None:
    """Give every simulation the task that the options of a reset ask for, or else its next one."""
    options = options or {}
    unknown = [name for name in options if name not in ("task", "keep_task")]
    if unknown:
        raise InputError(f"reset option is {unknown[0]!r}, expected task or keep_task")
    if options.get("keep_task"):
        if "task" in options:
            raise InputError("reset options hold both task and keep_task, expected one of them")
        if not may_keep:
            raise InputError("reset option keep_task is set at the first reset, expected a task to keep")
    elif "task" in options:
        tasks.set_tasks(_task_rows(options["task"], tasks.num_envs), tasks.every)
    else:
        tasks.begin_tasks(tasks.every)


def _task_rows(task: object, num_envs: int) -> list[Task]:
    """A task for each env, from a mapping whose values are numbers or (N,) arrays."""
    if not isinstance(task, Mapping):
        raise TaskError(f"task is {task!r}, expected a mapping from parameter to value")
    columns = {}
    for name, value in task.items():
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            raise TaskError(f"task parameter {name} is {value!r}, expected a number")
        if array.shape not in ((), (num_envs,)):
            raise TaskError(f"task parameter {name} has shape {array.shape}, expected () or {(num_envs,)}")
        columns[name] = np.broadcast_to(array, num_envs)
    return [{name: float(column[env]) for name, column in columns.items()} for env in range(num_envs)]


def _terms(step: TaskStep) -> dict[str, Tensor]:
    """New tensors: the reward's terms, (N,) each, which are 0 with the reward where a simulation diverged."""
    return {name: value.masked_fill(step.diverged, 0.0) for name, value in step.terms.items()}


def _final(obs: Floats, infos: Info, ended: NDArray[np.bool_]) -> Info:
    """What info says of episodes that ended, in Gymnasium's form: one observation for each, None for the others."""
    final_obs = np.full(len(ended), None, dtype=object)
    for env in np.flatnonzero(ended):
        final_obs[env] = obs[env]
    final_info = deepcopy(infos)
    return {"final_obs": final_obs, "_final_obs": ended.copy(), "final_info": final_info, "_final_info": ended.copy()}


def _state(name: str, value: ArrayLike, size: int) -> Tensor:
    """A state's (size,) part; MuJoCo takes numbers beyond mjMAXVAL for a divergence."""
    array = np.array(value, dtype=np.float64)
    if array.shape != (size,):
        raise InputError(f"{name} has shape {array.shape}, expected {(size,)}")
    bad = array[~(np.abs(array) <= mujoco.mjMAXVAL)]
    if bad.size:
        raise InputError(f"{name} holds {bad[0]:g}, expected numbers within {mujoco.mjMAXVAL:g} of zero")
    return torch.from_numpy(array)


def _observation_space(obs_dim: int) -> Box[np.float32]:
    return Box(-_LARGEST, _LARGEST, (obs_dim,), np.float32)


def _action_space(tasks: TaskEnv) -> Box[np.float32]:
    low, high = (bound.to(torch.float32).numpy() for bound in (tasks.action_low, tasks.action_high))
    return Box(low, high, dtype=np.float32)


def _set_spaces(env: TaskFamilyVectorEnv | TrialVectorEnv, tasks: TaskEnv, obs_dim: int) -> None:
    env.single_observation_space = _observation_space(obs_dim)
    env.single_action_space = _action_space(tasks)
    env.observation_space = batch_space(env.single_observation_space, env.num_envs)
    env.action_space = batch_space(env.single_action_space, env.num_envs)


def _seed_of(env: TaskFamilyVectorEnv | TrialVectorEnv) -> int:
    """The seed that was given, or the entropy that Gymnasium drew for want of one."""
    seed = env.np_random_seed
    assert seed is not None
    return seed


def _metadata(common: Info, family: TaskFamily) -> Info:
    return {**common, "render_fps": round(1 / family.robot.control_timestep)}


def _check_render_mode(render_mode: str | None) -> str | None:
    if render_mode not in (None, "rgb_array"):
        raise InputError(f"render_mode is {render_mode!r}, expected 'rgb_array' or None")
    return render_mode


def _at_least_one(name: str, value: int) -> int:
    if not isinstance(value, Integral) or value < 1:
        raise InputError(f"{name} is {value!r}, expected a whole number of at least 1")
    return int(value)
