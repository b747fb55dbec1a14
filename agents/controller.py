"""A trained policy with what one must know to use it: what is shipped and deployed."""

from pathlib import Path
from typing import Literal, Self, TypeVar, get_args

import numpy as np
import torch
from torch import Tensor

from limbshift.agents.actor import PolicyActor
from limbshift.agents.atomic_write import replacing
from limbshift.agents.controller_file import ControllerCard, Parts, file_of, parts_of
from limbshift.agents.heads import GuessHead, TaskHead
from limbshift.agents.recurrent import RecurrentActorCritic
from limbshift.agents.safe_tensors import read_tensors
from limbshift.envs.errors import ControllerError
from limbshift.envs.given import choice, numbers

Array = TypeVar("Array", np.ndarray, Tensor)
OnNan = Literal["raise", "hold"]


class Controller:
    """Acts in N robots at once: `reset` where a new trial begins, then `act` at each step.

    >>> import limbshift
    >>> trials = limbshift.make_trials("HalfCheetahDir", num_envs=2, horizon=5, split="heldout", seed=0)
    >>> controller = limbshift.load_controller("HalfCheetahDir")
    >>> obs, _ = trials.reset()
    >>> controller.reset(2)
    >>> trial_over = False
    >>> while not trial_over:
    ...     sensed, reward, boundary = (obs[:, trials.layout[part]] for part in ("obs", "previous_reward", "boundary"))
    ...     obs, _, _, truncated, _ = trials.step(controller.act(sensed, reward[:, 0], boundary[:, 0]))
    ...     trial_over = truncated.all()
    """

    def __init__(
        self,
        policy: RecurrentActorCritic,
        card: ControllerCard,
        action_low: Tensor,
        *,
        action_high: Tensor,
        task_head: GuessHead | None = None,
    ) -> None:
        """action_low, action_high: (A,) the ends of the robot's range, in its own units.

        task_head: what guesses at the task from the policy's memory, where it was trained to tell it; a policy with a
        belief network has its own.
        """
        self.policy = policy.eval().requires_grad_(False)
        head = task_head if policy.belief is None else policy.belief.head
        self.task_head = None if head is None else head.requires_grad_(False)
        self.card = card
        self.action_low = action_low.to(torch.float32)
        self.action_high = action_high.to(torch.float32)
        self.reset(1)

    def __repr__(self) -> str:
        card = self.card
        trials = f"trials of {card.episodes_per_trial} x {card.horizon} steps"
        return f"<Controller of {card.family}, variant {card.variant}: {card.steps:,} env steps of training, {trials}>"

    @property
    def middle_of_range(self) -> Tensor:
        """The (A,) actions in the middle of the robot's range, which a trial starts from."""
        return (self.action_high + self.action_low) / 2

    @property
    def half_range(self) -> Tensor:
        """By how much, (A,), actions may differ from the middle of the robot's range."""
        return (self.action_high - self.action_low) / 2

    def to(self, device: torch.device | str) -> Self:
        """Moves the network to a device, where it acts from now on; a new trial begins in each robot.

        Raises ControllerError for a device that this machine's PyTorch does not have.
        """
        try:
            self.policy.to(torch.device(device))
            if self.task_head is not None:
                self.task_head.to(torch.device(device))
        except (AssertionError, RuntimeError, TypeError) as error:  # each kind of device fails in its own way
            raise ControllerError(f"device is {device!r}, expected one that this machine's PyTorch has") from error
        self.action_low, self.action_high = self.action_low.to(device), self.action_high.to(device)
        self.reset(self._num_robots)
        return self

    def reset(self, robots: int | np.ndarray | Tensor) -> None:
        """Begins new trials: in so many robots, or in those that an (N,) bool mask picks, where the others go on."""
        if isinstance(robots, int | np.integer):
            if isinstance(robots, bool) or robots < 1:
                raise ControllerError(f"number of robots is {robots}, expected a whole number of at least 1")
            self._actor = PolicyActor(self.policy, int(robots))
            self._previous_action = torch.zeros(int(robots), self.policy.spec.action_dim, device=self._device)
            return
        picked = robots.cpu().numpy() if isinstance(robots, Tensor) else np.asarray(robots)
        if picked.dtype != np.bool_ or picked.shape != (self._num_robots,):
            found, expected = f"{picked.dtype} of shape {picked.shape}", f"bools of {(self._num_robots,)}"
            raise ControllerError(f"reset was given {found}, expected a number or {expected}")
        mask = torch.tensor(picked, device=self._device)
        self._actor.reset(mask)
        self._previous_action = self._previous_action.masked_fill(mask.unsqueeze(-1), 0.0)

    def act(self, obs: Array, previous_reward: Array | None, boundary: Array, *, on_nan: OnNan = "raise") -> Array:
        """Returns the mean action, (N, A) float32 in the robot's own units and within its range.

        numpy or torch in, the same out, on the device of obs.

        obs: (N, obs_dim) the physical observation.
        previous_reward: (N,) raw reward of the step before, 0 on a trial's first; None for a
            controller trained with its reward hidden, or without memory.
        boundary: (N,) 1 on the first step of each episode, else 0.
        on_nan: what to do where a robot is told something that is no finite number: "raise" a
            ControllerError, or "hold" its last action (the middle of the range, if there was none)
            and leave its memory as it was, while the others go on.
        """
        spec = self.policy.spec
        hold = choice("on_nan", on_nan, get_args(OnNan)) == "hold"
        if spec.task_dim:
            raise ControllerError("this controller observes its task: it is an oracle to compare with, not to deploy")
        num_envs = self._num_robots
        told = torch.cat(
            [
                self._checked("obs", obs, (num_envs, spec.obs_dim)),
                self._checked_reward(previous_reward, num_envs).unsqueeze(-1),
                self._checked("boundary", boundary, (num_envs,), kinds="iufb").unsqueeze(-1),
            ],
            dim=-1,
        )
        lost = ~told.isfinite().all(dim=-1)
        if not hold and lost.any():
            found = told[lost][0]
            raise ControllerError(
                f"robot {int(lost.nonzero()[0])} is told {found[~found.isfinite()][0]:g}, expected finite numbers, or"
                ' on_nan="hold" to repeat its last action'
            )
        sensed, rest = told.masked_fill(lost.unsqueeze(-1), 0.0).split([spec.obs_dim, 2], dim=-1)
        before = self._actor.state
        share = self._actor(torch.cat([sensed, self._previous_action, rest], dim=-1)).clamp(-1, 1)
        if lost.any():
            kept = lost.unsqueeze(-1)
            # What is written in place is one step ahead, which the step that comes instead writes over.
            parts = zip(before, self._actor.state, strict=True)
            self._actor.state = tuple(new if old is new else torch.where(kept, old, new) for old, new in parts)
            share = torch.where(kept, self._previous_action, share)
        self._previous_action = share
        action = self.middle_of_range + self.half_range * share
        return action.to(obs.device) if isinstance(obs, Tensor) else action.cpu().numpy()

    def guessed_task(self) -> Tensor:
        """Returns what its memory told of the tasks at the last step: (N, task_dim), as `TaskSpace.encode` tells them.

        Raises ControllerError for a controller whose file holds no head that was trained to tell it.
        """
        if self.task_head is None:
            raise ControllerError("this controller holds no head that tells its task, expected one that was kept")
        guess: Tensor = self.task_head(self._actor.features)
        return guess

    def save(self, path: Path | str) -> None:
        """Writes a .safetensors file that holds the policy and its card; ControllerError for weights that are NaN."""
        # That of a belief network is among the policy's tensors.
        head = self.task_head if isinstance(self.task_head, TaskHead) and self.policy.belief is None else None
        content = file_of(Parts(self.policy, self.card, self.action_low, self.action_high, head))
        with replacing(Path(path)) as temporary:
            temporary.write_bytes(content)

    @classmethod
    def load(cls, path: Path | str) -> "Controller":
        """Reads a .safetensors file; ControllerError says what is wrong with it."""
        path = Path(path)
        policy, card, low, high, task_head = parts_of(*read_tensors(path), path)
        return cls(policy, card, low, action_high=high, task_head=task_head)

    @property
    def _num_robots(self) -> int:
        return len(self._previous_action)

    @property
    def _device(self) -> torch.device:
        return self.policy.log_std.device

    def _checked_reward(self, previous_reward: Array | None, num_envs: int) -> Tensor:
        spec = self.policy.spec
        if not (spec.memory and spec.sees_reward):
            if previous_reward is not None:
                raise ControllerError("previous_reward was given, but this controller was trained without: pass None")
            return torch.zeros(num_envs, device=self._device)
        if previous_reward is None:
            raise ControllerError(
                f"previous_reward is None, expected shape ({num_envs},): this controller sees rewards"
            )
        return self._checked("previous_reward", previous_reward, (num_envs,))

    def _checked(self, name: str, value: Array, shape: tuple[int, ...], *, kinds: str = "iuf") -> Tensor:
        if not isinstance(value, Tensor):
            array = numbers(name, value, shape, error=ControllerError, kinds=kinds, finite=False)
            return torch.from_numpy(array).to(self._device, torch.float32)
        if value.is_complex() or (value.dtype == torch.bool and "b" not in kinds):
            raise ControllerError(f"dtype of {name} is {value.dtype}, expected real numbers")
        if tuple(value.shape) != shape:
            raise ControllerError(f"shape of {name} is {tuple(value.shape)}, expected {shape}")
        return value.detach().to(self._device, torch.float32)
