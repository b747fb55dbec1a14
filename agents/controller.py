"""A trained policy with what one must know to use it: the file that is shipped and deployed."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from limbshift.agents.actor import PolicyActor
from limbshift.agents.atomic_write import replacing
from limbshift.agents.recurrent import PolicySpec, RecurrentActorCritic
from limbshift.envs.errors import InputError

Array = TypeVar("Array", np.ndarray, Tensor)

FORMAT = "limbshift-controller-1"


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
    """Acts in N robots at once. Call `reset` where a new trial begins, then `act` at each step."""

    def __init__(
        self, policy: RecurrentActorCritic, card: ControllerCard, action_low: Tensor, action_high: Tensor
    ) -> None:
        self.policy = policy.eval().requires_grad_(False)
        self.card = card
        self.action_low = action_low
        self.action_high = action_high
        self.reset(1)

    def reset(self, num_envs: int) -> None:
        """MemoryWipe everything: a new trial begins in each of num_envs robots."""
        self._actor = PolicyActor(self.policy, num_envs)
        self._previous_action = torch.zeros(num_envs, self.policy.spec.action_dim)

    def act(self, obs: Array, previous_reward: Array | None, boundary: Array) -> Array:
        """The mean action, (N, A), clipped to the motors' range; numpy or torch in, the same out.

        obs: (N, obs_dim) the physical observation.
        previous_reward: (N,) raw reward of the step before, 0 on a trial's first; None for a
            controller trained with its reward hidden.
        boundary: (N,) 1 on the first step of each episode, else 0.
        """
        spec = self.policy.spec
        if spec.task_dim:
            raise ControllerError("this controller observes its task: it is an oracle to compare with, not to deploy")
        num_envs = len(self._previous_action)
        reward = self._check_reward(previous_reward, num_envs)
        parts = [
            _checked("obs", obs, (num_envs, spec.obs_dim)),
            self._previous_action,
            reward.unsqueeze(-1),
            _checked("boundary", boundary, (num_envs,)).unsqueeze(-1),
        ]
        action = self._actor(torch.cat(parts, dim=-1)).clamp(self.action_low, self.action_high)
        self._previous_action = action
        return action.clone() if isinstance(obs, Tensor) else action.numpy().copy()

    def save(self, path: Path) -> None:
        """Write a .safetensors file that holds the policy and its card."""
        about = {"spec": asdict(self.policy.spec), "card": asdict(self.card)}
        tensors = {name: tensor.contiguous() for name, tensor in self.policy.state_dict().items()}
        tensors |= {"action_low": self.action_low, "action_high": self.action_high}
        with replacing(path) as temporary:
            save_file(tensors, temporary, {"format": FORMAT, "about": json.dumps(about)})

    @classmethod
    def load(cls, path: Path) -> "Controller":
        """Read a .safetensors file; ControllerError says what is wrong with it."""
        if not path.is_file():
            raise ControllerError(f"no controller at {path}, expected a .safetensors file")
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        except (SafetensorError, OSError) as error:
            raise ControllerError(f"{path} is truncated or no .safetensors file: {error}") from error
        if metadata.get("format") != FORMAT:
            found = metadata.get("format", "a file without a format")
            raise ControllerError(f"{path} is {found}, expected {FORMAT}")
        try:
            about = json.loads(metadata["about"])
            policy = RecurrentActorCritic(PolicySpec(**about["spec"]))
            low, high = tensors.pop("action_low"), tensors.pop("action_high")
            policy.load_state_dict(tensors)
            return cls(policy, ControllerCard(**about["card"]), low, high)
        except (KeyError, TypeError, RuntimeError, json.JSONDecodeError) as error:
            reason = str(error).splitlines()[0]
            raise ControllerError(f"{path} does not hold what {FORMAT} asks for: {reason}") from error

    def _check_reward(self, previous_reward: Array | None, num_envs: int) -> Tensor:
        spec = self.policy.spec
        if not (spec.memory and spec.sees_reward):
            if previous_reward is not None:
                raise ControllerError("previous_reward was given, but this controller was trained without: pass None")
            return torch.zeros(num_envs)
        if previous_reward is None:
            raise ControllerError(
                f"previous_reward is None, expected shape ({num_envs},): this controller sees rewards"
            )
        return _checked("previous_reward", previous_reward, (num_envs,))


def _checked(name: str, value: Array, shape: tuple[int, ...]) -> Tensor:
    tensor = torch.as_tensor(value).to(torch.float32)
    if tuple(tensor.shape) != shape:
        raise ControllerError(f"{name} has shape {tuple(tensor.shape)}, expected {shape}")
    return tensor
