"""A task parameter: its values, how it acts on the robot, how a learner sees it, and how videos show it."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor

from limbshift.envs.errors import InputError
from limbshift.envs.given import choice
from limbshift.envs.physics.device_array import DeviceArray
from limbshift.envs.physics.protocol import Physics
from limbshift.envs.tasks.bounds import ANY, NOT_NEGATIVE, Bounds

Task = Mapping[str, float]
"""One task: a flat mapping from parameter name to value."""

Kind = Literal["scalar", "angle", "category"]
"""A number on a scale, an angle in degrees, or one of several choices that have no order."""

Mark = Literal["arrow", "post", "disc_x", "disc_y"]
"""How a goal is drawn in videos.

An arrow points along an angle or, for a scalar, along +x or -x by its sign. A post moves along x at the value, in m/s.
A disc lies at the values of two parameters, in m.
"""


class TaskError(InputError):
    """A task, a parameter or a split that the family does not have, or that physics does not allow.

    >>> try:
    ...     TaskParameter("mass", 0.5, 2.0, "factor on mass", positive=True).check(-1.0)
    ... except TaskError as error:
    ...     print(error)
    task parameter mass is -1, expected a number above 0
    """


class ModelEffect(ABC):
    """Changes the robot's model when a task begins: edits model fields that hold their nominal values.

    >>> from limbshift.envs.tasks.effects import ScaleBodyMass
    >>> ScaleBodyMass("torso").model_fields
    ('body_mass', 'body_inertia')
    """

    bounds: ClassVar[Bounds] = ANY
    """What values it may be given on any robot."""

    @property
    @abstractmethod
    def model_fields(self) -> tuple[str, ...]:
        """Names of the model fields that it edits."""

    @abstractmethod
    def apply(self, physics: Physics, values: Tensor, mask: Tensor) -> None:
        """Edits the simulations that the (N,) bool mask picks, by the (N,) values."""

    def bounds_on(self, physics: Physics) -> Bounds:
        """Returns what values it may be given on this robot; by default those that it may on any."""
        return self.bounds

    def shown_on(self, physics: Physics) -> tuple[int, ...]:
        """Returns the ids of the bodies whose colour shows the value in videos; by default none."""
        return ()


class StateEffect(ABC):
    """Changes the state in which an episode begins.

    >>> from limbshift.envs.tasks.effects import SetJoint
    >>> SetJoint.__base__.__name__
    'StateEffect'
    """

    bounds: ClassVar[Bounds] = ANY
    """What values it may be given."""

    @abstractmethod
    def apply(self, physics: Physics, values: Tensor, mask: Tensor) -> None:
        """Writes the (N,) values into the states of the simulations that the (N,) bool mask picks."""


class HardwareEffect:
    """Changes what lies between controller and robot; `limbshift.envs.hardware` carries it out.

    >>> from limbshift.envs.hardware import DelayActions
    >>> DelayActions.__base__.__name__
    'HardwareEffect'
    """

    bounds: ClassVar[Bounds] = NOT_NEGATIVE
    """What values it may be given."""


Effect = ModelEffect | StateEffect | HardwareEffect
"""How a parameter acts on the robot."""


@dataclass(frozen=True)
class Caption:
    """Names the line of a video's caption that a value shares with others, and the part that it belongs to.

    >>> Caption("mass", "torso")
    Caption(group='mass', part='torso')
    """

    group: Literal["mass", "wiring", "dead"]
    """Factors on mass, motors' signs, or motors that work (1) or do not (0)."""
    part: str


@dataclass(frozen=True)
class TaskParameter:
    """One number that changes from task to task.

    >>> heading = TaskParameter("heading", -180.0, 180.0, "which way to run", unit="deg", kind="angle", mark="arrow")
    >>> heading.check(90)
    90.0
    >>> heading.encoding_dim
    2
    """

    name: str
    low: float
    high: float
    description: str
    unit: str = ""
    """Empty for a factor or a sign, which have no dimension."""
    nominal: float = 1.0
    """The value of the unmodified robot."""
    scale: Literal["linear", "log"] = "linear"
    """On which scale the values are spread evenly."""
    choices: tuple[float, ...] = ()
    """The only values it may take; empty for all. Training draws those between low and high."""
    extrapolation: tuple[tuple[float, float], ...] = ()
    """Intervals outside [low, high] that training never draws from."""
    positive: bool = False
    """Whether values of zero and below are forbidden, where its effect allows them."""
    kind: Kind = "scalar"
    """What its values are, and so how `encode` tells them to a learner."""
    effect: Effect | None = None
    """How it acts on the robot; None for a goal that the reward alone reads."""
    mark: Mark | None = None
    """How videos draw it, if it is a goal."""
    caption: Caption | None = None
    """Where videos write its value; None for its own name, value and unit."""

    def __post_init__(self) -> None:
        for low, high in ((self.low, self.high), *self.extrapolation):
            if not low <= high:
                raise TaskError(f"task parameter {self.name} ranges from {low:g} to {high:g}, expected the lower first")
            if (low, high) in self.extrapolation and low < self.high and self.low < high:
                raise TaskError(
                    f"task parameter {self.name} trains on a part of {low:g} to {high:g}, expected none of it"
                )
            if self.choices and not self.choices_within(((low, high),)):
                raise TaskError(f"task parameter {self.name} has no choice from {low:g} to {high:g}, expected one")
        choice(f"scale of task parameter {self.name}", self.scale, ("linear", "log"))
        choice(f"kind of task parameter {self.name}", self.kind, get_args(Kind))
        self.check_range(self.bounds)
        if self.kind == "category" and not self.choices:
            raise TaskError(f"task parameter {self.name} is a category without choices, expected some")
        if self.kind == "angle" and self.unit != "deg":
            raise TaskError(f"task parameter {self.name} is an angle in {self.unit or 'no unit'}, expected deg")

    @property
    def bounds(self) -> Bounds:
        """What values it may be given: those of its effect; a goal, which has none, may be any number."""
        return self._at_least_mine(self.effect.bounds if self.effect else ANY)

    def bounds_on(self, physics: Physics) -> Bounds:
        """What values it may be given on a robot."""
        effect = self.effect
        return self._at_least_mine(effect.bounds_on(physics)) if isinstance(effect, ModelEffect) else self.bounds

    def check_range(self, bounds: Bounds) -> None:
        """Raises a TaskError unless all values that training and extrapolation draw lie within the bounds."""
        for value in (self.low, self.high, *chain(*self.extrapolation), *self.choices):
            if not bounds.allows(value):
                expected = bounds.expected(value)
                raise TaskError(f"task parameter {self.name} may be {value:g}, expected {expected}")

    def check(self, value: float, bounds: Bounds | None = None) -> float:
        """Returns the value, or raises a TaskError that says why it is not allowed.

        bounds: those of its effect on a robot, where it is known; by default those on any.
        """
        bounds = bounds or self.bounds
        if not math.isfinite(value):
            raise TaskError(f"task parameter {self.name} is {value}, expected a finite number")
        allowed = value in self.choices if self.choices else bounds.allows(value)
        if not allowed:
            expected = " or ".join(f"{choice:g}" for choice in self.choices) or bounds.expected(value)
            raise TaskError(f"task parameter {self.name} is {value:g}, expected {expected}")
        return float(value)

    def spread(self, uniform: Tensor, intervals: tuple[tuple[float, float], ...]) -> Tensor:
        """Returns (N,) values spread evenly over the intervals, on the parameter's scale, from (N,) numbers in (0, 1).

        >>> speed = TaskParameter("speed", 0.0, 4.0, "speed to hold", unit="m/s")
        >>> speed.spread(torch.tensor([0.25, 0.5, 0.75]), ((0.0, 2.0), (6.0, 8.0))).tolist()
        [1.0, 6.0, 7.0]
        """
        if self.choices:
            if intervals not in self._drawn:
                self._drawn[intervals] = DeviceArray(self.choices_within(intervals) or self.choices)
            drawn = self._drawn[intervals]
            return drawn.like(uniform)[(uniform * len(drawn)).long()]
        bounds = [(self._to_scale(low), self._to_scale(high)) for low, high in intervals]
        rest = uniform * sum(high - low for low, high in bounds)
        values = torch.full_like(uniform, bounds[-1][1])
        for low, high in bounds:
            values = torch.where((rest >= 0) & (rest < high - low), low + rest, values)
            rest = rest - (high - low)
        return values.exp() if self.scale == "log" else values

    def choices_within(self, intervals: tuple[tuple[float, float], ...]) -> tuple[float, ...]:
        """Returns the choices that lie in one of the intervals.

        >>> leg = TaskParameter("leg", 0.0, 0.0, "which leg is lame", choices=(0.0, 1.0, 2.0), nominal=0.0)
        >>> leg.choices_within(((1.0, 3.0),))
        (1.0, 2.0)
        """
        return tuple(choice for choice in self.choices if any(low <= choice <= high for low, high in intervals))

    def to_unit(self, values: Tensor) -> Tensor:
        """Returns (N,) values scaled, on the parameter's scale, so that low is -1 and high is 1.

        A parameter that training never changes is 0 there, and elsewhere its distance from that.

        >>> speed = TaskParameter("speed", 0.0, 4.0, "speed to hold", unit="m/s")
        >>> speed.to_unit(torch.tensor([0.0, 1.0, 4.0])).tolist()
        [-1.0, -0.5, 1.0]
        """
        low, high = self._to_scale(self.low), self._to_scale(self.high)
        values = values.log() if self.scale == "log" else values
        return 2 * (values - low) / (high - low) - 1 if high > low else values - low

    @property
    def encoding_dim(self) -> int:
        """How many numbers encode a value: 2 for an angle, the number of choices for a category, else 1."""
        return {"scalar": 1, "angle": 2, "category": len(self.choices)}[self.kind]

    def encode(self, values: Tensor) -> Tensor:
        """Returns (N, encoding_dim) numbers that tell (N,) values to a learner; all are in [-1, 1] in training.

        An angle is its cosine and sine, so that 180 and -180 degrees are one; a category is one-hot, in the order
        of its choices; a scalar is `to_unit`.

        >>> leg = TaskParameter("leg", 0.0, 2.0, "which leg is lame", choices=(0.0, 1.0, 2.0), kind="category")
        >>> leg.encode(torch.tensor([0.0, 2.0])).tolist()
        [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
        """
        if self.kind == "angle":
            angle = values.deg2rad()
            return torch.stack([angle.cos(), angle.sin()], dim=-1)
        if self.kind == "category":
            return (values.unsqueeze(-1) == self._choices.like(values)).to(values.dtype)
        return self.to_unit(values).unsqueeze(-1)

    def decode(self, encoded: Tensor) -> Tensor:
        """Returns the (N,) values that (N, encoding_dim) guesses at what `encode` gives come nearest to.

        >>> leg = TaskParameter("leg", 0.0, 2.0, "which leg is lame", choices=(0.0, 1.0, 2.0), kind="category")
        >>> leg.decode(torch.tensor([[0.9, 0.2, 0.0], [0.1, 0.3, 0.2]])).tolist()
        [0.0, 1.0]
        """
        if self.kind == "angle":
            return torch.atan2(encoded[:, 1], encoded[:, 0]).rad2deg()
        if self.kind == "category":
            return self._choices.like(encoded)[encoded.argmax(dim=-1)]
        low, high = self._to_scale(self.low), self._to_scale(self.high)
        values = low + (encoded[:, 0] + 1) / 2 * (high - low) if high > low else low + encoded[:, 0]
        values = values.exp() if self.scale == "log" else values
        if not self.choices:
            return values
        choices = self._choices.like(encoded)
        return choices[(values.unsqueeze(-1) - choices).abs().argmin(dim=-1)]

    def _at_least_mine(self, bounds: Bounds) -> Bounds:
        return Bounds(0.0, bounds.high, strict=True) if self.positive or self.scale == "log" else bounds

    @cached_property
    def _choices(self) -> DeviceArray:
        return DeviceArray(self.choices)

    @cached_property
    def _drawn(self) -> dict[tuple[tuple[float, float], ...], DeviceArray]:
        """The choices that were drawn from, by the intervals that they lie in."""
        return {}

    def _to_scale(self, value: float) -> float:
        return math.log(value) if self.scale == "log" else value
