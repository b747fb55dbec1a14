"""Task families and trials as rsl_rl's vector environment, whose tensors stay on the physics' device."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from gymnasium.utils import seeding
from tensordict import TensorDict
from torch import Tensor

from limbshift.envs.adapters.common import check_seed
from limbshift.envs.adapters.options import Options, choose_tasks
from limbshift.envs.errors import ActionError, InputError
from limbshift.envs.given import numbers
from limbshift.envs.schema import shortened
from limbshift.envs.task_env import TaskEnv
from limbshift.envs.trial_env import TrialEnv

Extras = dict[str, Any]
Step = tuple[TensorDict, Tensor, Tensor, Extras]


class RslRlVecEnv(ABC):
    """N robots as rsl_rl's runners know them: what its `VecEnv` has, and no more of that package than TensorDict.

    Observations are a TensorDict of (N, ...) float32: the group "policy" and, where the task is observed, "task",
    (N, task_space.encoding_dim), which a runner's `obs_groups` may give to the critic or to a teacher. Actions are
    (N, num_actions) in [-1, 1], the ends of the robot's own range, and clipped to that.

    Where an episode ends, the next begins in the same step, on the robot's next task. The runner makes a recurrent
    policy forget there, and where `time_outs` says so it counts on what would have followed.

    | extras | what |
    |---|---|
    | "time_outs" | (N,) bool: whether the end is one of time alone |
    | "task" | the values of each task parameter, (N,), of the observation |
    | "diverged" | (N,) bool: whether the simulation diverged |
    | "log" | means over the robots, for the runner's log: the reward's terms, or in trials how many fell |

    All tensors are new at each step, on `device`, and made in torch's inference mode, in which the runners collect:
    clone them to differentiate through them.
    """

    def __init__(self, tasks: TaskEnv, max_episode_length: int, *, observe_task: bool, seed: int | None) -> None:
        self.num_envs = tasks.num_envs
        self.num_actions = tasks.action_dim
        self.max_episode_length = max_episode_length
        self.device = tasks.device
        self.step_dt = tasks.robot.control_timestep
        """Seconds of a step, by which rsl_rl's curiosity counts."""
        self.cfg: dict[str, Any] = {
            "family": tasks.family.name,
            "variant": tasks.family.variant,
            "split": tasks.split,
            "num_envs": self.num_envs,
            "max_episode_length": max_episode_length,
            "observe_task": observe_task,
            "physics": tasks.engine.name,
        }
        """What the runner's log keeps of the env."""
        self.task_env = tasks
        self._observe_task = observe_task
        self._begun = False
        self._steps = 0
        self.reset(seed=seeding.np_random(None)[1] if seed is None else seed)

    @property
    def unwrapped(self) -> "RslRlVecEnv":
        return self

    @property
    def episode_length_buf(self) -> Tensor:
        """(N,) int64: steps since each episode began."""
        return self._episode_steps

    @episode_length_buf.setter
    def episode_length_buf(self, steps: Tensor) -> None:
        self._episode_steps = self._staggered(steps)

    def get_observations(self) -> TensorDict:
        """Returns what is to be acted on next."""
        return self._obs

    @torch.inference_mode()
    def reset(self, *, seed: int | None = None, options: Options | None = None) -> tuple[TensorDict, Extras]:
        """Begins an episode in each env; seed and options as in our other vector envs. Returns observations, extras."""
        if seed is not None:
            self.cfg["seed"] = check_seed(seed)
            self.task_env.seed(self.cfg["seed"])
        choose_tasks(self.task_env, options, may_keep=self._begun)
        self._begun = True
        self._episode_steps = torch.zeros(self.num_envs, dtype=torch.int64, device=self.device)
        self._obs = self._shown(self._begin())
        return self._obs, {"task": self._task}

    @torch.inference_mode()
    def step(self, actions: Tensor) -> Step:
        """Executes (N, A) actions; returns observations, (N,) float32 rewards, (N,) int64 dones, and extras."""
        obs, reward, done, extras = self._move(self._checked(actions))
        self._obs = self._shown(obs)
        self._steps += 1
        if self._steps % self.max_episode_length == 0:  # seldom, since it waits for a GPU
            self.task_env.physics.check()
        return self._obs, reward.to(torch.float32), done.to(torch.int64), {**extras, "task": self._task}

    def close(self) -> None:
        self.task_env.close()

    @abstractmethod
    def _begin(self) -> Tensor:
        """Begins an episode of each robot on the tasks that are set; returns (N, obs_dim) observations."""

    @abstractmethod
    def _move(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Extras]:
        """Executes actions and begins what follows; returns observations, rewards, who ended, and extras."""

    @abstractmethod
    def _staggered(self, steps: Tensor) -> Tensor:
        """Returns (N,) steps as they are counted from now on, as far as this env's episodes may be staggered."""

    def _shown(self, obs: Tensor) -> TensorDict:
        groups = {"policy": obs}
        if self._observe_task:
            groups["task"] = self._encoded_task
        return TensorDict(groups, batch_size=[self.num_envs], device=self.device)

    def _read_tasks(self) -> None:
        """Keeps what is told of the tasks, which change at an episode's end alone."""
        self._task = {name: live.clone() for name, live in self.task_env.task.items()}
        self._encoded_task = self.task_env.encoded_task()

    def _checked(self, actions: Tensor) -> Tensor:
        """Returns actions on the device. Their numbers are looked at where that is not to wait for a GPU."""
        shape = (self.num_envs, self.num_actions)
        if self.task_env.on_host:
            return torch.from_numpy(numbers("actions", actions, shape, error=ActionError))
        if tuple(actions.shape) != shape:
            raise ActionError(f"shape of actions is {tuple(actions.shape)}, expected {shape}")
        return actions.to(self.device)


class RslRlEpisodes(RslRlVecEnv):
    """Single episodes, each on a task of its own; a fall ends one, and so does its time."""

    def __init__(self, tasks: TaskEnv, horizon: int, *, observe_task: bool = False, seed: int | None = None) -> None:
        self._middle, self._half_range = (
            (tasks.action_high + tasks.action_low) / 2,
            (tasks.action_high - tasks.action_low) / 2,
        )
        super().__init__(tasks, horizon, observe_task=observe_task, seed=seed)

    def _begin(self) -> Tensor:
        self.task_env.begin_episodes(self.task_env.all_envs)
        self._read_tasks()
        return self.task_env.observe()

    def _move(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Extras]:
        tasks = self.task_env
        step = tasks.step(self._middle + self._half_range * actions)
        terminated, diverged = step.terminated.clone(), step.diverged.clone()
        taken = self._episode_steps + 1
        time_outs = (taken >= self.max_episode_length) & ~terminated
        done = time_outs | terminated
        self._episode_steps = torch.where(done, 0, taken)
        if done.any():  # one wait for a GPU, where the runner itself has several; to draw for nobody would cost more
            tasks.begin_tasks(done)
            tasks.begin_episodes(done)
            self._read_tasks()
        log = {f"/reward/{name}": term.mean() for name, term in step.terms.items()}
        return tasks.observe(), step.reward, done, {"time_outs": time_outs, "diverged": diverged, "log": log}

    def _staggered(self, steps: Tensor) -> Tensor:
        shape = tuple(steps.shape) if isinstance(steps, Tensor) else None
        if shape != (self.num_envs,):
            raise InputError(f"shape of episode_length_buf is {shape}, expected {(self.num_envs,)}")
        if steps.is_floating_point() or steps.is_complex() or (steps < 0).any():
            raise InputError(f"episode_length_buf is {shortened(steps)}, expected whole numbers from 0 on")
        return steps.to(self.device, torch.int64)


class RslRlTrials(RslRlVecEnv):
    """Whole trials as `TrialEnv` describes them. All N end at once, by time: a fall is no end, as memory outlives it.

    The group "policy" is laid out as `layout` says; extras hold "fallen" too, (N,) bool: who fell in this step and
    stands at the start of its slot's next episode.
    """

    def __init__(self, trials: TrialEnv, *, observe_task: bool = False, seed: int | None = None) -> None:
        self._trials = trials
        self.layout: dict[str, slice] = trials.layout._asdict()
        del self.layout["task"]  # which has a group of its own
        super().__init__(trials.task_env, trials.steps_per_trial, observe_task=observe_task, seed=seed)
        self.cfg |= {"episodes_per_trial": trials.episodes_per_trial, "horizon": trials.horizon}

    def _begin(self) -> Tensor:
        obs = self._trials.begin_trials()
        self._read_tasks()
        return obs

    def _move(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Extras]:
        step = self._trials.step(actions)
        ended = torch.full_like(step.terminated, step.trial_over)
        obs, fallen, diverged = step.obs, step.terminated.clone(), step.diverged.clone()
        self._episode_steps = self._episode_steps + 1
        if step.trial_over:
            self._episode_steps = torch.zeros_like(self._episode_steps)
            self.task_env.begin_tasks(self.task_env.all_envs)
            obs = self._begin()
        log = {"/fallen": fallen.to(torch.float32).mean()}
        return obs, step.reward, ended, {"time_outs": ended.clone(), "diverged": diverged, "fallen": fallen, "log": log}

    def _staggered(self, steps: Tensor) -> Tensor:
        raise InputError(
            "episode_length_buf is set, expected trials to begin and end at once: init_at_random_ep_len is of single"
            " episodes"
        )
