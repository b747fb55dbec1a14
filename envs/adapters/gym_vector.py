"""A task family as a Gymnasium vector environment."""

from typing import Any

import numpy as np
import torch
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode
from numpy.typing import ArrayLike, NDArray

from limbshift.envs.adapters.common import (
    FilmedVectorEnv,
    Floats,
    Frames,
    SpecAsText,
    check_autoreset_mode,
    check_render_mode,
    check_seed,
    chosen_family,
    seed_of,
    set_spaces,
    steps_of_episode,
    with_render_fps,
)
from limbshift.envs.adapters.infos import Info, final_info
from limbshift.envs.adapters.options import Options, choose_tasks, split_mask
from limbshift.envs.errors import InputError
from limbshift.envs.family import TaskFamily
from limbshift.envs.given import MOST, flag, whole_number
from limbshift.envs.task_env import TaskEnv


class TaskFamilyVectorEnv(FilmedVectorEnv):
    """N robots of a family stepped together, each with its own task; what holds for `TaskFamilyEnv` holds here.

    Simulation n takes the tasks n, n + N, n + 2N, ... of the single env's sequence. Values of the
    option "task" are numbers, for all, or (N,) arrays. Entries of info are (N,) arrays; "task" is
    the one of the observation, "reward_terms" and "diverged" are the step's. `flat_info` names them
    "task/<parameter>" and "reward_terms/<term>", without mappings inside.

    What follows an episode's end is Gymnasium's `autoreset_mode`, given as one of its members or as
    its value:

    | mode | what the robot does |
    |---|---|
    | SAME_STEP, the default | begins anew in the same step; `final_obs`, `final_info` tell of the episode before |
    | NEXT_STEP | begins anew in the next step, in place of what its action asks for; the reward of that step is 0 |
    | DISABLED | waits for `reset(options={"reset_mask": ...})`, an (N,) array of bools |

    Gymnasium's wrappers of observations want NEXT_STEP or DISABLED, and its `RecordVideo` films the
    last frame of an episode under these alone.

    >>> envs = TaskFamilyVectorEnv("HalfCheetahVel", num_envs=2, seed=0)
    >>> obs, info = envs.reset(options={"task": {"target_velocity": [0.5, 2.0]}})
    >>> obs, reward, terminated, truncated, info = envs.step(envs.action_space.sample())
    >>> obs.shape, reward.shape, info["task"]["target_velocity"].tolist()
    ((2, 17), (2,), [0.5, 2.0])
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "autoreset_mode": AutoresetMode.SAME_STEP}

    spec = SpecAsText()

    def __init__(
        self,
        family: str | TaskFamily,
        num_envs: int = 1,
        split: str = "train",
        *,
        variant: str = "default",
        horizon: int | None = 200,
        max_episode_steps: int | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
        render_mode: str | None = None,
        flat_info: bool = False,
        seed: int | None = None,
    ) -> None:
        super().reset(seed=check_seed(seed))
        self.family = chosen_family(family, variant)
        self.num_envs = whole_number("num_envs", num_envs, most=MOST)
        self.horizon = steps_of_episode(self.family, horizon, max_episode_steps)
        self.autoreset_mode = check_autoreset_mode(autoreset_mode)
        self.render_mode = check_render_mode(render_mode)
        self.task_env = TaskEnv(self.family, self.num_envs, split, seed=seed_of(self))
        set_spaces(self, self.task_env, self.task_env.obs_dim)
        self.metadata = {**with_render_fps(self.metadata, self.family), "autoreset_mode": self.autoreset_mode}
        self._flat_info = flag("flat_info", flat_info)
        self._frames = Frames(self.task_env)
        self.begun = False
        self._steps = np.zeros(self.num_envs, dtype=np.int64)
        """(N,) steps since each episode began."""
        self._ended = np.zeros(self.num_envs, dtype=np.bool_)
        """(N,) whose episode is over and has not been followed by another."""

    def reset(self, *, seed: int | None = None, options: Options | None = None) -> tuple[Floats, Info]:
        """Begins an episode in each env, or in those that the option "reset_mask" picks.

        options: of all envs, or a list with those of each. Returns (N, obs_dim) observations, and info.
        """
        options, mask = split_mask(options, self.num_envs)
        if mask is not None and seed is not None:
            raise InputError(f"seed is {seed} beside the reset option reset_mask, expected None: a seed is of all envs")
        if mask is not None and not self.begun:
            raise InputError("reset option reset_mask is set at the first reset, expected all envs to begin")
        if seed is not None:
            super().reset(seed=check_seed(seed))
            self.task_env.seed(seed_of(self))
        self._begin(np.ones(self.num_envs, dtype=np.bool_) if mask is None else mask, options)
        self.begun = True
        infos: Info = {"task": self.task_env.task_values()} | ({} if mask is None else {"_task": mask})
        return self.task_env.observe_native(), self._told(infos)

    def step(self, actions: ArrayLike) -> tuple[Floats, NDArray[Any], NDArray[Any], NDArray[Any], Info]:
        """Executes (N, action_dim) actions; returns observations, (N,) rewards, terminated, truncated, and info."""
        if not self.begun:
            raise ResetNeeded("step was called before reset, expected reset first")
        begins, some_begin = self._ended, np.count_nonzero(self._ended)
        if self.autoreset_mode is AutoresetMode.DISABLED and some_begin:
            over = np.flatnonzero(begins).tolist()
            raise ResetNeeded(f"step was called where episodes of envs {over} are over, expected reset of those first")
        moved = self.task_env.move(self.task_env.check_actions(actions, begins if some_begin else None))
        self._steps += 1
        reward, terms = self.task_env.reward_of(moved), moved.term_arrays()
        terminated, diverged = moved.terminated.numpy().copy(), moved.diverged.numpy().copy()
        infos: Info = {"task": {}, "reward_terms": terms, "diverged": diverged}
        if some_begin:
            self._begin(begins)
            for told in (reward, terminated, diverged, *terms.values()):
                told[begins] = 0
            infos |= {"_reward_terms": ~begins, "_diverged": ~begins}
        infos["task"] = self.task_env.task_values()
        truncated = self._steps >= self.horizon
        self._ended = terminated | truncated
        if self.autoreset_mode is AutoresetMode.SAME_STEP and np.count_nonzero(self._ended):
            infos |= final_info(self.task_env.observe_native(), infos, self._ended)
            self._begin(self._ended)
            infos["task"] = self.task_env.task_values()
        return self.task_env.observe_native(), reward, terminated, truncated, self._told(infos)

    def close_extras(self, **kwargs: Any) -> None:
        self._frames.close()
        self.task_env.close()

    def _begin(self, begins: NDArray[np.bool_], options: Options | None = None) -> None:
        """Begins a new episode in the envs that the mask picks, on the tasks that options ask for, or the next ones."""
        mask = torch.from_numpy(begins)
        choose_tasks(self.task_env, options, may_keep=self.begun, begins=mask)
        self.task_env.begin_episodes(mask)
        self._steps[begins] = 0
        self._ended = self._ended & ~begins
