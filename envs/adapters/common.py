"""What the Gymnasium environments share: spaces, the options of a reset, what info holds."""

from collections.abc import Mapping
from copy import deepcopy
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from gymnasium.spaces import Box
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray
from torch import Tensor

from limbshift.envs.errors import InputError
from limbshift.envs.family import TaskFamily
from limbshift.envs.task_env import TaskEnv, TaskStep
from limbshift.envs.tasks.parameter import Task, TaskError

if TYPE_CHECKING:
    from limbshift.envs.rendering import TaskRenderer

Floats = NDArray[np.float32]
Info = dict[str, Any]
AnyVectorEnv = VectorEnv[Floats, Floats, NDArray[Any]]
_LARGEST = float(np.finfo(np.float32).max)
"""Observations are finite, and no more is known of them."""


class Frames:
    """Draws a TaskEnv's simulations; OpenGL is not touched before the first frame, so that training needs none."""

    def __init__(self, tasks: TaskEnv) -> None:
        self._task_env = tasks
        self._renderer: TaskRenderer | None = None

    def of(self, sim: int) -> NDArray[np.uint8]:
        """Returns a frame of simulation number sim, (H, W, 3) uint8."""
        from limbshift.envs.rendering import TaskRenderer

        if self._renderer is None:
            self._renderer = TaskRenderer(self._task_env.family)
        task = {name: float(values[sim]) for name, values in self._task_env.task.items()}
        return self._renderer.frame(self._task_env.physics, sim, task)

    def close(self) -> None:
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None


def choose_tasks(tasks: TaskEnv, options: Mapping[str, Any] | None, may_keep: bool) -> None:
    """Gives every simulation the task that the options of a reset ask for, or else its next one."""
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
        tasks.set_tasks(_task_rows(options["task"], tasks.num_envs), tasks.all_envs)
    else:
        tasks.begin_tasks(tasks.all_envs)


def _task_rows(task: object, num_envs: int) -> list[Task]:
    """Returns a task for each env, from a mapping whose values are numbers or (N,) arrays."""
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


def reward_terms(step: TaskStep) -> dict[str, Tensor]:
    """Returns new tensors: the reward's terms, (N,) each, which are 0 with the reward where a simulation diverged."""
    return {name: value.masked_fill(step.diverged, 0.0) for name, value in step.terms.items()}


def final_info(obs: Floats, infos: Info, ended: NDArray[np.bool_]) -> Info:
    """Returns what info says of episodes that ended, in Gymnasium's form: None for the others' observations."""
    final_obs = np.full(len(ended), None, dtype=object)
    for env in np.flatnonzero(ended):
        final_obs[env] = obs[env]
    final_info = deepcopy(infos)
    return {"final_obs": final_obs, "_final_obs": ended.copy(), "final_info": final_info, "_final_info": ended.copy()}


def observation_space(obs_dim: int) -> Box[np.float32]:
    return Box(-_LARGEST, _LARGEST, (obs_dim,), np.float32)


def action_space(tasks: TaskEnv) -> Box[np.float32]:
    low, high = (bound.to(torch.float32).numpy() for bound in (tasks.action_low, tasks.action_high))
    return Box(low, high, dtype=np.float32)


def set_spaces(env: AnyVectorEnv, tasks: TaskEnv, obs_dim: int) -> None:
    env.single_observation_space = observation_space(obs_dim)
    env.single_action_space = action_space(tasks)
    env.observation_space = batch_space(env.single_observation_space, env.num_envs)
    env.action_space = batch_space(env.single_action_space, env.num_envs)


def seed_of(env: AnyVectorEnv) -> int:
    """Returns the seed that was given, or the entropy that Gymnasium drew for want of one."""
    seed = env.np_random_seed
    assert seed is not None
    return seed


def with_render_fps(common: Info, family: TaskFamily) -> Info:
    return {**common, "render_fps": round(1 / family.robot.control_timestep)}


def check_render_mode(render_mode: str | None) -> str | None:
    if render_mode not in (None, "rgb_array"):
        raise InputError(f"render_mode is {render_mode!r}, expected 'rgb_array' or None")
    return render_mode


def at_least_one(name: str, value: int) -> int:
    if not isinstance(value, Integral) or value < 1:
        raise InputError(f"{name} is {value!r}, expected a whole number of at least 1")
    return int(value)
