"""A trained policy with what one must know to use it: the file that is shipped and deployed."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self, TypeVar

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from limbshift.agents.actor import PolicyActor
from limbshift.agents.atomic_write import replacing
from limbshift.agents.recurrent import PolicySpec, RecurrentActorCritic
from limbshift.envs.errors import InputError

Array = TypeVar("Array", np.ndarray, Tensor)

FORMAT = "limbshift-controller-2"
IN_ROBOT_UNITS = "limbshift-controller-1"
"""The first format, whose policies acted in the robot's own units; it is read too."""


class ControllerError(InputError):
    """A file that holds no controller, or a controller used for what it was not trained for."""


@dataclass(frozen=True)
class ControllerCard:
    """What a controller was trained on."""

    family: str
    variant: str
    episodes_per_trial: int
    horizon: int
    """Steps in an episode."""
    physics: str = "mujoco"
    seed: int = 0
    steps: int = 0
    """Env steps of training."""
    minutes: float = 0.0
    """Of training."""
    robot: str = ""
    """Name of the user's own robot, which lies beside the controller; empty for the families' own."""


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
        self, policy: RecurrentActorCritic, card: ControllerCard, action_low: Tensor, *, action_high: Tensor
    ) -> None:
        """action_low, action_high: (A,) the ends of the robot's range, in its own units."""
        self.policy = policy.eval().requires_grad_(False)
        self.card = card
        self.action_low = action_low.to(torch.float32)
        self.action_high = action_high.to(torch.float32)
        self.reset(1)

    def __repr__(self) -> str:
        card = self.card
        trials = f"trials of {card.episodes_per_trial} x {card.horizon} steps"
        return f"<Controller of {card.family}, variant {card.variant}: {card.steps:,} env steps of training, {trials}>"

    def to(self, device: torch.device | str) -> Self:
        """Moves the network to a device, where it acts from now on; a new trial begins in each robot."""
        self.policy.to(device)
        self.action_low, self.action_high = self.action_low.to(device), self.action_high.to(device)
        self.reset(len(self._previous_action))
        return self

    def reset(self, robots: int | np.ndarray | Tensor) -> None:
        """Begins new trials: in so many robots, or in those that an (N,) bool mask picks, where the others go on."""
        if isinstance(robots, int | np.integer):
            self._actor = PolicyActor(self.policy, int(robots))
            self._previous_action = torch.zeros(int(robots), self.policy.spec.action_dim, device=self._device)
            return
        mask = torch.as_tensor(robots).to(self._device)
        expected = (len(self._previous_action),)
        if mask.dtype != torch.bool or tuple(mask.shape) != expected:
            raise ControllerError(
                f"reset was given {mask.dtype} of shape {tuple(mask.shape)}, expected a number or bools of {expected}"
            )
        self._actor.reset(mask)
        self._previous_action = self._previous_action.masked_fill(mask.unsqueeze(-1), 0.0)

    def act(self, obs: Array, previous_reward: Array | None, boundary: Array) -> Array:
        """Returns the mean action, (N, A) float32 in the robot's own units and within its range.

        numpy or torch in, the same out, on the device of obs.

        obs: (N, obs_dim) the physical observation.
        previous_reward: (N,) raw reward of the step before, 0 on a trial's first; None for a
            controller trained with its reward hidden.
        boundary: (N,) 1 on the first step of each episode, else 0.
        """
        spec = self.policy.spec
        if spec.task_dim:
            raise ControllerError("this controller observes its task: it is an oracle to compare with, not to deploy")
        num_envs = len(self._previous_action)
        parts = [
            self._checked("obs", obs, (num_envs, spec.obs_dim)),
            self._previous_action,
            self._checked_reward(previous_reward, num_envs).unsqueeze(-1),
            self._checked("boundary", boundary, (num_envs,)).unsqueeze(-1),
        ]
        share = self._actor(torch.cat(parts, dim=-1)).clamp(-1, 1)
        self._previous_action = share
        action = (self.action_high + self.action_low) / 2 + (self.action_high - self.action_low) / 2 * share
        return action.to(obs.device) if isinstance(obs, Tensor) else action.cpu().numpy()

    def save(self, path: Path) -> None:
        """Writes a .safetensors file that holds the policy and its card; ControllerError for weights that are NaN."""
        about = {"spec": asdict(self.policy.spec), "card": asdict(self.card)}
        tensors = {name: tensor.contiguous() for name, tensor in self.policy.state_dict().items()}
        tensors |= {"action_low": self.action_low, "action_high": self.action_high}
        if unsound := [name for name, tensor in tensors.items() if not tensor.isfinite().all()]:
            raise ControllerError(f"{unsound[0]} of the controller is not finite, expected finite weights")
        content = save(tensors, {"format": FORMAT, "about": json.dumps(about)})
        with replacing(path) as temporary:
            temporary.write_bytes(content)

    @classmethod
    def load(cls, path: Path) -> "Controller":
        """Reads a .safetensors file; ControllerError says what is wrong with it."""
        tensors, metadata = _read(path)
        found = metadata.get("format", "a file without a format")
        if found not in (FORMAT, IN_ROBOT_UNITS):
            raise ControllerError(f"{path} is {found}, expected {FORMAT}")
        try:
            about = json.loads(metadata["about"])
            policy = RecurrentActorCritic(PolicySpec(**about["spec"]))
            low, high = tensors.pop("action_low"), tensors.pop("action_high")
            policy.load_state_dict(tensors)
            if found == IN_ROBOT_UNITS:
                if not torch.equal(low, -high) or not (high > 0).all():
                    raise ControllerError(f"{path} is {found} with limits that lie unevenly about 0, expected {FORMAT}")
                _act_in_shares(policy, high.to(torch.float32))
            return cls(policy, ControllerCard(**about["card"]), low, action_high=high)
        except (KeyError, TypeError, RuntimeError, json.JSONDecodeError) as error:
            reason = str(error).splitlines()[0]
            raise ControllerError(f"{path} does not hold what {FORMAT} asks for: {reason}") from error

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

    def _checked(self, name: str, value: Array, shape: tuple[int, ...]) -> Tensor:
        tensor = torch.as_tensor(value).to(self._device, torch.float32)
        if tuple(tensor.shape) != shape:
            raise ControllerError(f"{name} has shape {tuple(tensor.shape)}, expected {shape}")
        return tensor


def _read(path: Path) -> tuple[dict[str, Tensor], Mapping[str, str]]:
    """Returns the tensors and the metadata of a .safetensors file."""
    if not path.is_file():
        raise ControllerError(f"no controller at {path}, expected a .safetensors file")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError) as error:
        raise ControllerError(f"{path} is truncated or no .safetensors file: {error}") from error


@torch.no_grad()
def _act_in_shares(policy: RecurrentActorCritic, reach: Tensor) -> None:
    """Turns a policy that acts in a robot's units, between -reach and reach, into one that acts in shares of that."""
    seen = slice(policy.spec.obs_dim, policy.spec.obs_dim + policy.spec.action_dim)
    policy.encoder.weight[:, seen].mul_(reach)
    policy.action_head.weight.div_(reach.unsqueeze(-1))
    policy.action_head.bias.div_(reach)
    policy.log_std.sub_(reach.log())
