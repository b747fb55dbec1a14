"""N tasks of one family, stepped together; episodes and tasks begin when the caller says so."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limbshift.envs.errors import ActionError, InputError
from limbshift.envs.family import Look, Motion, TaskFamily
from limbshift.envs.given import numbers
from limbshift.envs.hardware import Hardware
from limbshift.envs.live_robot import joined, live_robot
from limbshift.envs.physics.engine import CPU, Engine
from limbshift.envs.physics.mujoco_batch import MujocoPhysics
from limbshift.envs.physics.protocol import Array
from limbshift.envs.reward_terms import bad_reward, reward_terms
from limbshift.envs.task_step import Moved, TaskStep
from limbshift.envs.tasks.parameter import HardwareEffect, Task, TaskError
from limbshift.envs.tasks.streams import RandomStream


class TaskEnv:
    """N simulations of a family's robot, each with its own task.

    Task i, and the initial states of its episodes, depend on (family, variant, split, seed, i)
    alone. Simulation n takes the tasks n, n + N, n + 2N, ... It never begins anything by itself.

    Of R such environments that share the tasks, simulation n of the one of rank r is simulation r*N + n of R*N.

    >>> from limbshift.envs.catalogue import make_family
    >>> env = TaskEnv(make_family("HalfCheetahVel"), 2, split="heldout", seed=0)
    >>> env.set_tasks([{"target_velocity": 1.0}, {"target_velocity": 2.0}], env.all_envs)
    >>> env.begin_episodes(env.all_envs)
    >>> step = env.step(torch.zeros(2, env.action_dim))
    >>> step.reward.shape, env.observe().shape, env.task["target_velocity"].tolist()
    (torch.Size([2]), torch.Size([2, 17]), [1.0, 2.0])
    """

    def __init__(
        self,
        family: TaskFamily,
        num_envs: int,
        split: str = "train",
        *,
        seed: int = 0,
        engine: Engine = CPU,
        rank: int = 0,
        num_ranks: int = 1,
    ) -> None:
        self.family = family
        self.robot = family.robot
        self.num_envs = num_envs
        self.split = family.task_space.check_split(split)
        self.engine = engine
        self.rank = rank
        self.num_ranks = num_ranks
        self.physics = engine.simulate(
            self.robot.model, num_envs, family.model_fields, computed_fields=self.robot.computed_fields
        )
        self._live = live_robot(self.robot, self.physics)
        self.device = self.physics.device
        self.action_low, self.action_high = self.tensor(self._live.low), self.tensor(self._live.high)
        self.on_host = isinstance(self.physics, MujocoPhysics)
        """Whether NumPy may read what tensors hold, without waiting for a device."""
        self.all_envs = torch.ones(num_envs, dtype=torch.bool, device=self.device)
        self._values = torch.zeros(num_envs, len(family.parameters), dtype=torch.float64, device=self.device)
        self.task: Mapping[str, Tensor] = {name: self._values[:, i] for i, name in enumerate(family.task_space.names)}
        """The live task values, (N,) by parameter."""
        self._array = self._values.numpy() if self.on_host else None
        self.action_dim = len(self.action_low)
        self._bounds = [parameter.bounds_on(self.physics) for parameter in family.parameters]
        family.task_space.check_on(self._bounds)
        self._hardware: Hardware | None = None
        if any(isinstance(parameter.effect, HardwareEffect) for parameter in family.parameters):
            self._hardware = Hardware(
                family.parameters, self.task, self.all_envs, action_dim=self.action_dim, on_host=self.on_host
            )
        self.look: Look | None = None
        """What else is read of each step's motion, before anything begins anew; not part of a copy."""
        self._can_fall = True
        self._restart_state: tuple[Tensor, Tensor] | None = None
        self._errs = self._hardware is not None and self._hardware.errs
        self.seed(seed)
        self.obs_dim = self.observe().shape[-1]

    def __getstate__(self) -> dict[str, Any]:
        if not isinstance(self.physics, MujocoPhysics):
            raise InputError(f"physics of the env to copy is {self.engine.name}, expected mujoco")
        made = {
            name: getattr(self, name)
            for name in ("family", "num_envs", "split", "engine", "rank", "num_ranks", "_seed")
        }
        return {"made": made, "physics": self.physics.saved(), "counts": [live.clone() for live in self._counts()]}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        made = {name.lstrip("_"): value for name, value in state["made"].items()}
        TaskEnv.__init__(self, **made)
        assert isinstance(self.physics, MujocoPhysics)
        self.physics.restore(state["physics"])
        for live, saved in zip(self._counts(), state["counts"], strict=True):
            live.copy_(saved)
        if self._hardware:
            self._hardware.begin_tasks()

    def seed(self, seed: int) -> None:
        """Starts over with the tasks and initial states of this seed."""
        self._seed = seed
        self._restart_state = None
        name = (self.family.name, self.family.variant, self.split, seed)
        self._task_stream, self._state_stream, self._restart_stream = (
            RandomStream(use, *name, on_host=self.on_host)
            for use in ("task", "initial state", "initial state after a fall")
        )
        first = (self.rank - self.num_ranks) * self.num_envs
        self.task_index = torch.arange(self.num_envs, device=self.device) + first
        self._episode = torch.zeros_like(self.task_index)
        self._restart = torch.zeros_like(self.task_index)
        if self._hardware:
            self._hardware.seed(*name)
            self._task_steps = torch.zeros_like(self.task_index)

    def begin_tasks(self, mask: Tensor) -> None:
        """Gives each simulation that the (N,) mask picks its next task."""
        self._advance_index(mask)
        drawn = self.family.task_space.sample(self.split, self._task_stream, self.task_index)
        self._give_tasks(drawn, mask)

    def shift_tasks(self, mask: Tensor) -> None:
        """Changes the tasks of the simulations that the (N,) mask picks, in the midst of their episodes."""
        drawn = self.family.task_space.shifted(self._values, self.split, self._task_stream, index=self.task_index)
        self.change_tasks(drawn, mask)

    def change_tasks(self, rows: Tensor, mask: Tensor) -> None:
        """Changes them, in the midst of their episodes, into these (N, P) values, which `check_tasks` gave."""
        self._give_tasks(rows, mask)
        self.family.place_goal(self.physics, self.task, mask)

    def set_tasks(self, tasks: Sequence[Task], mask: Tensor) -> None:
        """Gives the simulations that the (N,) mask picks these tasks, one for each of the N."""
        rows = self.check_tasks(tasks)
        self._advance_index(mask)
        self._give_tasks(rows, mask)

    def check_tasks(self, tasks: Sequence[Task]) -> Tensor:
        """Returns the (N, P) values of N tasks; TaskError tells which cannot be set."""
        if len(tasks) != self.num_envs:
            raise TaskError(f"number of tasks is {len(tasks)}, expected {self.num_envs}")
        given = [self.family.task_space.row(task, self._bounds) for task in tasks]
        return torch.tensor(given, dtype=torch.float64, device=self.device)

    def begin_episodes(self, mask: Tensor, restart: bool = False) -> None:
        """Puts the simulations that the (N,) mask picks into a new initial state; their tasks stay.

        A restart, after a fall, draws from a stream of its own: how often a policy falls leaves the
        initial states of a task's other episodes as they are. Where who restarts is unseen, as on a GPU, a robot that
        cannot fall, but only diverge, draws once until its next episode: to draw takes longer than to step.
        """
        stream, count = (self._restart_stream, self._restart) if restart else (self._state_stream, self._episode)
        state = self._restart_state if restart else None
        if state is None:
            model = self.physics.model
            state = self.robot.initial_state(stream.uniform(self.task_index, count, model.nq + model.nv))
        self._restart_state = state if restart and not self.on_host and not self._can_fall else None
        count += mask
        qpos, qvel = state
        self.place(self.family.fitted(self.physics, qpos), qvel, mask)

    def place(self, qpos: Tensor, qvel: Tensor, mask: Tensor) -> None:
        """Puts the simulations that the (N,) mask picks into (N, nq) and (N, nv) states; no motion so far is left."""
        self.physics.reset(mask)
        for name, value in (("qpos", qpos), ("qvel", qvel)):
            live = self.physics.state(name)
            live.copy_(torch.where(mask.unsqueeze(-1), value, live))
        for name, start in self.robot.start_states.items():
            live = self.physics.state(name)
            live.copy_(torch.where(mask.view(-1, *[1] * (live.dim() - 1)), start.like(live), live))
        self.family.place_goal(self.physics, self.task, mask)
        self.physics.forward(mask)
        if self._hardware:
            self._hardware.begin_episodes(mask)

    def observe(self, *more: Tensor) -> Tensor:
        """Returns (N, obs_dim) float32, followed by more parts, (N, k) or (N,): a new tensor."""
        return self.tensor(self.observe_native(*[self.native(part) for part in more]))

    def observe_native(self, *more: Array) -> Array:
        """Does what `observe` does, in the engine's native arrays."""
        if not (self._hardware and self._errs):
            return self._live.observe(*more)
        exact = torch.cat(self.robot.observe(self.physics), dim=-1)
        sensed = self._hardware.sensed(exact, self.task_index, self._task_steps)
        return self.native(joined((sensed,), tuple(self.tensor(part) for part in more)))

    def native(self, values: Tensor | NDArray[Any]) -> Array:
        """Returns numbers as the engine's native array; it may be the same memory."""
        return self._live.native(values)

    def tensor(self, values: Array) -> Tensor:
        """Returns a native array as a tensor: the same memory."""
        return self._live.tensor(values)

    def clipped(self, action: Tensor | NDArray[Any], low: Array, high: Array) -> Array:
        """Returns (N, A) actions within bounds: a new native array. Raises ActionError for those of another shape."""
        shape, expected = getattr(action, "shape", None), (self.num_envs, self.action_dim)
        if shape != expected:
            raise ActionError(f"shape of actions is {shape and tuple(shape)}, expected {expected}")
        return self._live.clipped(self.native(action), low, high)

    def encoded_task(self) -> Tensor:
        """Returns the tasks as a learner or an oracle sees them: (N, task_space.encoding_dim) float32."""
        return self.family.task_space.encode(self._values).to(torch.float32)

    def step(self, action: Tensor | NDArray[Any]) -> TaskStep:
        """Executes (N, A) actions for one control step; with MuJoCo, RewardError names a reward that is not finite."""
        moved = self.move(action)
        terms = {name: term.clone() for name, term in moved.terms.items()}
        return TaskStep(self.tensor(self.reward_of(moved)), moved.terminated, moved.diverged, moved.action, terms)

    def move(self, action: Tensor | NDArray[Any]) -> Moved:
        """Executes (N, A) actions as `step` does, and leaves it to the caller to ask for the reward."""
        sent = self.clipped(action, self._live.low, self._live.high)
        velocity, diverged = self._live.step(self._hardware.arriving(sent) if self._hardware else sent)
        if self._errs:
            self._task_steps += 1
        fallen = self.robot.fallen(self.physics)
        self._can_fall = fallen is not None
        terminated = diverged if fallen is None else fallen | diverged
        motion = Motion(self.physics, self.tensor(velocity), self.tensor(sent), terminated)
        terms = reward_terms(self.family, motion, self.task)
        seen = self.look(motion, self.task) if self.look else None
        return Moved(terms, terminated, diverged, motion.action, diverged is self.physics.nobody, seen)

    def reward_of(self, moved: Moved) -> Array:
        """Returns the (N,) sum of the terms, new; with MuJoCo, RewardError names one that is not finite."""
        reward = functools.reduce(torch.add, moved.terms.values())
        if len(moved.terms) == 1 or reward.dtype != self.physics.dtype:
            reward = reward.to(self.physics.dtype, copy=True)
        reward = reward if moved.all_sound else reward.masked_fill_(moved.diverged, 0.0)
        native = self.native(reward)
        # To look at what MuJoCo Warp gives may be to wait for a GPU: there the caller does, when it reads anyway.
        if self.on_host and not self._live.all_finite(native):
            terms = {"the action": moved.action.sum(dim=-1), **moved.terms}
            raise bad_reward(self.family, terms, task=self.task, at_fault=~reward.isfinite())
        return native

    def check_actions(self, action: object, ignored: np.ndarray | None = None) -> NDArray[np.floating]:
        """Returns (N, A) actions from outside, or raises an ActionError that says what is wrong with them.

        ignored: (N,) bool, whose action is not looked at, and becomes zero.
        """
        shape = (self.num_envs, self.action_dim)
        array = numbers("actions", action, shape, error=ActionError, finite=ignored is None)
        if ignored is not None:
            array[ignored] = 0.0
            array = numbers("actions", array, shape, error=ActionError)
        return array

    def task_values(self) -> dict[str, NDArray[np.float64]]:
        """Returns a copy of the task values, (N,) by parameter."""
        return dict(zip(self.task, self._host_values().T.copy(), strict=True))

    def task_of(self, sim: int) -> dict[str, float]:
        """Returns the task of one simulation."""
        return dict(zip(self.task, self._host_values()[sim].tolist(), strict=True))

    def close(self) -> None:
        self.physics.close()

    def check_rewards(self, reward: Tensor) -> None:
        """Raises RewardError where one of (T, N) rewards is not finite; to be called when the host waits anyway."""
        if (at_fault := ~reward.isfinite().all(dim=0)).any():
            raise bad_reward(self.family, {"a term": reward.sum(dim=0)}, task=self.task, at_fault=at_fault)

    def _host_values(self) -> NDArray[np.float64]:
        """Returns the (N, P) task values, live where they are on the CPU anyway."""
        return self._values.cpu().numpy() if self._array is None else self._array

    def _counts(self) -> list[Tensor]:
        """Returns what is remembered beside the physics, live: tasks, and which numbers were drawn for them."""
        counts = [self._values, self.task_index, self._episode, self._restart]
        return [*counts, self._task_steps, self._hardware.pending] if self._hardware else counts

    def _give_tasks(self, rows: Tensor, mask: Tensor) -> None:
        """Turns the simulations that the (N,) mask picks into the tasks of these (N, P) values."""
        self._values.copy_(torch.where(mask.unsqueeze(-1), rows, self._values))
        self.family.apply(self.physics, self._values, mask)

    def _advance_index(self, mask: Tensor) -> None:
        self.task_index = torch.where(mask, self.task_index + self.num_ranks * self.num_envs, self.task_index)
        self._episode.masked_fill_(mask, 0)
        self._restart.masked_fill_(mask, 0)
        if self._hardware:
            self._hardware.begin_tasks()
            self._task_steps.masked_fill_(mask, 0)
