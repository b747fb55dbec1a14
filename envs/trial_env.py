"""Trials: K episodes of one task, seen through the previous action, the previous reward and a boundary bit."""

import itertools
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor

from limbshift.envs.errors import InputError
from limbshift.envs.family import Look, TaskFamily
from limbshift.envs.physics.engine import CPU, Engine
from limbshift.envs.physics.protocol import Array
from limbshift.envs.task_env import TaskEnv
from limbshift.envs.tasks.streams import RandomStream


class TrialStep(NamedTuple):
    """What a step of a trial gave."""

    obs: Tensor
    """(N, obs_dim) float32: what to act on next; after the trial's last step, its final state."""
    reward: Tensor
    """(N,) in the engine's dtype."""
    terminated: Tensor
    """(N,) bool: the robot fell or its simulation diverged, and it stands at the start of a new
    episode of the same slot. The learner's credit ends here; at a time limit it does not."""
    diverged: Tensor
    """(N,) bool: the simulation diverged."""
    trial_over: bool
    seen: Any = None
    """What the env's `look` made of the step's motion."""


class Layout(NamedTuple):
    """Where the parts of a trial's observation lie on its last axis."""

    obs: slice
    previous_action: slice
    previous_reward: slice
    boundary: slice
    task: slice
    """Empty, unless the task is observed."""


def trial_layout(obs_dim: int, action_dim: int, task_dim: int = 0) -> Layout:
    """Returns the slices of the parts in order: observation, previous action, previous reward, boundary, task."""
    ends = [0]
    for size in (obs_dim, action_dim, 1, 1, task_dim):
        ends.append(ends[-1] + size)
    return Layout(*(slice(start, end) for start, end in itertools.pairwise(ends)))


class TrialMirror:
    """Turns what trials show and are told into what a mirror shows: entries change places, some their sign."""

    def __init__(self, family: TaskFamily, layout: Layout, device: torch.device) -> None:
        """Raises InputError for a robot or a family of which nobody said how they look in a mirror."""
        mirror, swapped = family.robot.mirror, family.mirrored
        if mirror is None or swapped is None:
            raise InputError(f"{family.name} has no mirror image, expected a family whose robot is alike on both sides")
        places: dict[str, list[int]] = {}
        for parameter in family.parameters if layout.task.stop > layout.task.start else ():
            first = layout.task.start + sum(map(len, places.values()))
            places[parameter.name] = list(range(first, first + parameter.encoding_dim))
        told = [place for name in places for place in places[swapped.get(name, name)]]
        entries = [
            *mirror.obs,
            *(layout.previous_action.start + entry for entry in mirror.action),
            *(layout.previous_reward.start, layout.boundary.start, *told),
        ]
        signs = [*mirror.obs_sign, *mirror.action_sign, 1.0, 1.0, *(1.0 for _ in told)]
        self._obs, self._obs_sign = torch.tensor(entries, device=device), torch.tensor(signs, device=device)
        self._action = torch.tensor(mirror.action, device=device)
        self._action_sign = torch.tensor(mirror.action_sign, device=device)

    def obs(self, obs: Tensor, in_mirror: Tensor) -> Tensor:
        """Returns (N, obs_dim) observations, as the mirror shows them where the (N, 1) mask picks."""
        return torch.where(in_mirror, obs[:, self._obs] * self._obs_sign, obs)

    def action(self, action: Tensor, in_mirror: Tensor) -> Tensor:
        """Returns (N, A) actions likewise."""
        return torch.where(in_mirror, action[:, self._action] * self._action_sign.to(action.dtype), action)


class TrialEnv:
    """N trials side by side, each of `episodes_per_trial` slots of `horizon` steps on one task.

    Each slot holds one episode. One that ends early, by a fall or a divergence, is followed at once
    by another in the same slot, so that all trials are of one length. The first observation after
    any start inside a trial carries the last action and the last reward of the episode that ended,
    with boundary 1; on a trial's first step both are zero.

    `reset` begins the next trials. `step` never does: after a trial's last step it returns the
    final state, with boundary 0, and the caller resets.

    Actions are shares of the robot's own range: -1 and 1 are its ends, whatever its units, and so is the previous
    action that is observed.

    A trial may change its task once, unannounced: each at its step `shift_at`, or a share
    `shift_probability` of them, each at a step of its own. Falls and episodes go on as they were.

    >>> from limbshift.envs.catalogue import make_family
    >>> env = TrialEnv(make_family("ReacherGoal"), 3, episodes_per_trial=2, horizon=5)
    >>> obs = env.reset()
    >>> obs.shape, env.layout.boundary, env.steps_per_trial
    (torch.Size([3, 12]), slice(11, 12, None), 10)
    >>> for _ in range(env.steps_per_trial):
    ...     step = env.step(torch.zeros(3, 2))
    >>> step.trial_over
    True
    """

    def __init__(
        self,
        family: TaskFamily,
        num_envs: int,
        episodes_per_trial: int | None = None,
        *,
        horizon: int | None = None,
        split: str = "train",
        seed: int = 0,
        observe_task: bool = False,
        shift_at: int | None = None,
        shift_probability: float = 0.0,
        mirror: bool = False,
        look: Look | None = None,
        engine: Engine = CPU,
        rank: int = 0,
        num_ranks: int = 1,
    ) -> None:
        """mirror: whether half of the trials are seen, moved and told in a mirror, so that each is a trial of the
        mirrored body; for a family that has a mirror image. look: what is made of each step's motion, such as
        `TaskFamily.measured`, beside its reward.

        rank, num_ranks: of the environments that share the tasks, as `TaskEnv` takes them.
        """
        for name, count in (("num_envs", num_envs), ("episodes_per_trial", episodes_per_trial), ("horizon", horizon)):
            if count is not None and count < 1:
                raise InputError(f"{name} is {count}, expected 1 at least")
        self.task_env = TaskEnv(family, num_envs, split, seed=seed, engine=engine, rank=rank, num_ranks=num_ranks)
        self.task_env.look = look
        self.num_envs = num_envs
        self.episodes_per_trial = episodes_per_trial or family.episodes_per_trial
        self.horizon = horizon or family.horizon
        self.steps_per_trial = self.episodes_per_trial * self.horizon
        task_dim = family.task_space.encoding_dim if observe_task else 0
        self.layout = trial_layout(self.task_env.obs_dim, self.task_env.action_dim, task_dim)
        self.obs_dim = self.layout.task.stop
        self._observe_task = observe_task
        low, high = self.task_env.native(self.task_env.action_low), self.task_env.native(self.task_env.action_high)
        self._middle, self._half_range = (high + low) / 2, (high - low) / 2
        self._mirror = TrialMirror(family, self.layout, self.task_env.device) if mirror else None
        self._in_mirror = torch.zeros(num_envs, 1, dtype=torch.bool, device=self.task_env.device)
        self._mirror_stream = RandomStream(
            "mirror", family.name, family.variant, split, seed, on_host=self.task_env.on_host
        )
        self._nobody = torch.zeros_like(self.task_env.all_envs)
        if shift_at is not None and not 0 < shift_at < self.steps_per_trial:
            raise InputError(f"shift is at step {shift_at}, expected a step from 1 to {self.steps_per_trial - 1}")
        self._shift_at = shift_at
        self._shift_probability = shift_probability
        self._shifts = shift_at is not None or shift_probability > 0
        self._shift_stream = RandomStream(
            "shift", family.name, family.variant, split, seed, on_host=self.task_env.on_host
        )
        self._steps = 0

    def reset(self) -> Tensor:
        """Begins new trials, on the next tasks, and returns their first observations: (N, obs_dim) float32."""
        self.task_env.begin_tasks(self.task_env.all_envs)
        return self.begin_trials()

    def begin_trials(self) -> Tensor:
        """Begins new trials on the tasks that are set, and returns their first observations."""
        self._steps = 0
        if self._shifts:
            self._shift_step = self._draw_shift_steps()
        if self._mirror:
            index = self.task_env.task_index
            self._in_mirror = self._mirror_stream.uniform(index, torch.zeros_like(index), 1) < 0.5
        self.task_env.begin_episodes(self.task_env.all_envs)
        self._encoded_task = self.task_env.encoded_task()
        none = torch.zeros(self.num_envs, self.task_env.action_dim, device=self.task_env.device)
        return self._observe(self.task_env.native(none), self.task_env.native(none[:, 0]), self.task_env.all_envs)

    @torch.inference_mode()
    def step(self, action: Tensor | NDArray[Any]) -> TrialStep:
        """Executes (N, A) actions in [-1, 1], clipped to that. Clone what it returns to differentiate through it."""
        if self._shifts:
            self._shift_tasks()
        if self._mirror:
            action = self._mirror.action(torch.as_tensor(action), self._in_mirror)
        shares = self.task_env.clipped(action, -1, 1)
        moved = self.task_env.move(self.in_robot_units(shares))
        reward, terminated = self.task_env.reward_of(moved), moved.terminated
        self._steps += 1
        trial_over = self._steps == self.steps_per_trial
        slot_over = self._steps % self.horizon == 0
        starts = self._nobody if trial_over else self.task_env.all_envs if slot_over else terminated
        if not trial_over and self.task_env.physics.any(starts):
            self.task_env.begin_episodes(starts, restart=not slot_over)
        obs = self._observe(shares, reward, starts)
        return TrialStep(obs, self.task_env.tensor(reward), terminated, moved.diverged, trial_over, moved.seen)

    def in_robot_units(self, action: Array) -> Array:
        """Returns (..., A) actions in the robot's own units, native, from shares of its range in [-1, 1]."""
        return self._middle + self._half_range * self.task_env.native(action)

    def as_shares(self, action: Array) -> Array:
        """Returns (..., A) actions as shares of the robot's range in [-1, 1], native, from its own units."""
        return (self.task_env.native(action) - self._middle) / self._half_range

    def close(self) -> None:
        self.task_env.close()

    def _draw_shift_steps(self) -> Tensor:
        """Returns (N,) int64: the step before which each trial changes its task; 0 for one that never does."""
        if self._shift_at is not None:
            return torch.full_like(self.task_env.task_index, self._shift_at)
        index = self.task_env.task_index
        chance, place = self._shift_stream.uniform(index, torch.zeros_like(index), 2).unbind(dim=-1)
        step = 1 + (place * (self.steps_per_trial - 1)).long()
        return torch.where(chance < self._shift_probability, step, 0)

    def _shift_tasks(self) -> None:
        if self._shift_at not in (None, self._steps):
            return
        shifted = (self._shift_step == self._steps) & (self._shift_step > 0)
        if self.task_env.physics.any(shifted):
            self.task_env.shift_tasks(shifted)
            self._encoded_task = self.task_env.encoded_task()

    def _observe(self, action: Array, reward: Array, boundary: Tensor) -> Tensor:
        """Returns (N, obs_dim) float32, laid out as `layout` says."""
        parts = [action, reward, self.task_env.native(boundary)]
        if self._observe_task:
            parts.append(self.task_env.native(self._encoded_task))
        obs = self.task_env.tensor(self.task_env.observe_native(*parts))
        return self._mirror.obs(obs, self._in_mirror) if self._mirror else obs
