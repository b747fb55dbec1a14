"""A task family as a single Gymnasium environment."""

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
    Info,
    action_space,
    at_least_one,
    check_render_mode,
    choose_tasks,
    observation_space,
    reward_terms,
    with_render_fps,
)
from limbshift.envs.catalogue import make_family
from limbshift.envs.errors import InputError
from limbshift.envs.family import TaskFamily
from limbshift.envs.task_env import ActionError, TaskEnv


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

    >>> env = TaskFamilyEnv("HalfCheetahVel", seed=0)
    >>> obs, info = env.reset(options={"task": {"target_velocity": 1.5}})
    >>> obs, reward, terminated, truncated, info = env.step(env.action_space.sample())
    >>> obs.shape, info["task"], sorted(info["reward_terms"])
    ((17,), {'target_velocity': 1.5}, ['control', 'speed'])
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"]}

    def __init__(
        self,
        family: str | TaskFamily,
        split: str = "train",
        variant: str = "default",
        *,
        horizon: int | None = 200,
        render_mode: str | None = None,
        seed: int | None = None,
    ) -> None:
        super().reset(seed=seed)
        self.family = make_family(family, variant)
        self.horizon = at_least_one("horizon", self.family.horizon if horizon is None else horizon)
        self.render_mode = check_render_mode(render_mode)
        self.task_env = TaskEnv(self.family, 1, split, seed=self.np_random_seed)
        self.observation_space = observation_space(self.task_env.obs_dim)
        self.action_space = action_space(self.task_env)
        self.metadata = with_render_fps(self.metadata, self.family)
        self._frames = Frames(self.task_env)
        self._begun = False
        self._steps_left = 0

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[Floats, Info]:
        """Begins an episode; returns the (obs_dim,) observation, and info."""
        if seed is not None:
            super().reset(seed=seed)
            self.task_env.seed(seed)
        choose_tasks(self.task_env, options, may_keep=self._begun)
        self.task_env.begin_episodes(self.task_env.all_envs)
        self._begun = True
        self._steps_left = self.horizon
        return self._observe(), {"task": self._task()}

    def step(self, action: ArrayLike) -> tuple[Floats, float, bool, bool, Info]:
        """Executes an (action_dim,) action; returns observation, reward, terminated, truncated, and info."""
        if not self._steps_left:
            raise ResetNeeded("step was called outside an episode, expected reset before it")
        if np.shape(action) != self.action_space.shape:
            raise ActionError(f"action has shape {np.shape(action)}, expected {self.action_space.shape}")
        step = self.task_env.step(self.task_env.check_actions(np.array(action)[None]))
        self._steps_left -= 1
        terms = {name: float(values[0]) for name, values in reward_terms(step).items()}
        info: Info = {"task": self._task(), "reward_terms": terms, "diverged": bool(step.diverged)}
        terminated, truncated = bool(step.terminated), not self._steps_left
        if terminated:
            self._steps_left = 0
        return self._observe(), float(step.reward), terminated, truncated, info

    def set_state(self, qpos: ArrayLike, qvel: ArrayLike) -> Floats:
        """Puts the robot into a state, (nq,) and (nv,) in MuJoCo's units; returns the observation there.

        Nothing of the motion so far is left; the task stays, and with it what shows its goal.
        """
        if not self._begun:
            raise ResetNeeded("set_state was called before reset, expected reset first")
        physics, every = self.task_env.physics, self.task_env.all_envs
        given = {"qpos": qpos, "qvel": qvel}
        checked = {name: _state(name, value, physics.state(name).shape[1]) for name, value in given.items()}
        physics.reset(every)
        for name, value in checked.items():
            physics.state(name).copy_(value)
        self.family.place_goal(physics, self.task_env.task, every)
        physics.forward(every)
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
        obs: Floats = self.task_env.observe()[0].numpy()
        return obs

    def _task(self) -> dict[str, float]:
        return {name: float(value) for name, value in self.task_env.task.items()}


def _state(name: str, value: ArrayLike, size: int) -> Tensor:
    """Returns a state's (size,) part; MuJoCo takes numbers beyond mjMAXVAL for a divergence."""
    array = np.array(value, dtype=np.float64)
    if array.shape != (size,):
        raise InputError(f"{name} has shape {array.shape}, expected {(size,)}")
    bad = array[~(np.abs(array) <= mujoco.mjMAXVAL)]
    if bad.size:
        raise InputError(f"{name} holds {bad[0]:g}, expected numbers within {mujoco.mjMAXVAL:g} of zero")
    return torch.from_numpy(array)
