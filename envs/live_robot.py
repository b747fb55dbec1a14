"""A robot in its simulators: what it senses and how it is moved, by PyTorch or by NumPy."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limbshift.envs.family import Robot
from limbshift.envs.physics.mujoco_batch import MujocoPhysics
from limbshift.envs.physics.protocol import Physics


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
        self.action_low, self.action_high = (bound.to(physics.device, physics.dtype) for bound in robot.action_bounds())
        self._control_timestep = robot.control_timestep

    def clipped(self, action: Tensor | NDArray[np.floating]) -> Tensor:
        """Returns (N, A) actions within their bounds, in the engine's dtype: a new tensor."""
        return torch.as_tensor(action, device=self.action_low.device).clamp(self.action_low, self.action_high)

    def step(self, controls: Tensor) -> tuple[Tensor, Tensor]:
        """Executes (N, A) controls for a control step.

        Returns the mean velocity of `Robot.position`, new, and which simulations diverged.
        """
        before = self._robot.position(self._physics).clone()
        self._physics.state("ctrl").copy_(controls)
        diverged = self._physics.step(self._robot.frame_skip)
        return (self._robot.position(self._physics) - before).div_(self._control_timestep), diverged

    def observe(self, *more: Tensor) -> Tensor:
        """Returns (N, obs_dim) float32, followed by more parts, (N, k) or (N,): a new tensor."""
        return joined(self._robot.observe(self._physics), more)

    def observe_array(self, *more: NDArray[np.generic]) -> NDArray[np.float32]:
        """Does what `observe` does, with arrays."""
        return self.observe(*[torch.from_numpy(part) for part in more]).cpu().numpy()


class LiveArrays(LiveRobot):
    """The same on MuJoCo's own engine, to the same bits: a call of NumPy's takes less time than one of PyTorch's.

    What the robot gives as it lies in the simulators' memory is found once, and read there from then on. What its
    formulas make is asked for each time.
    """

    def __init__(self, robot: Robot, physics: MujocoPhysics) -> None:
        super().__init__(robot, physics)
        self._low, self._high = self.action_low.numpy(), self.action_high.numpy()
        self._last = self.action_low, self._low
        """What `clipped` returned last, and its array, which to ask PyTorch for takes a while."""
        self._ctrl = physics.state("ctrl").numpy()
        parts, position = robot.observe(physics), robot.position(physics)
        self._parts = [part.numpy() for part in parts] if all(map(physics.owns, parts)) else None
        self._position = position.numpy() if physics.owns(position) else None

    def clipped(self, action: Tensor | NDArray[np.floating]) -> Tensor:
        if isinstance(action, Tensor):
            action = (action if action.dtype == self.action_low.dtype else action.double()).numpy(force=True)
        array = np.minimum(np.maximum(action, self._low), self._high)
        tensor = torch.from_numpy(array)
        self._last = tensor, array
        return tensor

    def step(self, controls: Tensor) -> tuple[Tensor, Tensor]:
        if self._position is None:
            return super().step(controls)
        before = self._position.copy()
        tensor, array = self._last
        self._ctrl[:] = array if controls is tensor else controls.numpy()
        diverged = self._physics.step(self._robot.frame_skip)
        return torch.from_numpy((self._position - before) / self._control_timestep), diverged

    def observe(self, *more: Tensor) -> Tensor:
        if self._parts is None:
            return super().observe(*more)
        return torch.from_numpy(self.observe_array(*[part.numpy() for part in more]))

    def observe_array(self, *more: NDArray[np.generic]) -> NDArray[np.float32]:
        if self._parts is None:
            return super().observe_array(*more)
        columns = [part[:, None] if part.ndim == 1 else part for part in more]
        with np.errstate(over="ignore"):  # a reward may be too large for float32, and infinite there, as PyTorch has it
            return np.concatenate((*self._parts, *columns), axis=-1, dtype=np.float32, casting="same_kind")


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
