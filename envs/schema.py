"""Checks settings, and what files say, against the annotations of the dataclasses that hold them."""

import dataclasses
import difflib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import numpy as np
from annotated_types import MaxLen
from pydantic import AfterValidator, ConfigDict, Strict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from limbshift.envs.errors import InputError

T = TypeVar("T")

MAX_SHOWN = 60
"""Characters of a value that an error shows."""


def between(low: float, high: float) -> AfterValidator:
    """Returns an annotation of numbers from low to high.

    >>> Share = Annotated[float, between(0, 1)]
    """

    def check(value: float) -> float:
        if low <= value <= high:
            return value
        raise PydanticCustomError("range", "{expected}", {"expected": f"a number from {low:g} to {high:.12g}"})

    return AfterValidator(check)


def above_zero(at_most: float) -> AfterValidator:
    """Returns an annotation of numbers above 0, up to what would ask for all memory or time that there is.

    >>> Count = Annotated[int, above_zero(at_most=1_000_000)]
    """

    def check(value: float) -> float:
        if 0 < value <= at_most:
            return value
        expected = "a number above 0" if value <= 0 else f"at most {at_most:.12g}"
        raise PydanticCustomError("range", "{expected}", {"expected": expected})

    return AfterValidator(check)


def _check_rows(rows: list[list[float]]) -> list[list[float]]:
    lengths = {len(row) for row in rows}
    if len(lengths) != 1 or 0 in lengths:
        raise PydanticCustomError("rows", "rows of one length")
    return rows


filled_rows = AfterValidator(_check_rows)
"""An annotation of lists in a list, none of them empty and all of one length."""
Seed = Annotated[int, between(0, 2**32 - 1)]
Count = Annotated[int, above_zero(at_most=10**6)]
"""Of trials, episodes, steps in an episode and the like."""
Width = Annotated[int, above_zero(at_most=16_384)]
"""Of what a network takes in, and of its layers."""
Steps = Annotated[int, above_zero(at_most=10**15)]
"""Of a whole training."""
Total = Annotated[int, between(0, 10**15)]
"""What was done of them."""
Positive = Annotated[float, above_zero(at_most=1e9)]
Share = Annotated[float, between(0, 1)]
Weight = Annotated[float, between(0, 1e9)]
Name = Annotated[str, MaxLen(200)]
FilePath = Annotated[Path, Strict(False)]
"""A path, or a str that becomes one."""
ANY_SEQUENCE = Strict(False)
"""Lets a tuple be given as a list."""


@dataclasses.dataclass(frozen=True)
class Checked:
    """A dataclass whose fields are checked when it is made; InputError names the first that is wrong.

    A number of numpy's becomes Python's, and a str a Path where that is annotated.

    >>> @dataclasses.dataclass(frozen=True)
    ... class Trials(Checked):
    ...     num_envs: Count
    >>> Trials(np.int64(3))
    Trials(num_envs=3)
    >>> Trials(0)
    Traceback (most recent call last):
    limbshift.envs.errors.InputError: num_envs is 0, expected a number above 0
    """

    def __post_init__(self) -> None:
        check_fields(self)


def check_fields(holder: Any, shown_below: str = "") -> None:
    """Checks the fields of a dataclass, and those of dataclasses in it; InputError names the first that is wrong."""
    kind: type = type(holder)
    for field, shown, adapter in _adapters(kind):
        value = getattr(holder, field)
        if isinstance(value, np.generic):
            value = value.item()
        try:
            object.__setattr__(holder, field, adapter.validate_python(value))
        except ValidationError as error:
            raise InputError(in_one_line(f"{shown_below}{shown}", error)) from None
        if dataclasses.is_dataclass(value) and not isinstance(value, Checked):
            check_fields(value, f"{shown}.")


def make(kind: type[T], content: object, source: str) -> T:
    """Returns a dataclass of a file's values, checked; InputError names the source and what is wrong.

    >>> from limbshift.agents.recurrent import PolicySpec
    >>> make(PolicySpec, {"obs_dim": 3}, "spec in a.safetensors")
    Traceback (most recent call last):
    limbshift.envs.errors.InputError: spec in a.safetensors lacks action_dim
    """
    if not isinstance(content, Mapping):
        raise InputError(f"{source} is {shortened(content)}, expected an object")
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]  # of a dataclass
    for name in content:
        if name not in fields:
            nearest = difflib.get_close_matches(str(name), fields, n=1)
            hint = f": did you mean {nearest[0]}?" if nearest else ""
            raise InputError(f"{source} holds an unknown {shortened(name)}{hint}")
    for name, field in fields.items():
        if name not in content and field.default is field.default_factory is dataclasses.MISSING:
            raise InputError(f"{source} lacks {name}")
    try:
        made = kind(**content)
        if not isinstance(made, Checked):
            check_fields(made)
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
    return made


def in_one_line(name: str, error: ValidationError) -> str:
    """Returns what was found and what was expected, of the first thing that is wrong."""
    first = error.errors(include_url=False)[0]
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"] if part != name)
    return f"{name}{place} is {shortened(first['input'])}, expected {_expected(first)}"


def shortened(value: object) -> str:
    """Returns a value as Python writes it, on one line that is not too long.

    >>> shortened("a" * 100)
    "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…"
    """
    try:
        text = " ".join(repr(value).split())
    except (RecursionError, ValueError):  # lists in lists without end; whole numbers of thousands of digits
        text = f"<{type(value).__name__}>"
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 1]}…"


def _expected(error: ErrorDetails) -> str:
    words = {
        "int_type": "a whole number",
        "float_type": "a number",
        "finite_number": "a finite number",
        "bool_type": "True or False",
        "string_type": "a text",
        "path_type": "a path",
        "list_type": "a list",
        "tuple_type": "a list",
        "dict_type": "an object",
    }
    context = error.get("ctx", {})
    if error["type"] == "greater_than":
        return f"a number above {context['gt']:g}"
    if error["type"] in ("greater_than_equal", "less_than_equal"):
        return f"at least {context['ge']:g}" if "ge" in context else f"at most {context['le']:.12g}"
    if error["type"] == "literal_error":
        return "one of " + str(context["expected"]).replace("'", "").replace(" or ", ", ")
    if error["type"] == "too_short":
        return f"at least {context['min_length']}"
    if error["type"] == "string_too_long":
        return f"at most {context['max_length']} characters"
    return words.get(error["type"], error["msg"].removeprefix("Input should be "))


@cache
def _adapters(kind: type) -> list[tuple[str, str, TypeAdapter[Any]]]:
    """Returns for each field of a dataclass its name, the name that the command line has for it, and its check."""
    config = ConfigDict(strict=True, allow_inf_nan=False, arbitrary_types_allowed=True)
    hints = get_type_hints(kind, include_extras=True)
    adapters = []
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        whole = dataclasses.is_dataclass(hint)  # for which pydantic takes no config; its fields are checked apart
        adapter: TypeAdapter[Any] = TypeAdapter(hint) if whole else TypeAdapter(hint, config=config)
        adapters.append((field.name, _shown_name(hint) or field.name, adapter))
    return adapters


def _shown_name(hint: object) -> str | None:
    """Returns the name that an annotation gives to its option."""
    if get_origin(hint) is not Annotated:
        return None
    _, *metadata = get_args(hint)
    return next((name for part in metadata if isinstance(name := getattr(part, "name", None), str)), None)
