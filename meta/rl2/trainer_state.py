"""What a trainer's state from a file must be like: checked against that of the trainer that is to go on from it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from limbshift.envs.errors import InputError

LARGEST_COUNT = 2**53
"""Counts stay below this."""
MAX_TASK_INDEX = 2**32
"""As random streams allow."""
GENERATOR_BYTES = {"cpu": 5056, "cuda": 16}
"""Of a generator's state."""


def check_like(found: object, expected: object, name: str) -> None:
    """Raises InputError unless one state is built as another is.

    Keys, lengths, shapes and dtypes must be the same; numbers must be finite, and those outside tensors not negative.

    >>> check_like({"weight": torch.ones(3)}, {"weight": torch.zeros(2)}, "policy")
    Traceback (most recent call last):
    limbshift.envs.errors.InputError: policy.weight is torch.float32 of shape (3,), expected torch.float32 of shape (2,)
    """
    if isinstance(expected, Tensor):
        _check_tensor(found, expected, name)
    elif isinstance(expected, Mapping):
        _check_keys(found, expected, name)
        assert isinstance(found, Mapping)
        for key, value in expected.items():
            check_like(found[key], value, f"{name}.{key}")
    elif isinstance(expected, Sequence):
        if not isinstance(found, type(expected)) or len(found) != len(expected):
            raise InputError(f"{name} is {_described(found)}, expected {_described(expected)}")
        for number, (one, other) in enumerate(zip(found, expected, strict=True)):
            check_like(one, other, f"{name}[{number}]")
    else:
        _check_number(found, type(expected), name)


def check_optimizer(found: object, optimizer: torch.optim.Optimizer, *, begun: bool) -> None:
    """Raises InputError unless an optimiser's state is one that this optimiser can have.

    begun: whether it has made steps, before which it keeps nothing.
    """
    _check_keys(found, ("state", "param_groups"), "optimizer")
    assert isinstance(found, Mapping)
    own = optimizer.state_dict()["param_groups"]
    groups = found["param_groups"]
    if not isinstance(groups, list) or len(groups) != len(own) or not all(isinstance(each, dict) for each in groups):
        expected = "one dict" if len(own) == 1 else f"{len(own)} dicts"
        raise InputError(f"optimizer.param_groups is {_described(groups)}, expected a list of {expected}")
    for number, (group, like_group) in enumerate(zip(groups, own, strict=True)):
        _check_group(group, like_group, f"optimizer.param_groups[{number}]")
    state = found["state"]
    parameters = [each for group in optimizer.param_groups for each in group["params"]] if begun else []
    like = {
        number: {"step": torch.zeros(()), "exp_avg": parameter, "exp_avg_sq": parameter}
        for number, parameter in enumerate(parameters)
    }
    check_like(state, like, "optimizer.state")
    for number, moments in state.items():
        for name in ("step", "exp_avg_sq"):
            check_not_negative(moments[name], f"optimizer.state.{number}.{name}")


def _check_group(found: Mapping[str, Any], own: Mapping[str, Any], name: str) -> None:
    for option, value in own.items():
        # Which way a step is computed depends on the device, which may change, and newer versions know more options.
        if option in ("lr", "fused", "foreach", "capturable") or (option not in found and option != "params"):
            continue
        if repr(found.get(option)) != repr(value):
            raise InputError(f"{name}.{option} is {_described(found.get(option))}, expected {_described(value)}")
    _check_number(found.get("lr"), float, f"{name}.lr")


def check_experience(found: Mapping[str, Any], own: Mapping[str, Any], device: torch.device) -> None:
    """Raises InputError unless trials can be collected from a state on; runs from before there was one hold none."""
    if own and not found:
        return
    apart = {"generator": 0} if own else {}
    found = {"tells": 0, **found} if own else found  # older checkpoints hold none
    check_like({**found, **{name: 0 for name in apart if name in found}}, {**own, **apart}, "experience")
    if own:
        check_generator(found["generator"], device)
        for name in ("count", "var"):
            check_not_negative(found["policy"][f"normaliser.{name}"], f"experience.policy.normaliser.{name}")


def check_generator(found: object, device: torch.device) -> None:
    """Raises InputError unless a generator can take the state up, on this device or on the other kind."""
    if not isinstance(found, Tensor) or found.dtype != torch.uint8 or found.dim() != 1:
        raise InputError(f"generator is {_described(found)}, expected torch.uint8 of one axis")
    if len(found) not in GENERATOR_BYTES.values():
        raise InputError(f"generator has {len(found):,} bytes, expected {GENERATOR_BYTES[device.type]:,}")
    if len(found) == GENERATOR_BYTES[device.type]:
        try:
            torch.Generator(device).set_state(found)
        except RuntimeError as error:
            raise InputError(f"generator holds no state of one: {str(error).splitlines()[0]}") from error


def check_rank_states(found: object, experience: Mapping[str, Any], device: torch.device) -> None:
    """Raises InputError unless the generators of ranks 1, 2 and so on can be taken up."""
    if not isinstance(found, list):
        raise InputError(f"ranks is {_described(found)}, expected a list")
    names = ("generator", "collector") if experience else ("generator",)
    for number, state in enumerate(found):
        _check_keys(state, names, f"ranks[{number}]")
        for name in names:
            check_generator(state[name], device)


def set_generator(generator: torch.Generator, state: Tensor | None, steps: int) -> None:
    """Puts a generator where it was.

    Without a state, or with one of another kind of device, it begins anew, by its seed and the env steps.
    """
    if state is not None and len(state) == GENERATOR_BYTES[generator.device.type]:
        generator.set_state(state)
    else:
        generator.manual_seed(generator.initial_seed() + steps)


def check_task_index(index: Tensor, *, num_ranks: int) -> None:
    """Raises InputError unless the (N,) simulations of rank 0 are at the tasks n, n + N, n + 2N, ..."""
    num_envs = len(index)
    offset = index - torch.arange(num_envs)
    lowest = -num_ranks * num_envs
    if (offset != offset[0]).any() or offset[0] % num_envs or not lowest <= offset[0] < MAX_TASK_INDEX - num_envs:
        raise InputError(f"task_index begins with {index[:4].tolist()}, expected n, n + 1, … with n a multiple of N")


def check_not_negative(tensor: Tensor, name: str) -> None:
    """Raises InputError where a value is below zero."""
    if (tensor < 0).any():
        raise InputError(f"{name} holds {float(tensor.min()):.3g}, expected numbers from 0 on")


def _check_tensor(found: object, expected: Tensor, name: str) -> None:
    same = isinstance(found, Tensor) and (found.dtype, found.shape, found.layout) == (
        expected.dtype,
        expected.shape,
        expected.layout,
    )
    if not same:
        raise InputError(f"{name} is {_described(found)}, expected {_described(expected)}")
    assert isinstance(found, Tensor)
    if not found.isfinite().all():
        raise InputError(f"{name} holds {float(found[~found.isfinite()][0])}, expected finite numbers")


def _check_keys(found: object, expected: Mapping[Any, object] | Sequence[str], name: str) -> None:
    if not isinstance(found, Mapping):
        raise InputError(f"{name} is {_described(found)}, expected a dict")
    if missing := [key for key in expected if key not in found]:
        raise InputError(f"{name} has no {_described(missing[0])}, expected one")
    if unknown := [key for key in found if key not in expected]:
        raise InputError(f"{name} has {_described(unknown[0])}, expected nothing of that name")


def _check_number(found: object, kind: type, name: str) -> None:
    whole = isinstance(found, int) and not isinstance(found, bool)
    if kind is int:
        if not whole or not 0 <= int(found) < LARGEST_COUNT:  # type: ignore[call-overload]
            raise InputError(f"{name} is {_described(found)}, expected a whole number from 0 to 2^53")
    elif not (whole or isinstance(found, float)) or not 0 <= found < LARGEST_COUNT or not math.isfinite(found):  # type: ignore[operator,arg-type]
        raise InputError(f"{name} is {_described(found)}, expected a number from 0 to 2^53")


def _described(value: object) -> str:
    """Returns a few words about a value of whatever kind, on one line."""
    if isinstance(value, Tensor):
        return f"{value.dtype} of shape {tuple(value.shape)}"
    if isinstance(value, int) and value.bit_length() > 64:
        return f"a number of {value.bit_length():,} bits"
    if isinstance(value, bool | int | float | str | bytes) or value is None:
        return repr(value)[:40]
    return f"a {type(value).__name__}" + (f" of {len(value)}" if isinstance(value, Sequence | Mapping) else "")
