"""Checks of what callers give: each returns the value as its own kind, or says in one line what was expected."""

import reprlib
from collections.abc import Sequence
from numbers import Integral
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limbshift.envs.errors import InputError

Choice = TypeVar("Choice", bound=str)


MOST = 10**6
"""Robots side by side, steps in an episode or episodes in a trial: more would ask for all memory or time there is."""


def whole_number(name: str, value: object, least: int = 1, *, most: int | None = None) -> int:
    """Returns an int, NumPy's too, that lies within the limits.

    >>> whole_number("horizon", np.int32(5))
    5
    """
    if isinstance(value, Integral) and not isinstance(value, bool):
        number = int(value)
        if number >= least and (most is None or number <= most):
            return number
    expected = f"of at least {least}" if most is None else f"from {least} to {most}"
    raise InputError(f"{name} is {reprlib.repr(value)}, expected a whole number {expected}")


def choice(name: str, value: object, choices: Sequence[Choice]) -> Choice:
    """Returns the one of the choices that the value is.

    >>> choice("physics", "mujoco", ("mujoco", "warp"))
    'mujoco'
    """
    for one in choices:
        if isinstance(value, str) and value == one:
            return one
    raise InputError(f"{name} is {reprlib.repr(value)}, expected one of {', '.join(choices)}")


def flag(name: str, value: object) -> bool:
    """Returns a bool, NumPy's too.

    >>> flag("trials", np.True_)
    True
    """
    if not isinstance(value, bool | np.bool_):
        raise InputError(f"{name} is {reprlib.repr(value)}, expected True or False")
    return bool(value)


def numbers(
    name: str,
    value: object,
    shape: tuple[int, ...],
    *,
    error: type[InputError] = InputError,
    kinds: str = "iuf",
    finite: bool = True,
) -> NDArray[np.floating]:
    """Returns a new array of this shape, of finite numbers: float32 where it was, else float64.

    kinds: of NumPy's types, by their letters. finite: whether nan and infinity are refused.

    >>> numbers("qpos", [1, 2], (2,))
    array([1., 2.])
    """
    if isinstance(value, Tensor):
        value = value.detach().cpu()
        value = value.float() if value.dtype == torch.bfloat16 else value  # which NumPy lacks
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as reason:
        raise error(f"value of {name} is {reprlib.repr(value)}, expected numbers of shape {shape}") from reason
    if array.dtype.kind not in kinds:
        raise error(f"dtype of {name} is {array.dtype}, expected real numbers")
    if array.shape != shape:
        raise error(f"shape of {name} is {array.shape}, expected {shape}")
    if array.dtype.itemsize > 8:
        with np.errstate(over="ignore"):  # of a longer float, which is then found to be infinite
            array = array.astype(np.float64)
    array = array.astype(np.float32 if array.dtype.char == "f" else np.float64)
    if finite and np.count_nonzero(np.isfinite(array)) < array.size:
        raise error(f"value in {name} is {array[~np.isfinite(array)][0]}, expected finite numbers")
    return array
