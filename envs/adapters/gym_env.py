"""A task family as a single Gymnasium environment."""

import functools
import math
import operator
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
import torch
from gymnasium.error import ResetNeeded
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from limbshift.envs.adapters.common import (
    Floats,
    Frames,
    SpecAsText,
    action_space,
    check_render_mode,
    check_seed,
    chosen_family,
    observation_space,
    refuse_copied_seed,
    refuse_later_limit,
    steps_of_episode,
    with_render_fps,
)
from limbshift.envs.adapters.infos import Info, flattened_alone
from limbshift.envs.adapters.options import choose_tasks
from limbshift.envs.errors import ActionError, ArgumentError, InputError
from limbshift.envs.family import TaskFamily
from limbshift.envs.given import flag, numbers
from limbshift.envs.task_env import TaskEnv
from limbshift.envs.task_step import Moved

OF_VECTOR_ENVS = ("num_envs", "vectorization_mode", "vector_kwargs", "autoreset_mode")


class TaskFamilyEnv(gym.Env[Floats, Floats]):
    """One robot, and a task of its family that changes at each reset.

    Observations are the robot's own, (obs_dim,) float32, as its class in `envs.robots` lists them;
    the task is not among them. Actions are (action_dim,), and clipped to the motors' range.

    An episode is truncated after `horizon` steps (None for the family's own number) and terminated
    where the robot falls or its simulation diverges. After a divergence the observation is finite
    and the reward 0. The env never resets itself. Gymnasium's `max_episode_steps` can make episodes
    shorter, but not longer than the horizon.

    `reset` draws the next task of the split. Its options are "task", a mapping from parameter to
    value (what is left out is nominal), and "keep_task": True. Two envs of one seed draw the same
    tasks and initial states; with no seed given, here or to `reset`, the system's entropy is drawn.
    A copy, by `copy.deepcopy` or `pickle`, goes on as the original does.

    | info | what |
    |---|---|
    | "task" | the value of each task parameter |
    | "reward_terms" | the terms whose sum is the reward; after a step only |
    | "diverged" | whether the simulation diverged; after a step only |

    `flat_info` names them "task/<parameter>" and "reward_terms/<term>", without mappings inside, and gives NumPy's
    numbers, for readers that know these alone.

    `gym.make` with the spec of a vector env makes one robot of it: what such an env alone is told
    is taken with its "vectorization_mode", and ignored.

    Raises an InputError for an unknown family, variant, split, option or task parameter, and for
    values and actions that cannot be used; Gymnasium's ResetNeeded for a step outside an episode.

    >>> env = TaskFamilyEnv("HalfCheetahVel", seed=0)
    >>> obs, info = env.reset(options={"task": {"target_velocity": 1.5}})
    >>> obs, reward, terminated, truncated, info = env.step(env.action_space.sample())
    >>> obs.shape, info["task"], sorted(info["reward_terms"])
    ((17,), {'target_velocity': 1.5}, ['control', 'speed'])
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"]}

    spec = SpecAsText()

    def __init__(
        self,
        family: str | TaskFamily,
        split: str = "train",
        variant: str = "default",
        *,
        horizon: int | None = 200,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
        flat_info: bool = False,
        seed: int | None = None,
        **of_vector_env: Any,
    ) -> None:
        _refuse_unknown(of_vector_env)
        seed = check_seed(seed)
        refuse_copied_seed(seed)
        super().reset(seed=seed)
        self.family = chosen_family(family, variant)
        self.horizon = steps_of_episode(self.family, horizon, max_episode_steps)
        refuse_later_limit(self.horizon)
        self.render_mode = check_render_mode(render_mode)
        self.task_env = TaskEnv(self.family, 1, split, seed=self.np_random_seed)
        self.observation_space = observation_space(self.task_env.obs_dim)
        self.action_space = action_space(self.task_env)
        self.metadata = with_render_fps(self.metadata, self.family)
        self._flat_info = flag("flat_info", flat_info)
        self._frames = Frames(self.task_env)
        self._task: dict[str, float] = {}
        self._begun = False
        self._steps_left = 0

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[Floats, Info]:
        """Begins an episode; returns the (obs_dim,) observation, and info."""
        if seed is not None:
            super().reset(seed=check_seed(seed))
            self.task_env.seed(self.np_random_seed)
        choose_tasks(self.task_env, options, may_keep=self._begun)
        self.task_env.begin_episodes(self.task_env.all_envs)
        self._begun = True
        self._task = self.task_env.task_of(0)
        self._steps_left = self.horizon
        return self._observe(), self._told({"task": self._task.copy()})

    def step(self, action: ArrayLike) -> tuple[Floats, float, bool, bool, Info]:
        """Executes an (action_dim,) action; returns observation, reward, terminated, truncated, and info."""
        if not self._steps_left:
            raise ResetNeeded("step was called outside an episode, expected reset before it")
        given = numbers("action", action, (self.task_env.action_dim,), error=ActionError)
        moved = self.task_env.move(given[None])
        self._steps_left -= 1
        reward, terms = self._paid(moved)
        info: Info = {"task": self._task.copy(), "reward_terms": terms, "diverged": not moved.all_sound}
        terminated, truncated = bool(moved.terminated.item()), not self._steps_left
        if terminated:
            self._steps_left = 0
        return self._observe(), reward, terminated, truncated, self._told(info)

    def set_state(self, qpos: ArrayLike, qvel: ArrayLike) -> Floats:
        """Puts the robot into a state, (nq,) and (nv,) in MuJoCo's units; returns the observation there.

        Nothing of the motion so far is left, nor actions that have not arrived; the task stays, and
        with it what shows its goal.
        """
        if not self._begun:
            raise ResetNeeded("set_state was called before reset, expected reset first")
        model, every = self.family.robot.model, self.task_env.all_envs
        self.task_env.place(_state("qpos", qpos, model.nq), _state("qvel", qvel, model.nv), every)
        return self._observe()

    def render(self) -> NDArray[np.uint8] | None:
        """Returns a frame, (H, W, 3) uint8; None without a render mode."""
        if self.render_mode is None:
            return None
        if not self._begun:
            raise ResetNeeded("render was called before reset, expected reset first")
        return self._frames.of(0)

    def close(self) -> None:
        self._frames.close()
        self.task_env.close()

    def _observe(self) -> Floats:
        obs: Floats = self.task_env.observe_native()[0]
        return obs

    def _told(self, info: Info) -> Info:
        return flattened_alone(info) if self._flat_info else info

    def _paid(self, moved: Moved) -> tuple[float, dict[str, float]]:
        """Returns the reward and its terms; one robot's are added soonest by Python itself, to the same bits."""
        if not moved.all_sound:
            return 0.0, dict.fromkeys(moved.terms, 0.0)
        terms = {name: float(term.item()) for name, term in moved.terms.items()}
        reward = functools.reduce(operator.add, terms.values())
        if not math.isfinite(reward) or any(term.dtype != torch.float64 for term in moved.terms.values()):
            reward = float(self.task_env.reward_of(moved).item())
        return reward, terms


def _refuse_unknown(arguments: Mapping[str, object]) -> None:
    """Raises an InputError unless all are arguments of a vector env, from whose spec they come."""
    for name in arguments:
        if name not in OF_VECTOR_ENVS:
            expected = "split, variant, horizon, max_episode_steps, render_mode, flat_info or seed"
            raise ArgumentError(f"got an unexpected keyword argument {name!r}, expected {expected}")
        if "vectorization_mode" not in arguments:
            raise InputError(
                f"argument {name!r} is of a vector env, expected none for a single one; gym.make_vec takes"
                ' vector_kwargs in its modes "sync" and "async"'
            )


def _state(name: str, value: ArrayLike, size: int) -> Tensor:
    """Returns a state's part, (1, size) float64; MuJoCo takes numbers beyond mjMAXVAL for a divergence."""
    array = numbers(name, value, (size,)).astype(np.float64)
    bad = array[np.abs(array) > mujoco.mjMAXVAL]
    if bad.size:
        raise InputError(f"value in {name} is {bad[0]:g}, expected numbers within {mujoco.mjMAXVAL:g} of zero")
    return torch.from_numpy(array[None])
