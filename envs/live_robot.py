"""A robot in its simulators: what it senses and how it is moved, by PyTorch or by NumPy."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limbshift.envs.family import Robot
from limbshift.envs.physics.mujoco_batch import MujocoPhysics
from limbshift.envs.physics.protocol import Array, Physics


class LiveRobot:
    """A robot in simulators of any engine.

    >>> from limbshift.envs.robots.half_cheetah import HalfCheetah
    >>> robot = HalfCheetah()
    >>> live = LiveRobot(robot, MujocoPhysics(robot.model, num_sims=2))
    >>> velocity, diverged = live.step(torch.zeros(2, 6))
    >>> velocity.shape, diverged.tolist(), live.observe().shape
    (torch.Size([2]), [False, False], torch.Size([2, 17]))
    """

    def __init__(self, robot: Robot, physics: Physics) -> None:
        self._robot, self._physics = robot, physics
        low, high = (bound.to(physics.device, physics.dtype) for bound in robot.action_bounds())
        self.low, self.high = self.native(low), self.native(high)
        """The (A,) lowest and highest actions."""
        self._control_timestep = robot.control_timestep

    def native(self, values: Tensor | NDArray[Any]) -> Array:
        """Returns numbers as the engine's native array; it may be the same memory."""
        return torch.as_tensor(values, device=self._physics.device)

    def tensor(self, values: Array) -> Tensor:
        """Returns a native array as a tensor: the same memory."""
        tensor: Tensor = values
        return tensor

    def clipped(self, action: Array, low: Array, high: Array) -> Array:
        """Returns actions within bounds, new."""
        return action.clamp(low, high)

    def all_finite(self, values: Array) -> bool:
        """Returns whether neither nan nor infinity is among a native array's numbers."""
        return bool(values.isfinite().all())

    def step(self, action: Array) -> tuple[Array, Tensor]:
        """Executes (N, A) actions for a control step.

        Returns the mean velocity of `Robot.position`, new, and which simulations diverged.
        """
        before = self._robot.position(self._physics).clone()
        self._physics.state("ctrl").copy_(self._robot.controls(action))
        diverged = self._physics.step(self._robot.frame_skip)
        return (self._robot.position(self._physics) - before).div_(self._control_timestep), diverged

    def observe(self, *more: Array) -> Array:
        """Returns (N, obs_dim) float32, followed by more parts, (N, k) or (N,): new."""
        return joined(self._robot.observe(self._physics), more)


class LiveArrays(LiveRobot):
    """The same on MuJoCo's own engine, to the same bits: a call of NumPy's takes less time than one of PyTorch's.

    What the robot gives as it lies in the simulators' memory is found once, and read there from then on. What its
    formulas make is asked for each time.
    """

    def __init__(self, robot: Robot, physics: MujocoPhysics) -> None:
        super().__init__(robot, physics)
        self._ctrl = physics.state("ctrl").numpy()
        self._acts_as_told = type(robot).controls is Robot.controls
        parts, position = robot.observe(physics), robot.position(physics)
        self._parts = [part.numpy() for part in parts] if all(map(physics.owns, parts)) else None
        self._position = position.numpy() if physics.owns(position) else None

    def native(self, values: Tensor | NDArray[Any]) -> NDArray[Any]:
        if not isinstance(values, Tensor):
            return np.asarray(values)
        return (values.float() if values.dtype == torch.bfloat16 else values).numpy(force=True)

    def tensor(self, values: NDArray[Any]) -> Tensor:
        return torch.from_numpy(values)

    def clipped(self, action: NDArray[Any], low: Array, high: Array) -> NDArray[Any]:
        clipped: NDArray[Any] = np.minimum(np.maximum(action, low, dtype=np.float64), high)
        return clipped

    def all_finite(self, values: NDArray[Any]) -> bool:
        return bool(np.count_nonzero(np.isfinite(values)) == values.size)

    def step(self, action: NDArray[Any]) -> tuple[NDArray[Any], Tensor]:
        before = self._positions().copy()
        self._ctrl[:] = action if self._acts_as_told else self.native(self._robot.controls(torch.from_numpy(action)))
        diverged = self._physics.step(self._robot.frame_skip)
        return (self._positions() - before) / self._control_timestep, diverged

    def observe(self, *more: NDArray[Any]) -> NDArray[np.float32]:
        if self._parts and not more:  # MuJoCo keeps its state within 1e10
            return np.concatenate(self._parts, axis=-1, dtype=np.float32, casting="same_kind")
        parts = self._parts or [self.native(part) for part in self._robot.observe(self._physics)]
        columns = [part[:, None] if part.ndim == 1 else part for part in more]
        with np.errstate(over="ignore"):  # a reward may be too large for float32, and infinite there, as PyTorch has it
            return np.concatenate((*parts, *columns), axis=-1, dtype=np.float32, casting="same_kind")

    def _positions(self) -> NDArray[Any]:
        return self.native(self._robot.position(self._physics)) if self._position is None else self._position


def joined(obs: tuple[Tensor, ...], more: tuple[Tensor, ...]) -> Tensor:
    """Returns float32 parts side by side: those of an observation, (N, ...), and more, (N, k) or (N,).

    >>> joined((torch.zeros(1, 2),), (torch.tensor([True]),))
    tensor([[0., 0., 1.]])
    """
    columns = [part.unsqueeze(-1) if part.dim() == 1 else part for part in more]
    return torch.cat((*obs, *columns), dim=-1).to(torch.float32)


def live_robot(robot: Robot, physics: Physics) -> LiveRobot:
    """Returns the robot in these simulators, by the quickest means that the engine allows."""
    return LiveArrays(robot, physics) if isinstance(physics, MujocoPhysics) else LiveRobot(robot, physics)
