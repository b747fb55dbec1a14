"""A trained policy with what one must know to use it: the file that is shipped and deployed."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, Self, TypeVar, get_args

import numpy as np
import torch
from pydantic_core import from_json
from safetensors.torch import save
from torch import Tensor

from limbshift.agents.actor import PolicyActor
from limbshift.agents.atomic_write import replacing
from limbshift.agents.recurrent import PolicySpec, RecurrentActorCritic
from limbshift.agents.safe_tensors import read_tensors
from limbshift.envs.errors import ControllerError
from limbshift.envs.given import choice, numbers
from limbshift.envs.physics import EngineName
from limbshift.envs.schema import Checked, Count, Name, Seed, Total, Weight, make, shortened

Array = TypeVar("Array", np.ndarray, Tensor)
OnNan = Literal["raise", "hold"]

FORMAT = "limbshift-controller-2"
IN_ROBOT_UNITS = "limbshift-controller-1"
"""The first format, whose policies acted in the robot's own units; it is read too."""


@dataclass(frozen=True)
class ControllerCard(Checked):
    """What a controller was trained on."""

    family: Name
    variant: Name
    episodes_per_trial: Count
    horizon: Count
    """Steps in an episode."""
    physics: EngineName = "mujoco"
    seed: Seed = 0
    steps: Total = 0
    """Env steps of training."""
    minutes: Weight = 0.0
    """Of training."""
    robot: Name = ""
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
            controller trained with its reward hidden.
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
        tensors, metadata = read_tensors(path)
        found = metadata.get("format", "a file without a format")
        if found not in (FORMAT, IN_ROBOT_UNITS):
            raise ControllerError(f"{path} is {found[:60]}, expected {FORMAT}")
        spec, card = _about(metadata.get("about", ""), path)
        low, high = _limits(tensors, spec.action_dim, path)
        policy = _policy(tensors, spec, path)
        if found == IN_ROBOT_UNITS:
            if not torch.equal(low, -high):
                raise ControllerError(f"{path} is {found} with limits that lie unevenly about 0, expected {FORMAT}")
            _act_in_shares(policy, high.to(torch.float32))
        return cls(policy, card, low, action_high=high)

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


def _about(text: str, path: Path) -> tuple[PolicySpec, ControllerCard]:
    """Returns what a file's JSON says of a controller."""
    try:
        about = from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise ControllerError(f"{path} does not say what it holds: {error}, expected a JSON object") from error
    if not isinstance(about, dict) or not {"spec", "card"} <= about.keys():
        raise ControllerError(f"{path} says {shortened(about)} of what it holds, expected spec and card")
    spec = make(PolicySpec, about["spec"], f"spec in {path}")
    if spec.fault:
        raise ControllerError(f"spec in {path}: {spec.fault}")
    return spec, make(ControllerCard, about["card"], f"card in {path}")


def _limits(tensors: dict[str, Tensor], action_dim: int, path: Path) -> tuple[Tensor, Tensor]:
    """Takes the ends of the robot's range from a file's tensors."""
    for name in ("action_low", "action_high"):
        limit = tensors.get(name)
        if limit is None or tuple(limit.shape) != (action_dim,) or not limit.is_floating_point():
            found = "none" if limit is None else f"{limit.dtype} of shape {tuple(limit.shape)}"
            raise ControllerError(f"{name} in {path} is {found}, expected ({action_dim},) numbers")
    low, high = tensors.pop("action_low"), tensors.pop("action_high")
    if not (low.isfinite().all() and high.isfinite().all() and (low < high).all()):
        raise ControllerError(f"{path} has actions from {low.tolist()} to {high.tolist()}, expected finite ranges")
    return low, high


def _policy(tensors: Mapping[str, Tensor], spec: PolicySpec, path: Path) -> RecurrentActorCritic:
    """Returns the policy of a file's tensors, once they are what its sizes ask for, and finite."""
    # The largest come first: what a file merely says of its sizes takes no memory.
    for name, shape in _largest(spec).items():
        if name not in tensors or tuple(tensors[name].shape) != shape:
            has = f"has shape {tuple(tensors[name].shape)}" if name in tensors else "is none"
            raise ControllerError(f"{name} in {path} {has}, expected {shape}")
    policy = RecurrentActorCritic(spec)
    expected = policy.state_dict()
    for name in sorted(tensors.keys() ^ expected.keys()):
        raise ControllerError(f"{path} {'lacks' if name in expected else 'holds an unknown'} {shortened(name)}")
    for name, tensor in tensors.items():
        for what, found, wanted in (
            ("shape", tuple(tensor.shape), tuple(expected[name].shape)),
            ("dtype", tensor.dtype, expected[name].dtype),
        ):
            if found != wanted:
                raise ControllerError(f"{name} in {path} has {what} {found}, expected {wanted}")
        if not tensor.isfinite().all():
            raise ControllerError(f"{name} in {path} holds {tensor[~tensor.isfinite()][0]}, expected finite numbers")
    for name in ("normaliser.var", "normaliser.count"):
        if (tensors[name] < 0).any():
            raise ControllerError(f"{name} in {path} is {tensors[name].min():g}, expected 0 or more")
    policy.load_state_dict(tensors)
    return policy


def _largest(spec: PolicySpec) -> dict[str, tuple[int, int]]:
    """Returns the shapes of a policy's largest tensors, by name: none of the others is larger than all of these."""
    size = spec.hidden_size
    cell = {
        "lstm": ("recurrent.weight_hh_l0", 4),
        "gru": ("recurrent.weight_hh_l0", 3),
        "transformer": ("recurrent.blocks.0.query_key_value.weight", 3),
    }
    name, parts = cell[spec.cell]
    head = {"action_head.weight": (spec.action_dim * (size + 1), size)} if spec.head == "hyper" else {}
    return {"encoder.weight": (size, spec.trial_obs_dim), name: (parts * size, size), **head}


@torch.no_grad()
def _act_in_shares(policy: RecurrentActorCritic, reach: Tensor) -> None:
    """Turns a policy that acts in a robot's units, between -reach and reach, into one that acts in shares of that."""
    seen = slice(policy.spec.obs_dim, policy.spec.obs_dim + policy.spec.action_dim)
    policy.encoder.weight[:, seen].mul_(reach)
    for made in (policy.action_head.weight, policy.action_head.bias):  # rows of one action after rows of another
        rows = made.unflatten(0, (len(reach), -1))
        rows.div_(reach.view(-1, *[1] * (rows.dim() - 1)))
    policy.log_std.sub_(reach.log())
