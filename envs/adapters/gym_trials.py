"""Whole trials as the episodes of a Gymnasium vector environment."""

from typing import Any

import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode
from numpy.typing import ArrayLike, NDArray

from limbshift.envs.adapters.common import (
    FilmedVectorEnv,
    Floats,
    Frames,
    check_render_mode,
    check_seed,
    chosen_family,
    seed_of,
    set_spaces,
    with_render_fps,
)
from limbshift.envs.adapters.infos import Info, final_info
from limbshift.envs.adapters.options import Options, choose_tasks
from limbshift.envs.family import TaskFamily
from limbshift.envs.given import MOST, flag, whole_number
from limbshift.envs.trial_env import TrialEnv


class TrialVectorEnv(FilmedVectorEnv):
    """N trials side by side; an episode of this env is a whole trial, as `envs.trial_env` describes it.

    Observations are (N, trial_obs_dim) float32; `layout` says where on the last axis the robot's
    observation, the previous action (each as a share of its range: -1 and 1 are the ends), the previous reward and the
    boundary bit lie. A trial is
    never terminated: it ends, truncated, after `episodes_per_trial * horizon` steps, all N at once,
    and the next begins in the same step, on the next tasks, with `final_obs` and `final_info`.

    | info | what, (N,) |
    |---|---|
    | "task" | the values of each task parameter |
    | "fallen" | whether the robot fell or its simulation diverged, and began its slot's next episode |
    | "diverged" | whether the simulation diverged |

    `flat_info` names tasks "task/<parameter>", without a mapping inside.

    >>> trials = TrialVectorEnv("HalfCheetahVel", num_envs=2, episodes_per_trial=2, horizon=3, seed=0)
    >>> obs, info = trials.reset()
    >>> ends = [trials.step(trials.action_space.sample())[3].all().item() for _ in range(6)]
    >>> ends, trials.layout["previous_reward"]
    ([False, False, False, False, False, True], slice(23, 24, None))
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "autoreset_mode": AutoresetMode.SAME_STEP}

    def __init__(
        self,
        family: str | TaskFamily,
        num_envs: int,
        episodes_per_trial: int | None = None,
        *,
        horizon: int | None = None,
        split: str = "train",
        seed: int | None = None,
        variant: str = "default",
        render_mode: str | None = None,
        flat_info: bool = False,
    ) -> None:
        super().reset(seed=check_seed(seed))
        self.family = chosen_family(family, variant)
        self.num_envs = whole_number("num_envs", num_envs, most=MOST)
        episodes = self.family.episodes_per_trial if episodes_per_trial is None else episodes_per_trial
        self.episodes_per_trial = whole_number("episodes_per_trial", episodes, most=MOST)
        self.horizon = whole_number("horizon", self.family.horizon if horizon is None else horizon, most=MOST)
        self.render_mode = check_render_mode(render_mode)
        self.trials = TrialEnv(
            self.family, self.num_envs, self.episodes_per_trial, horizon=self.horizon, split=split, seed=seed_of(self)
        )
        self.layout: dict[str, slice] = self.trials.layout._asdict()
        del self.layout["task"]  # hidden here, always
        set_spaces(self, self.trials.task_env, self.trials.obs_dim)
        self.autoreset_mode = AutoresetMode.SAME_STEP
        self.metadata = with_render_fps(self.metadata, self.family)
        self._flat_info = flag("flat_info", flat_info)
        self._frames = Frames(self.trials.task_env)
        self.begun = False

    def reset(self, *, seed: int | None = None, options: Options | None = None) -> tuple[Floats, Info]:
        """Begins a trial in each env; options as in `TaskFamilyVectorEnv`."""
        tasks = self.trials.task_env
        if seed is not None:
            super().reset(seed=check_seed(seed))
            tasks.seed(seed_of(self))
        choose_tasks(tasks, options, may_keep=self.begun)
        self.begun = True
        return self.trials.begin_trials().numpy(), self._told({"task": tasks.task_values()})

    def step(self, actions: ArrayLike) -> tuple[Floats, NDArray[Any], NDArray[Any], NDArray[Any], Info]:
        """Executes (N, action_dim) actions; returns observations, (N,) rewards, terminated, truncated, and info."""
        if not self.begun:
            raise ResetNeeded("step was called before reset, expected reset first")
        tasks = self.trials.task_env
        step = self.trials.step(self.trials.as_shares(tasks.check_actions(actions)))
        obs = step.obs.numpy()
        infos: Info = {
            "task": tasks.task_values(),
            "fallen": step.terminated.numpy().copy(),
            "diverged": step.diverged.numpy().copy(),
        }
        truncated = np.full(self.num_envs, step.trial_over)
        if step.trial_over:
            infos |= final_info(obs, infos, truncated)
            obs = self.trials.reset().numpy()
            infos["task"] = tasks.task_values()
        return obs, step.reward.numpy(), np.zeros_like(truncated), truncated, self._told(infos)

    def close_extras(self, **kwargs: Any) -> None:
        self._frames.close()
        self.trials.close()
