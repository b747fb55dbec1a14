"""Checks of what callers give."""

from typing import Any

import numpy as np
import pytest
import torch

from limbshift.envs.errors import ActionError, InputError
from limbshift.envs.given import choice, flag, numbers, whole_number


@pytest.mark.parametrize(("value", "least", "most"), [(3, 1, None), (np.uint8(3), 3, 3), (np.int64(3), -1, 10**30)])
def test_whole_numbers_become_ints(value: Any, least: int, most: int | None) -> None:
    number = whole_number("count", value, least, most=most)
    assert number == 3
    assert type(number) is int


@pytest.mark.parametrize("value", [0, -1, 6, 2.0, "2", True, None, np.float32(2), np.array([2, 3]), 10**400])
def test_what_is_no_whole_number_within_the_limits_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match=r"^count is .*, expected a whole number from 1 to 5$") as caught:
        whole_number("count", value, most=5)
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize("value", ["Left", "", None, 0, ["left"], np.array(["left", "right"])])
def test_a_choice_is_one_of_those_there_are(value: Any) -> None:
    assert choice("side", "left", ("left", "right")) == "left"
    with pytest.raises(InputError, match=r"^side is .*, expected one of left, right$"):
        choice("side", value, ("left", "right"))


@pytest.mark.parametrize("value", [1, 0, "yes", None, np.array([True, False])])
def test_a_yes_or_no_is_a_bool(value: Any) -> None:
    assert flag("wide", np.False_) is False
    with pytest.raises(InputError, match=r"^wide is .*, expected True or False$"):
        flag("wide", value)


def test_numbers_are_a_new_array_that_keeps_single_precision() -> None:
    given = np.array([0.1, 0.2], dtype=np.float32)
    taken = numbers("place", given, (2,))
    taken[:] = 7.0
    assert given.tolist() == pytest.approx([0.1, 0.2])
    assert taken.dtype == np.float32
    assert numbers("place", [1, 2], (2,)).dtype == np.float64
    assert numbers("place", torch.tensor([1.5, 2.5], requires_grad=True), (2,)).tolist() == [1.5, 2.5]
    assert np.isnan(numbers("place", [np.nan, 0.0], (2,), finite=False)[0])


def test_numbers_are_refused_as_the_error_that_is_asked_for() -> None:
    with pytest.raises(ActionError, match=r"^shape of push is \(\), expected \(2,\)$"):
        numbers("push", 1.0, (2,), error=ActionError)
