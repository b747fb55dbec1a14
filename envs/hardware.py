"""What lies between a controller and its robot where a task says so: actions that arrive late, sensors that err."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from limbshift.envs.physics.protocol import Array
from limbshift.envs.tasks.parameter import HardwareEffect, TaskError, TaskParameter
from limbshift.envs.tasks.streams import RandomStream


@dataclass(frozen=True)
class DelayActions(HardwareEffect):
    """Lets actions reach the motors so many control steps late; zero actions go before them.

    A parameter with this effect lists the delays that it may take, whole numbers, as its choices. Several add up.

    >>> TaskParameter("lag", 0.0, 5.0, "how late", nominal=0.0, choices=(0.0, 5.0), effect=DelayActions()).effect
    DelayActions()
    """


@dataclass(frozen=True)
class SensorError(HardwareEffect):
    """Adds a normal error to each observation; the value is its standard deviation, in the observation's unit.

    >>> SensorError("sensor bias", constant=True).constant
    True
    """

    stream: str
    """Names the random numbers that the errors are made of."""
    constant: bool = False
    """Whether a task's errors stay as they are, as a bias does; else each step has its own."""


ACTION_DELAY = TaskParameter(
    "action_delay",
    0.0,
    3.0,
    "how late an action arrives",
    unit="control steps",
    nominal=0.0,
    choices=(0.0, 1.0, 2.0, 3.0),
    effect=DelayActions(),
)
OBS_NOISE = TaskParameter(
    "obs_noise",
    0.0,
    0.1,
    "standard deviation of the noise on each observation, in the observation's unit",
    nominal=0.0,
    effect=SensorError("sensor noise"),
)
OBS_BIAS = TaskParameter(
    "obs_bias",
    0.0,
    0.1,
    "standard deviation of each observation's constant error, in the observation's unit",
    nominal=0.0,
    effect=SensorError("sensor bias", constant=True),
)
HARDWARE = (ACTION_DELAY, OBS_NOISE, OBS_BIAS)
"""The commonest differences between simulation and hardware; a family joins those that it wants."""


def longest_delay(parameter: TaskParameter) -> int:
    """Returns by how many control steps a parameter delays actions at most; TaskError where it lists no delays.

    >>> longest_delay(ACTION_DELAY)
    3
    """
    if not parameter.choices:
        raise TaskError(
            f"task parameter {parameter.name} delays actions by {parameter.low:g} to {parameter.high:g} control steps,"
            " expected choices that are whole numbers"
        )
    for choice in parameter.choices:
        if not float(choice).is_integer():
            raise TaskError(
                f"task parameter {parameter.name} delays actions by {choice:g} control steps, expected a whole number"
            )
    return int(max(parameter.choices))


class Hardware:
    """Delays the actions and disturbs the observations of N robots, each by its own task's values.

    Until a delayed action arrives, zero actions do. The noise of a task's step, and a task's biases,
    depend on the task's number and on the seed alone.
    """

    def __init__(
        self,
        parameters: Sequence[TaskParameter],
        task: Mapping[str, Tensor],
        all_envs: Tensor,
        *,
        action_dim: int,
        on_host: bool,
    ) -> None:
        self._on_host = on_host
        self._delays, self._errors = list[Tensor](), list[tuple[SensorError, Tensor]]()
        longest = 0
        for parameter in parameters:
            if isinstance(parameter.effect, DelayActions):
                self._delays.append(task[parameter.name])
                longest += longest_delay(parameter)
            elif isinstance(parameter.effect, SensorError):
                self._errors.append((parameter.effect, task[parameter.name]))
        shape = (longest + 1, len(all_envs), action_dim)
        self.pending = torch.zeros(shape, dtype=torch.float64, device=all_envs.device)
        """The last actions, the latest first."""
        self._robots = torch.arange(len(all_envs), device=all_envs.device)
        if on_host:
            self._pending_array, self._robot_array = self.pending.numpy(), self._robots.numpy()
            self._delay_arrays = [delay.numpy() for delay in self._delays]

    @property
    def errs(self) -> bool:
        """Whether its tasks make sensors err."""
        return bool(self._errors)

    def seed(self, *name: str | int) -> None:
        """Draws all errors anew, from streams of this name."""
        self._streams = [RandomStream(error.stream, *name, on_host=self._on_host) for error, _ in self._errors]
        self.begin_tasks()

    def begin_tasks(self) -> None:
        """Draws the errors that a task keeps anew; to be called where a robot's task has another number."""
        self._kept: dict[RandomStream, Tensor] = {}

    def begin_episodes(self, mask: Tensor) -> None:
        """Drops the actions of the robots that the (N,) mask picks which have not arrived."""
        self.pending.masked_fill_(mask.view(1, -1, 1), 0.0)

    def arriving(self, action: Array) -> Array:
        """Returns the (N, A) actions that reach the motors when these are sent."""
        if not self._delays:
            return action
        if isinstance(action, np.ndarray):
            self._pending_array[1:] = self._pending_array[:-1]
            self._pending_array[0] = action
            return self._pending_array[functools.reduce(np.add, self._delay_arrays).astype(np.int64), self._robot_array]
        late = functools.reduce(torch.add, self._delays).long()
        self.pending.copy_(torch.cat([action.unsqueeze(0), self.pending[:-1]]))
        return self.pending[late, self._robots]

    def sensed(self, obs: Tensor, task_index: Tensor, step: Tensor) -> Tensor:
        """Returns the (N, obs_dim) that sensors show of obs, at these (N,) steps of these (N,) tasks."""
        for (error, size), stream in zip(self._errors, self._streams, strict=True):
            normal = self._kept.get(stream)
            if normal is None:
                epoch = torch.zeros_like(step) if error.constant else step
                normal = torch.special.ndtri(stream.uniform(task_index, epoch, obs.shape[-1]))
            if error.constant:
                self._kept[stream] = normal
            obs = obs + size.unsqueeze(-1) * normal
        return obs
