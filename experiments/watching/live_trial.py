"""One trial that goes on and on, in which anything may be changed at any moment."""

from collections import deque
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limbshift.agents.actor import PolicyActor
from limbshift.agents.controller import Controller
from limbshift.envs.family import TaskFamily
from limbshift.envs.tasks.parameter import Task
from limbshift.envs.trial_env import TrialEnv

REWARD_SECONDS = 20.0
"""Robot time over which rewards are kept."""
ENDLESS = 1_000_000
"""Episodes of a trial that nobody waits for the end of."""
KEPT_RETURNS = 8
"""Episodes whose returns are kept, the present one among them."""


class Push(NamedTuple):
    """A force on a body."""

    body: int
    point: NDArray[np.float64]
    """(3,) of the world, m, where it takes hold."""
    force: NDArray[np.float64]
    """(3,) N, along the world's axes."""


class LiveTrial:
    """A robot, its task, and the memory that copes with it; time is the robot's, in control steps.

    >>> from limbshift.experiments.runs.controllers import load_with_family
    >>> live = LiveTrial(*load_with_family("HalfCheetahWiring"))
    >>> for _ in range(20):
    ...     live.step()
    >>> live.change({"bthigh_sign": -1.0})
    >>> live.step()
    >>> len(live.rewards), live.changes, len(live.remembered)
    (21, [20], 128)
    """

    def __init__(self, controller: Controller, family: TaskFamily, *, split: str = "heldout", seed: int = 0) -> None:
        """Begins with a task of the split; TaskError for one that the family has none of."""
        self.controller, self.family = controller, family
        self._seed = seed
        self.env = self._open(split)
        self.actor = PolicyActor(controller.policy, 1)
        self.steps = 0
        """Of the trial, so far."""
        self.fell = 0
        """How often the robot did, in this trial."""
        self.rewards = deque[float](maxlen=round(REWARD_SECONDS / self.timestep))
        """Of the last steps, the newest last."""
        self.returns = deque[float](maxlen=KEPT_RETURNS)
        """Of the last episodes, the present one last; what follows a fall does not count."""
        self.changes: list[int] = []
        """Steps of the trial before which the task was changed."""
        self.wipes: list[int] = []
        """Steps of the trial before which the memory was wiped."""
        self._obs = torch.empty(0)
        self._restarted = False
        """Whether the robot has fallen in this episode, and begun anew."""
        self.draw(split)

    @property
    def timestep(self) -> float:
        """Seconds of a control step."""
        return self.family.robot.control_timestep

    @property
    def task(self) -> dict[str, float]:
        return self.env.task_env.task_of(0)

    @property
    def remembered(self) -> NDArray[np.float32]:
        """What the recurrent cell gives to the policy, (hidden_size,); zeros where nothing is remembered yet."""
        features: NDArray[np.float32] = self.actor.features[0, self.controller.policy.spec.remembered].cpu().numpy()
        return features

    @property
    def guess(self) -> dict[str, float] | None:
        """What the memory tells of the task, by parameter; None for a controller that was not trained to tell it."""
        head = self.controller.task_head
        if head is None:
            return None
        space = self.family.task_space
        return dict(zip(space.names, space.decode(head(self.actor.features))[0].tolist(), strict=True))

    def new_trial(self) -> None:
        """Begins a new trial on the same task: memory, returns and rewards begin anew."""
        self._begin(self.env.begin_trials())

    def draw(self, split: str) -> None:
        """Begins a new trial on the next task of a split; TaskError for one that the family has none of."""
        if split != self.env.task_env.split:
            env = self._open(split)
            self.env.close()
            self.env = env
        self._begin(self.env.reset())

    def change(self, values: Task) -> None:
        """Changes the task where the robot stands, and says nothing of it to the policy.

        Raises TaskError for values that the robot cannot have.
        """
        row = self._row({**self.task, **values})
        self.env.task_env.change_tasks(row, self.env.task_env.all_envs)
        self.changes.append(self.steps)

    def wipe(self) -> None:
        """Wipes the memory in mid-stride, as before a trial."""
        self.actor = PolicyActor(self.controller.policy, 1)
        self._obs = self.actor.forget(self._obs, self.env.task_env.all_envs)
        self.wipes.append(self.steps)

    def push(self, push: Push | None) -> None:
        """Pushes or pulls from now on, until told otherwise; None lets go."""
        forces = self.env.task_env.physics.state("xfrc_applied")
        forces[0] = 0.0
        if push is None:
            return
        _, data = self.env.task_env.physics.snapshot(0)
        twist = np.cross(push.point - data.xipos[push.body], push.force)
        forces[0, push.body] = torch.from_numpy(np.concatenate([push.force, twist]))

    def step(self) -> None:
        """Acts for one control step."""
        step = self.env.step(self.actor(self._obs))
        self._obs = step.obs.clone()
        self.steps += 1
        reward = float(step.reward[0])
        self.rewards.append(reward)
        self.returns[-1] += 0.0 if self._restarted else reward
        self.fell += bool(step.terminated[0])
        self._restarted |= bool(step.terminated[0])
        if self.steps % self.env.horizon == 0:
            self.returns.append(0.0)
            self._restarted = False

    def close(self) -> None:
        self.env.close()

    def _open(self, split: str) -> TrialEnv:
        card, shown = self.controller.card, self.controller.policy.spec.task_dim > 0
        return TrialEnv(self.family, 1, ENDLESS, horizon=card.horizon, split=split, seed=self._seed, observe_task=shown)

    def _begin(self, obs: Tensor) -> None:
        self._obs = obs.clone()
        self.actor = PolicyActor(self.controller.policy, 1)
        self.steps = self.fell = 0
        for kept in (self.rewards, self.returns, self.changes, self.wipes):
            kept.clear()
        self.returns.append(0.0)
        self._restarted = False

    def _row(self, task: Task) -> Tensor:
        return self.env.task_env.check_tasks([task])
