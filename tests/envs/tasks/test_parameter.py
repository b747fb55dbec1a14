"""Parameters and task spaces, with numbers worked by hand."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from limbshift.envs.errors import InputError
from limbshift.envs.tasks.common import DIRECTION, HEADING, dead_motor
from limbshift.envs.tasks.parameter import TaskError, TaskParameter
from limbshift.envs.tasks.streams import RandomStream
from limbshift.envs.tasks.task_space import TaskSpace


class Dealt(RandomStream):
    """A stream of numbers that are given."""

    def __init__(self, *rows: tuple[float, ...]) -> None:
        super().__init__("dealt")
        self.rows = torch.tensor(rows, dtype=torch.float64)

    def uniform(self, index: Tensor, epoch: Tensor, size: int) -> Tensor:
        return self.rows[index, :size]


def numbers(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def linear(name: str = "speed", extrapolation: tuple[tuple[float, float], ...] = ()) -> TaskParameter:
    return TaskParameter(name, 1.0, 3.0, "how fast", nominal=1.5, extrapolation=extrapolation)


def log(name: str = "mass") -> TaskParameter:
    outside = ((0.25, 0.5), (2.0, 8.0))
    return TaskParameter(name, 0.5, 2.0, "how heavy", scale="log", extrapolation=outside, positive=True)


def choice(name: str = "sign", choices: tuple[float, ...] = (-1.0, 1.0)) -> TaskParameter:
    return TaskParameter(name, min(choices), max(choices), "which way", choices=choices)


def test_linear_values_are_spread_evenly() -> None:
    values = linear().spread(numbers(0.0, 0.25, 0.5, 0.75), ((1.0, 3.0),))
    assert values.tolist() == [1.0, 1.5, 2.0, 2.5]


def test_log_values_are_spread_evenly_over_their_logarithm() -> None:
    values = log().spread(numbers(0.25, 0.5, 0.75), ((0.5, 2.0),))
    torch.testing.assert_close(values, numbers(2**-0.5, 1.0, 2**0.5))


def test_intervals_are_filled_in_proportion_to_their_length() -> None:
    # Of lengths 1 and 3: the first quarter of the numbers fills (0, 1), the rest (3, 6).
    values = linear().spread(numbers(0.125, 0.25, 0.5, 0.875), ((0.0, 1.0), (3.0, 6.0)))
    assert values.tolist() == [0.5, 3.0, 4.0, 5.5]


def test_log_intervals_are_filled_in_proportion_to_their_length_in_logarithms() -> None:
    # In powers of two (-2, -1) and (1, 3): 1/6 is half of the first, 2/3 half of the second.
    values = log().spread(numbers(1 / 6, 2 / 3), ((0.25, 0.5), (2.0, 8.0)))
    torch.testing.assert_close(values, numbers(2**-1.5, 4.0))


def test_the_last_number_below_one_stays_in_the_last_interval() -> None:
    value = linear().spread(numbers(1 - 2.0**-33), ((0.1, 0.3), (0.7, 0.8)))
    assert 0.7 < value.item() <= 0.8


def test_choices_are_equally_likely() -> None:
    values = choice(choices=(1.0, 2.0, 5.0)).spread(numbers(0.0, 0.33, 0.34, 0.66, 0.67, 0.99), ())
    assert values.tolist() == [1.0, 1.0, 2.0, 2.0, 5.0, 5.0]


def lost(name: str = "lost") -> TaskParameter:
    outside = ((1.0, 2.0), (4.0, 4.0))
    choices = (0.0, 1.0, 2.0, 3.0, 4.0)
    return TaskParameter(name, 0.0, 0.0, "", nominal=0.0, choices=choices, extrapolation=outside, kind="category")


def test_choices_of_a_split_are_those_within_its_intervals() -> None:
    space, stream = TaskSpace((lost(),)), Dealt((0.1,), (0.5,), (0.9,))
    index = torch.arange(3)
    assert space.listed_tasks == {"train": ((0.0,),), "heldout": ((0.0,),)}
    assert space.sample("train", stream, index).tolist() == [[0.0]] * 3
    assert space.sample("extrapolation", stream, index).tolist() == [[1.0], [2.0], [4.0]]  # thirds, and never 3
    assert lost().encode(numbers(3.0)).tolist() == [[0.0, 0.0, 0.0, 1.0, 0.0]]


def test_a_change_in_mid_trial_may_be_of_one_parameter() -> None:
    space = TaskSpace((linear(), lost()), mid_trial={"lost": ((3.0, 4.0),)})
    before = torch.tensor([[1.0, 0.0], [2.0, 0.0], [3.0, 1.0]], dtype=torch.float64)
    stream = Dealt((0.9, 0.4), (0.9, 0.6), (0.9, 0.6))
    for split in ("train", "extrapolation"):
        after = space.shifted(before, split, stream, index=torch.arange(3))
        assert after.tolist() == [[1.0, 3.0], [2.0, 4.0], [3.0, 1.0]], "what is lost is lost again"


def test_a_change_in_mid_trial_is_of_the_whole_task_where_nothing_else_is_said() -> None:
    space, stream, index = TaskSpace((linear(), log())), RandomStream("task"), torch.arange(3)
    drawn = space.shifted(torch.zeros(3, 2), "train", stream, index=index)
    assert torch.equal(drawn, space.sample("train", stream, index, num_shifts=1))


def test_a_change_of_what_is_no_parameter_is_refused() -> None:
    with pytest.raises(TaskError, match=r"^mid_trial changes 'leg', expected one of speed, lost$"):
        TaskSpace((linear(), lost()), mid_trial={"leg": ((1.0, 2.0),)})
    with pytest.raises(TaskError, match="task parameters have lost twice, expected each once"):
        TaskSpace((linear(), lost(), lost()))


def test_units_run_from_minus_one_to_one_on_the_parameters_scale() -> None:
    torch.testing.assert_close(linear().to_unit(numbers(1.0, 1.5, 2.0, 3.0)), numbers(-1.0, -0.5, 0.0, 1.0))
    torch.testing.assert_close(log().to_unit(numbers(0.5, 1.0, 2**0.5, 2.0)), numbers(-1.0, 0.0, 0.5, 1.0))


def angle(name: str = "heading", low: float = -180.0, high: float = 180.0) -> TaskParameter:
    return TaskParameter(name, low, high, "which way", unit="deg", nominal=0.0, kind="angle")


def category(*choices: float) -> TaskParameter:
    return TaskParameter("dead", 0.0, max(choices), "which one", nominal=0.0, choices=choices, kind="category")


def rows(*values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_a_scalar_is_encoded_in_units() -> None:
    assert linear().encoding_dim == log().encoding_dim == choice().encoding_dim == 1
    torch.testing.assert_close(linear().encode(numbers(1.0, 1.5, 3.0)), rows((-1.0,), (-0.5,), (1.0,)))
    torch.testing.assert_close(log().encode(numbers(0.5, 1.0, 2.0)), rows((-1.0,), (0.0,), (1.0,)))
    assert choice().encode(numbers(-1.0, 1.0)).tolist() == [[-1.0], [1.0]], "a sign stays one number"


def test_an_angle_is_encoded_as_its_cosine_and_sine() -> None:
    assert angle().encoding_dim == 2
    encoded = angle().encode(numbers(0.0, 90.0, -90.0, 60.0))
    torch.testing.assert_close(encoded, rows((1.0, 0.0), (0.0, 1.0), (0.0, -1.0), (0.5, 0.75**0.5)))
    half_a_turn = angle().encode(numbers(180.0, -180.0))
    torch.testing.assert_close(half_a_turn, rows((-1.0, 0.0), (-1.0, 0.0)))
    torch.testing.assert_close(angle(low=-57.3, high=57.3).encode(numbers(90.0)), rows((0.0, 1.0)))


@pytest.mark.parametrize(
    ("parameter", "guess", "value"),
    [
        (linear(), (0.25,), 2.25),  # of 1 to 3
        (linear(), (2.0,), 4.0),  # a guess may lie outside
        (log(), (0.5,), 2**0.5),  # of 1/2 to 2
        (choice(), (-0.1,), -1.0),
        (angle(), (0.3, -0.3), -45.0),  # a guess that is unsure is short
        (category(0.0, 2.0, 5.0), (0.2, 0.1, 0.3), 5.0),
        (lost(), (0.1, 0.0, 0.4, 0.0, 0.0), 2.0),  # though training never draws it
    ],
)
def test_what_a_guess_says(parameter: TaskParameter, guess: tuple[float, ...], value: float) -> None:
    torch.testing.assert_close(parameter.decode(rows(guess)), numbers(value))


@pytest.mark.parametrize(
    ("parameter", "values"),
    [
        (linear(), (1.0, 1.5, 3.0)),
        (log(), (0.5, 1.0, 1.7)),
        (choice(), (-1.0, 1.0)),
        (angle(), (0.0, 90.0, -135.0)),
        (lost(), (0.0, 1.0, 2.0, 3.0, 4.0)),
    ],
)
def test_what_is_encoded_is_decoded(parameter: TaskParameter, values: tuple[float, ...]) -> None:
    torch.testing.assert_close(parameter.decode(parameter.encode(numbers(*values))), numbers(*values))


def test_headings_that_are_close_are_encoded_close_to_each_other() -> None:
    left, right = angle().encode(numbers(179.5, -179.5))
    assert torch.dist(left, right) < 0.02  # a degree, in radians


def test_a_category_is_encoded_as_one_hot() -> None:
    dead = category(0.0, 1.0, 2.0, 3.0)
    assert dead.encoding_dim == 4
    expected = rows((1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0), (0.0, 1.0, 0.0, 0.0))
    assert torch.equal(dead.encode(numbers(0.0, 3.0, 1.0)), expected)


def test_a_task_is_encoded_parameter_by_parameter() -> None:
    space = TaskSpace((linear(), angle(), category(0.0, 5.0, 7.0), choice()))
    assert space.encoding_dim == 1 + 2 + 3 + 1
    encoded = space.encode(rows((2.0, 90.0, 5.0, -1.0), (3.0, -180.0, 7.0, 1.0)))
    expected = rows((0.0, 0.0, 1.0, 0.0, 1.0, 0.0, -1.0), (1.0, -1.0, 0.0, 0.0, 0.0, 1.0, 1.0))
    torch.testing.assert_close(encoded, expected)


def test_shared_parameters_say_what_kind_they_are() -> None:
    torch.testing.assert_close(HEADING.encode(numbers(90.0)), rows((0.0, 1.0)))
    assert dead_motor(("hip", "knee", "foot")).encode(numbers(0.0)).tolist() == [[1.0, 0.0, 0.0, 0.0]]
    assert DIRECTION.encode(numbers(-1.0)).tolist() == [[-1.0]]


def test_a_split_spreads_each_parameter_by_a_column_of_its_own() -> None:
    space = TaskSpace((linear(), log(), choice()))
    stream = Dealt((0.5, 0.75, 0.9), (0.25, 0.5, 0.1))
    tasks = space.sample("train", stream, torch.tensor([1, 0]))
    expected = torch.tensor([[1.5, 1.0, -1.0], [2.0, 2**0.5, 1.0]], dtype=torch.float64)
    torch.testing.assert_close(tasks, expected)
    torch.testing.assert_close(space.sample("heldout", stream, torch.tensor([1, 0])), expected)


def test_extrapolation_leaves_the_range_where_a_parameter_can() -> None:
    space = TaskSpace((linear(), log(), choice()))
    tasks = space.sample("extrapolation", Dealt((0.5, 2 / 3, 0.1)), torch.tensor([0]))
    torch.testing.assert_close(tasks, torch.tensor([[2.0, 4.0, -1.0]], dtype=torch.float64))


def test_a_disc_is_covered_evenly() -> None:
    sides = tuple(TaskParameter(name, -2.0, 2.0, "where", nominal=0.0) for name in "xy")
    space = TaskSpace(sides, discs=(("x", "y"),))
    # Radius 2 sqrt(1/4) = 1 at a quarter turn; radius 2 sqrt(0.81) = 1.8 at half a turn.
    dealt = space.sample("train", Dealt((0.25, 0.25), (0.81, 0.5)), torch.arange(2))
    torch.testing.assert_close(dealt, torch.tensor([[0.0, 1.0], [-1.8, 0.0]], dtype=torch.float64))
    drawn = space.sample("train", RandomStream("disc"), torch.arange(4000))
    radius = drawn.norm(dim=-1)
    assert radius.max() <= 2
    assert 0.46 < (radius < 2**0.5).double().mean() < 0.54  # half of the area; a deviation is 0.008


def test_members_are_gone_through_and_again_in_another_order() -> None:
    rows = tuple((float(number),) for number in range(8))
    space = TaskSpace((choice(choices=tuple(row[0] for row in rows)),), {"train": rows, "heldout": rows})
    drawn = space.sample("train", RandomStream("order", 0), torch.arange(24)).squeeze(-1).tolist()
    rounds = [drawn[0:8], drawn[8:16], drawn[16:24]]
    assert all(sorted(one) == list(range(8)) for one in rounds)
    assert list(range(8)) not in rounds
    assert len({tuple(one) for one in rounds}) == 3
    other = space.sample("train", RandomStream("order", 1), torch.arange(8)).squeeze(-1).tolist()
    assert other != rounds[0]


def test_a_member_depends_on_its_number_alone() -> None:
    rows = tuple((float(number),) for number in range(8))
    space = TaskSpace((choice(choices=tuple(row[0] for row in rows)),), {"train": rows, "heldout": rows})
    stream = RandomStream("order", 0)
    together = space.sample("train", stream, torch.arange(24))
    assert torch.equal(together[[21, 3]], space.sample("train", stream, torch.tensor([21, 3])))


def test_members_are_filled_in_where_every_parameter_has_choices() -> None:
    space = TaskSpace((choice("a"), choice("b", (0.0, 5.0))))
    assert set(space.listed_tasks["train"]) == {(-1.0, 0.0), (-1.0, 5.0), (1.0, 0.0), (1.0, 5.0)}
    assert space.listed_tasks["heldout"] == space.listed_tasks["train"]
    assert not TaskSpace((choice("a"), linear())).listed_tasks


def test_splits_hold_extrapolation_only_where_a_parameter_has_it() -> None:
    assert TaskSpace((linear(),)).splits == ("train", "heldout", "validation")
    assert TaskSpace((linear(), log())).splits == ("train", "heldout", "validation", "extrapolation")


def test_unseen_tells_whether_training_meets_the_tasks() -> None:
    endless = TaskSpace((linear(), log()))
    assert [endless.unseen(split) for split in endless.splits] == [False, True, True, True]
    assert not TaskSpace((choice(),)).unseen("heldout")
    apart = TaskSpace((choice(),), {"train": ((1.0,),), "heldout": ((-1.0,),)})
    assert apart.unseen("heldout")
    shared = TaskSpace((choice(),), {"train": ((1.0,),), "heldout": ((-1.0,), (1.0,))})
    assert not shared.unseen("heldout")


def test_validation_never_holds_what_is_held_out() -> None:
    """Of few tasks it has those to train on, all of them though fewer be trained on; of endless ones others anew."""
    apart = TaskSpace((choice(),), {"train": ((1.0,),), "heldout": ((-1.0,),)})
    index, stream = torch.arange(3), RandomStream("any")
    assert apart.sample("validation", stream, index).tolist() == [[1.0]] * 3
    assert not apart.unseen("validation")
    both = TaskSpace((choice(),))
    assert set(map(tuple, both.sample("validation", stream, index).tolist())) == {(-1.0,), (1.0,)}
    few = both.with_train_tasks(1, RandomStream("few"))
    assert (len(few.listed("train") or ()), few.listed("validation")) == (1, both.listed("train"))
    endless = TaskSpace((linear(), log()))
    assert endless.listed("validation") is endless.with_train_tasks(2, RandomStream("few")).listed("validation") is None
    assert endless.with_train_tasks(2, RandomStream("few")).unseen("validation")
    named = TaskSpace((choice(),), {"train": ((1.0,),), "heldout": ((1.0,),), "validation": ((-1.0,),)})
    assert named.sample("validation", stream, index).tolist() == [[-1.0]] * 3


def test_a_missing_split_is_refused_with_those_there_are() -> None:
    assert TaskSpace((log(),)).check_split("extrapolation") == "extrapolation"
    with pytest.raises(TaskError, match=r"^split is 'extrapolation', expected one of train, heldout, validation$"):
        TaskSpace((linear(),)).check_split("extrapolation")
    with pytest.raises(
        TaskError, match=r"^split is 'test', expected one of train, heldout, validation, extrapolation$"
    ):
        TaskSpace((log(),)).check_split("test")


def test_a_task_is_a_row_in_the_parameters_order_and_nominal_where_it_says_nothing() -> None:
    space = TaskSpace((linear(), log(), choice()))
    assert space.row({"sign": -1, "speed": 7.0}) == [7.0, 1.0, -1.0]
    assert space.row({}) == [1.5, 1.0, 1.0]
    assert space.nominal == {"speed": 1.5, "mass": 1.0, "sign": 1.0}


def test_an_unknown_parameter_is_refused_with_those_there_are() -> None:
    with pytest.raises(TaskError, match=r"^task parameter 'sped' does not exist, expected one of speed, mass$"):
        TaskSpace((linear(), log())).row({"sped": 1.0})


@pytest.mark.parametrize(
    ("parameter", "value", "message"),
    [
        (linear(), math.nan, "task parameter speed is nan, expected a finite number"),
        (linear(), math.inf, "task parameter speed is inf, expected a finite number"),
        (log(), 0.0, "task parameter mass is 0, expected a number above 0"),
        (log(), -1.5, "task parameter mass is -1.5, expected a number above 0"),
        (choice(), 0.5, "task parameter sign is 0.5, expected -1 or 1"),
    ],
)
def test_a_value_outside_physics_is_refused(parameter: TaskParameter, value: float, message: str) -> None:
    with pytest.raises(TaskError) as caught:
        parameter.check(value)
    assert str(caught.value) == message


def test_values_outside_the_training_range_are_not_refused() -> None:
    assert log().check(50.0) == 50.0
    assert linear().check(-8) == -8.0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"low": 2.0, "high": 1.0}, "task parameter mass ranges from 2 to 1, expected the lower first"),
        ({"low": 0.0, "high": 1.0, "positive": True}, "task parameter mass may be 0, expected a number above 0"),
        ({"low": -1.0, "high": 1.0, "scale": "log"}, "task parameter mass may be -1, expected a number above 0"),
        ({"low": 1.0, "high": 2.0, "extrapolation": ((3.0, 2.5),)}, "ranges from 3 to 2.5, expected the lower first"),
        ({"low": 0.0, "high": 1.0, "kind": "category"}, "mass is a category without choices, expected some"),
        ({"low": 0.0, "high": 1.0, "kind": "angle", "unit": "rad"}, "mass is an angle in rad, expected deg"),
        ({"low": 0.0, "high": 1.0, "kind": "angle"}, "mass is an angle in no unit, expected deg"),
        (
            {"low": 0.0, "high": 1.0, "choices": (0.0, 1.0), "extrapolation": ((2.0, 3.0),)},
            "task parameter mass has no choice from 2 to 3, expected one",
        ),
    ],
)
def test_an_impossible_range_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        TaskParameter("mass", description="", **settings)


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        ((1.0, 0.5), "^task parameter sign is 0.5, expected -1 or 1$"),
        ((1.0,), "^a listed task has 1 values, expected 2$"),
    ],
)
def test_a_listed_task_that_the_parameters_cannot_take_is_refused(listed: tuple[float, ...], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        TaskSpace((linear(), choice()), {"train": ((1.0, -1.0), listed)})


def test_few_tasks_to_train_on_are_the_first_of_those_that_would_be() -> None:
    space = TaskSpace((TaskParameter("mass", 0.5, 2.0, ""), TaskParameter("sign", -1.0, 1.0, "", choices=(-1.0, 1.0))))
    few = space.with_train_tasks(3, RandomStream("few"))
    index = torch.arange(3)
    expected = {tuple(row) for row in space.sample("train", RandomStream("few"), index).tolist()}
    for start in (0, 3, 30):
        met = few.sample("train", RandomStream("any"), index + start).tolist()
        assert {tuple(row) for row in met} == expected
    heldout = few.sample("heldout", RandomStream("any"), index)
    assert torch.equal(heldout, space.sample("heldout", RandomStream("any"), index))
    assert few.unseen("heldout")


def test_there_are_no_more_tasks_than_there_are() -> None:
    signs = TaskSpace((TaskParameter("sign", -1.0, 1.0, "", choices=(-1.0, 1.0)),))
    assert len(signs.with_train_tasks(2, RandomStream("few")).listed_tasks["train"]) == 2
    with pytest.raises(TaskError, match="number of training tasks is 3, expected at most 2: there are no more"):
        signs.with_train_tasks(3, RandomStream("few"))


def test_the_order_of_a_finite_split_is_drawn_once_for_all_that_are_in_one_round(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Tasks 0 to 4 are the first round through five members, 5 to 9 the second: ten robots need two orders."""
    space = TaskSpace((TaskParameter("mark", 1.0, 5.0, "", choices=(1.0, 2.0, 3.0, 4.0, 5.0)),))
    index = torch.tensor([7, 0, 3, 5, 1, 4, 2, 9, 6, 8])
    streams = [RandomStream("any", on_host=on_host) for on_host in (True, False)]
    drawn, apart = (space.sample("train", stream, index) for stream in streams)
    assert torch.equal(drawn, apart)
    for first in (slice(0, 5), slice(5, 10)):
        assert sorted(drawn[index.argsort()][first, 0].tolist()) == [1.0, 2.0, 3.0, 4.0, 5.0]
    rows: list[int] = []
    uniform = RandomStream.uniform

    def counted(stream: RandomStream, index: torch.Tensor, epoch: torch.Tensor, size: int) -> torch.Tensor:
        rows.append(len(index))
        return uniform(stream, index, epoch, size)

    monkeypatch.setattr(RandomStream, "uniform", counted)
    space.sample("train", streams[0], index)
    assert rows == [2]


def test_tasks_of_choices_alone_are_all_met_in_training() -> None:
    """Of 2 to the 11th wirings none is listed, and still no split has wirings of its own."""
    space = TaskSpace(tuple(choice(f"sign_{number}") for number in range(11)))
    assert space.listed("heldout") is None
    assert not space.unseen("heldout")
    assert not space.unseen("validation")
    assert TaskSpace((linear(extrapolation=((4.0, 5.0),)),)).unseen("heldout")
    few = space.with_train_tasks(1000, RandomStream("few")).listed_tasks["train"]
    assert len(set(few)) == 1000
    with pytest.raises(TaskError, match="number of training tasks is 2049, expected at most 2048: there are no more"):
        space.with_train_tasks(2049, RandomStream("few"))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"extrapolation": ((2.0, 4.0),)}, "task parameter speed trains on a part of 2 to 4, expected none of it"),
        ({"scale": "logarithmic"}, "scale of task parameter speed is 'logarithmic', expected one of linear, log"),
        ({"kind": "angel"}, "kind of task parameter speed is 'angel', expected one of scalar, angle, category"),
    ],
)
def test_a_parameter_that_says_two_things_is_refused(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=f"^{told}$"):
        TaskParameter("speed", 1.0, 3.0, "how fast", **wrong)


def test_strings_of_numpy_name_the_same_stream() -> None:
    first = torch.tensor([0])
    plain, other = (RandomStream("task", split).uniform(first, first, 2) for split in ("heldout", np.str_("heldout")))
    assert torch.equal(plain, other)
