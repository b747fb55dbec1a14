"""A task family as a Gymnasium vector environment."""

from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode
from numpy.typing import ArrayLike, NDArray

from limbshift.envs.adapters.common import (
    Floats,
    Frames,
    Info,
    at_least_one,
    check_render_mode,
    choose_tasks,
    final_info,
    reward_terms,
    seed_of,
    set_spaces,
    with_render_fps,
)
from limbshift.envs.catalogue import make_family
from limbshift.envs.family import TaskFamily
from limbshift.envs.task_env import TaskEnv


class TaskFamilyVectorEnv(gym.vector.VectorEnv[Floats, Floats, NDArray[Any]]):
    """N robots of a family stepped together, each with its own task; what holds for `TaskFamilyEnv` holds here.

    Simulation n takes the tasks n, n + N, n + 2N, ... of the single env's sequence. Values of the
    option "task" are numbers, for all, or (N,) arrays. An episode that ends begins anew, with the
    next task, in the same step: `final_obs` and `final_info` tell of the one that ended. Entries of
    info are (N,) arrays; "task" is the one of the observation, "reward_terms" and "diverged" are
    the step's.

    >>> envs = TaskFamilyVectorEnv("HalfCheetahVel", num_envs=2, seed=0)
    >>> obs, info = envs.reset(options={"task": {"target_velocity": [0.5, 2.0]}})
    >>> obs, reward, terminated, truncated, info = envs.step(envs.action_space.sample())
    >>> obs.shape, reward.shape, info["task"]["target_velocity"].tolist()
    ((2, 17), (2,), [0.5, 2.0])
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "autoreset_mode": AutoresetMode.SAME_STEP}

    def __init__(
        self,
        family: str | TaskFamily,
        num_envs: int = 1,
        split: str = "train",
        *,
        variant: str = "default",
        horizon: int | None = 200,
        render_mode: str | None = None,
        seed: int | None = None,
    ) -> None:
        super().reset(seed=seed)
        self.family = make_family(family, variant)
        self.num_envs = at_least_one("num_envs", num_envs)
        self.horizon = at_least_one("horizon", self.family.horizon if horizon is None else horizon)
        self.render_mode = check_render_mode(render_mode)
        self.task_env = TaskEnv(self.family, self.num_envs, split, seed=seed_of(self))
        set_spaces(self, self.task_env, self.task_env.obs_dim)
        self.metadata = with_render_fps(self.metadata, self.family)
        self._frames = Frames(self.task_env)
        self._steps: NDArray[np.int64] | None = None
        """(N,) steps since each episode began; None before the first."""

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[Floats, Info]:
        """Begins an episode in each env; returns (N, obs_dim) observations, and info."""
        if seed is not None:
            super().reset(seed=seed)
            self.task_env.seed(seed)
        choose_tasks(self.task_env, options, may_keep=self._steps is not None)
        self.task_env.begin_episodes(self.task_env.all_envs)
        self._steps = np.zeros(self.num_envs, dtype=np.int64)
        return self.task_env.observe().numpy(), {"task": self.task_env.task_values()}

    def step(self, actions: ArrayLike) -> tuple[Floats, NDArray[Any], NDArray[Any], NDArray[Any], Info]:
        """Executes (N, action_dim) actions; returns observations, (N,) rewards, terminated, truncated, and info."""
        if self._steps is None:
            raise ResetNeeded("step was called before reset, expected reset first")
        step = self.task_env.step(self.task_env.check_actions(np.array(actions)))
        self._steps += 1
        terms = {name: values.numpy() for name, values in reward_terms(step).items()}
        infos: Info = {
            "task": self.task_env.task_values(),
            "reward_terms": terms,
            "diverged": step.diverged.numpy().copy(),
        }
        terminated, truncated = step.terminated.numpy().copy(), self._steps >= self.horizon
        ended = terminated | truncated
        if ended.any():
            infos |= final_info(self.task_env.observe().numpy(), infos, ended)
            self._begin(ended)
            infos["task"] = self.task_env.task_values()
        return self.task_env.observe().numpy(), step.reward.numpy(), terminated, truncated, infos

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """Returns a frame of each env, (H, W, 3) uint8; None without a render mode."""
        if self.render_mode is None:
            return None
        if self._steps is None:
            raise ResetNeeded("render was called before reset, expected reset first")
        return tuple(self._frames.of(sim) for sim in range(self.num_envs))

    def close_extras(self, **kwargs: Any) -> None:
        self._frames.close()
        self.task_env.close()

    def _begin(self, ended: NDArray[np.bool_]) -> None:
        """Begins a new task and episode in the envs that ended."""
        assert self._steps is not None
        mask = torch.from_numpy(ended)
        self.task_env.begin_tasks(mask)
        self.task_env.begin_episodes(mask)
        self._steps[ended] = 0
