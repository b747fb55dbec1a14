"""What lies between a controller and its robot where a task says so: actions that arrive late, sensors that err."""

from collections.abc import Mapping

import torch
from torch import Tensor

from limbshift.envs.tasks.parameter import TaskParameter
from limbshift.envs.tasks.streams import RandomStream

ACTION_DELAY = TaskParameter(
    "action_delay",
    0.0,
    3.0,
    "how late an action arrives",
    unit="control steps",
    nominal=0.0,
    choices=(0.0, 1.0, 2.0, 3.0),
)
OBS_NOISE = TaskParameter(
    "obs_noise", 0.0, 0.1, "deviation of the noise on each observation, in the observation's unit", nominal=0.0
)
OBS_BIAS = TaskParameter(
    "obs_bias", 0.0, 0.1, "deviation of each observation's constant error, in the observation's unit", nominal=0.0
)
HARDWARE = (ACTION_DELAY, OBS_NOISE, OBS_BIAS)
"""The commonest differences between simulation and hardware; a family joins those that it wants."""

_LONGEST = int(ACTION_DELAY.high)


class Hardware:
    """Delays the actions and disturbs the observations of N robots, each by its own task's values.

    Until a delayed action arrives, zero actions do. The noise of a task's step, and a task's biases,
    depend on the task's number and on the seed alone.
    """

    def __init__(self, task: Mapping[str, Tensor], every: Tensor, action_dim: int) -> None:
        self._task = task
        shape = (_LONGEST + 1, len(every), action_dim)
        self._pending = torch.zeros(shape, dtype=torch.float64, device=every.device)
        """The last actions, the latest first."""
        self._robots = torch.arange(len(every), device=every.device)

    def seed(self, *name: str | int) -> None:
        self._noise_stream = RandomStream("sensor noise", *name)
        self._bias_stream = RandomStream("sensor bias", *name)

    def begin_episodes(self, mask: Tensor) -> None:
        """MemoryWipe the actions that have not arrived."""
        self._pending.masked_fill_(mask.view(1, -1, 1), 0.0)

    def arriving(self, action: Tensor) -> Tensor:
        """(N, A) the actions that reach the motors, when these are sent."""
        if ACTION_DELAY.name not in self._task:
            return action
        self._pending.copy_(torch.cat([action.unsqueeze(0), self._pending[:-1]]))
        return self._pending[self._task[ACTION_DELAY.name].long(), self._robots]

    def sensed(self, obs: Tensor, task_index: Tensor, step: Tensor) -> Tensor:
        """(N, obs_dim) what the sensors say, at these steps of these tasks."""
        for name, stream, epoch in (
            (OBS_NOISE.name, self._noise_stream, step),
            (OBS_BIAS.name, self._bias_stream, torch.zeros_like(step)),
        ):
            if name in self._task:
                error = torch.special.ndtri(stream.uniform(task_index, epoch, obs.shape[-1]))
                obs = obs + self._task[name].unsqueeze(-1) * error
        return obs
