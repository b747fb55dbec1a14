"""What a controller's file holds: tensors by name, and what they are in JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from pydantic_core import from_json
from safetensors.torch import save
from torch import Tensor

from limbshift.agents.heads import TaskHead
from limbshift.agents.recurrent import MAX_SIZE, PolicySpec, RecurrentActorCritic
from limbshift.envs.errors import ControllerError
from limbshift.envs.physics import EngineName
from limbshift.envs.schema import Checked, Count, Name, Seed, Total, Weight, make, shortened

FORMAT = "limbshift-controller-2"
IN_ROBOT_UNITS = "limbshift-controller-1"
"""The first format, whose policies acted in the robot's own units; it is read too."""

TASK_HEAD = "task_head."
"""What the names of the tensors begin with that tell the task; a file may hold none."""


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


class Parts(NamedTuple):
    """What a file holds."""

    policy: RecurrentActorCritic
    card: ControllerCard
    action_low: Tensor
    """(A,) the lowest actions of the robot, in its own units."""
    action_high: Tensor
    task_head: TaskHead | None


def file_of(parts: Parts) -> bytes:
    """Returns a .safetensors file; ControllerError for weights that are NaN."""
    about = {"spec": asdict(parts.policy.spec), "card": asdict(parts.card)}
    tensors = {name: tensor.contiguous() for name, tensor in parts.policy.state_dict().items()}
    if parts.task_head is not None:
        tensors |= {TASK_HEAD + name: tensor.contiguous() for name, tensor in parts.task_head.state_dict().items()}
    tensors |= {"action_low": parts.action_low, "action_high": parts.action_high}
    if unsound := [name for name, tensor in tensors.items() if not tensor.isfinite().all()]:
        raise ControllerError(f"{unsound[0]} of the controller is not finite, expected finite weights")
    return save(tensors, {"format": FORMAT, "about": json.dumps(about)})


def parts_of(tensors: dict[str, Tensor], metadata: Mapping[str, str], path: Path) -> Parts:
    """Takes what a file holds, as `read_tensors` read it from a path; ControllerError says what is wrong with it."""
    found = metadata.get("format", "a file without a format")
    if found not in (FORMAT, IN_ROBOT_UNITS):
        raise ControllerError(f"{path} is {found[:60]}, expected {FORMAT}")
    spec, card = _about(metadata.get("about", ""), path)
    low, high = _limits(tensors, spec.action_dim, path)
    task_head = _task_head(tensors, spec, path)
    policy = _policy(tensors, spec, path)
    if found == IN_ROBOT_UNITS:
        if not torch.equal(low, -high):
            raise ControllerError(f"{path} is {found} with limits that lie unevenly about 0, expected {FORMAT}")
        _act_in_shares(policy, high.to(torch.float32))
    return Parts(policy, card, low, high, task_head)


def _task_head(tensors: dict[str, Tensor], spec: PolicySpec, path: Path) -> TaskHead | None:
    """Takes the head that tells the task from a file's tensors; None where it holds none, or its policy has one."""
    names = sorted(name for name in tensors if name.startswith(TASK_HEAD))
    if not names or spec.belief_size:
        return None
    own = {name.removeprefix(TASK_HEAD): tensors.pop(name) for name in names}
    bias = own.get("bias")
    if bias is None or bias.dim() != 1 or not 1 <= len(bias) <= MAX_SIZE:
        found = "none" if bias is None else f"of shape {tuple(bias.shape)}"
        raise ControllerError(f"{TASK_HEAD}bias in {path} is {found}, expected a number for each that tells a task")
    head = TaskHead(spec.hidden_size, len(bias))
    _check(own, head.state_dict(), path, prefix=TASK_HEAD)
    head.load_state_dict(own)
    return head


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
    _check(tensors, policy.state_dict(), path)
    for name in ("normaliser.var", "normaliser.count"):
        if (tensors[name] < 0).any():
            raise ControllerError(f"{name} in {path} is {tensors[name].min():g}, expected 0 or more")
    policy.load_state_dict(tensors)
    return policy


def _check(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path, *, prefix: str = "") -> None:
    """Raises ControllerError unless a file's tensors are finite ones of the names, shapes and dtypes expected."""
    for name in sorted(tensors.keys() ^ expected.keys()):
        raise ControllerError(
            f"{path} {'lacks' if name in expected else 'holds an unknown'} {shortened(prefix + name)}"
        )
    for name, tensor in tensors.items():
        for what, found, wanted in (
            ("shape", tuple(tensor.shape), tuple(expected[name].shape)),
            ("dtype", tensor.dtype, expected[name].dtype),
        ):
            if found != wanted:
                raise ControllerError(f"{prefix}{name} in {path} has {what} {found}, expected {wanted}")
        if not tensor.isfinite().all():
            raise ControllerError(
                f"{prefix}{name} in {path} holds {tensor[~tensor.isfinite()][0]}, expected finite numbers"
            )


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
    width, count = spec.belief_size, spec.num_candidates
    belief = {
        "belief.encoder.weight": (width, spec.trial_obs_dim),
        "belief.recurrent.weight_hh_l0": (4 * width, width),
        "belief.head.weight": (spec.belief_dim, width),
    }
    if count:
        belief = {
            "belief.encoder.weight": (width, spec.trial_obs_dim - 2),
            "belief.hidden.weight": (width, width),
            "belief.task.weight": (width, spec.belief_dim),
            "belief.head.candidates": (count, spec.belief_dim),
        }
    return {
        "encoder.weight": (size, spec.trial_obs_dim + spec.belief_dim),
        name: (parts * size, size),
        **head,
        **(belief if width else {}),
    }


@torch.no_grad()
def _act_in_shares(policy: RecurrentActorCritic, reach: Tensor) -> None:
    """Turns a policy that acts in a robot's units, between -reach and reach, into one that acts in shares of that."""
    seen = slice(policy.spec.obs_dim, policy.spec.obs_dim + policy.spec.action_dim)
    policy.encoder.weight[:, seen].mul_(reach)
    for made in (policy.action_head.weight, policy.action_head.bias):  # rows of one action after rows of another
        rows = made.unflatten(0, (len(reach), -1))
        rows.div_(reach.view(-1, *[1] * (rows.dim() - 1)))
    policy.log_std.sub_(reach.log())
