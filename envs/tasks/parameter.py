"""What a task is made of: named scalar parameters, their ranges, and the splits they are drawn from."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from limbshift.envs.errors import InputError
from limbshift.envs.physics.device_array import DeviceArray
from limbshift.envs.physics.protocol import Physics
from limbshift.envs.tasks.streams import RandomStream

Task = Mapping[str, float]
"""One task: a flat mapping from parameter name to value."""

SPLITS = ("train", "heldout", "extrapolation")
MAX_LISTED_TASKS = 1024
"""Up to so many tasks a finite family is gone through; a larger one is drawn from."""


class TaskError(InputError):
    """A task, a parameter or a split that the family does not have, or that lies outside physics."""


class Effect(Protocol):
    """How a parameter changes the robot: it edits model fields that hold nominal values."""

    @property
    def model_fields(self) -> tuple[str, ...]:
        """Names of the model fields that it writes."""
        ...

    def apply(self, physics: Physics, values: Tensor, mask: Tensor) -> None:
        """Write the (N,) values into the simulations that the (N,) bool mask picks."""
        ...

    def shown_on(self, physics: Physics) -> tuple[int, ...]:
        """Ids of the bodies whose colour shows the value in videos; by default none."""
        return ()


@dataclass(frozen=True)
class TaskParameter:
    """One number that changes from task to task."""

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
    """The only values it may take; empty for all between low and high."""
    extrapolation: tuple[tuple[float, float], ...] = ()
    """Intervals outside [low, high] that training never draws from."""
    positive: bool = False
    """Whether physics forbids values of zero and below."""
    effect: Effect | None = None
    """How it changes the robot; None for a goal, which only the reward reads."""

    def __post_init__(self) -> None:
        for low, high in ((self.low, self.high), *self.extrapolation):
            if not low <= high:
                raise TaskError(f"task parameter {self.name} ranges from {low:g} to {high:g}, expected the lower first")
            if (self.positive or self.scale == "log") and low <= 0:
                raise TaskError(f"task parameter {self.name} ranges from {low:g}, expected a number above 0")

    def check(self, value: float) -> float:
        """The value, or a TaskError that says why physics cannot take it."""
        if not math.isfinite(value):
            raise TaskError(f"task parameter {self.name} is {value}, expected a finite number")
        if self.positive and value <= 0:
            raise TaskError(f"task parameter {self.name} is {value:g}, expected a number above 0")
        if self.choices and value not in self.choices:
            expected = " or ".join(f"{choice:g}" for choice in self.choices)
            raise TaskError(f"task parameter {self.name} is {value:g}, expected {expected}")
        return float(value)

    def spread(self, uniform: Tensor, intervals: tuple[tuple[float, float], ...]) -> Tensor:
        """Values spread evenly, on the parameter's scale, over the intervals; uniform is in (0, 1)."""
        if self.choices:
            return self._choices.like(uniform)[(uniform * len(self.choices)).long()]
        bounds = [(self._to_scale(low), self._to_scale(high)) for low, high in intervals]
        rest = uniform * sum(high - low for low, high in bounds)
        values = torch.full_like(uniform, bounds[-1][1])
        for low, high in bounds:
            values = torch.where((rest >= 0) & (rest < high - low), low + rest, values)
            rest = rest - (high - low)
        return values.exp() if self.scale == "log" else values

    def to_unit(self, values: Tensor) -> Tensor:
        """Values as the oracle sees them: low is -1, high is 1, on the parameter's scale.

        A parameter that training never changes is 0, and elsewhere its distance from that.
        """
        low, high = self._to_scale(self.low), self._to_scale(self.high)
        values = values.log() if self.scale == "log" else values
        return 2 * (values - low) / (high - low) - 1 if high > low else values - low

    @cached_property
    def _choices(self) -> DeviceArray:
        return DeviceArray(self.choices)

    def _to_scale(self, value: float) -> float:
        return math.log(value) if self.scale == "log" else value


@dataclass(frozen=True)
class TaskSpace:
    """All tasks of a family, and the splits they are drawn from."""

    parameters: tuple[TaskParameter, ...]
    listed_tasks: Mapping[str, tuple[tuple[float, ...], ...]] = field(default_factory=dict)
    """Splits that list their tasks, by name, as rows of values. Filled in where there are only so many tasks."""
    discs: tuple[tuple[str, str], ...] = ()
    """Pairs of parameters drawn together, evenly over the disc whose radius is the first one's high."""

    def __post_init__(self) -> None:
        count = math.prod(len(parameter.choices) for parameter in self.parameters)
        if not self.listed_tasks and 0 < count <= MAX_LISTED_TASKS:
            rows = tuple(product(*(parameter.choices for parameter in self.parameters)))
            object.__setattr__(self, "listed_tasks", {"train": rows, "heldout": rows})

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def splits(self) -> tuple[str, ...]:
        extrapolates = any(parameter.extrapolation for parameter in self.parameters)
        return SPLITS if extrapolates else SPLITS[:2]

    @property
    def nominal(self) -> dict[str, float]:
        """The unmodified robot."""
        return {parameter.name: parameter.nominal for parameter in self.parameters}

    def check_split(self, split: str) -> str:
        if split not in self.splits:
            raise TaskError(f"split is {split!r}, expected one of {', '.join(self.splits)}")
        return split

    def unseen(self, split: str) -> bool:
        """Whether the split's tasks are ones that training never meets."""
        if split == "train":
            return False
        if split in self.listed_tasks:
            return not set(self.listed_tasks[split]) & set(self.listed_tasks["train"])
        return True

    def sample(self, split: str, stream: RandomStream, index: Tensor, num_shifts: int = 0) -> Tensor:
        """Tasks number index, (N,) int64, of a split: (N, P) float64 values.

        A split that lists its tasks is gone through in shuffled order, and again in another.
        Turn 1 gives each number another task, for a change in the midst of a trial.
        """
        if split in self.listed_tasks:
            return self._pick_listed(self._listed_tasks[split], stream, index, num_shifts)
        uniform = stream.uniform(index, torch.full_like(index, num_shifts), len(self.parameters))
        columns = {}
        for position, parameter in enumerate(self.parameters):
            outside = split == "extrapolation" and parameter.extrapolation
            intervals = parameter.extrapolation if outside else ((parameter.low, parameter.high),)
            columns[parameter.name] = parameter.spread(uniform[:, position], intervals)
        for first, second in self.discs:
            columns.update(self._spread_disc(first, second, uniform))
        return torch.stack([columns[name] for name in self.names], dim=-1)

    def with_train_tasks(self, count: int, stream: RandomStream) -> "TaskSpace":
        """The same tasks, of which training meets the stream's first `count` alone, over and over."""
        rows = self.sample("train", stream, torch.arange(count)).tolist()
        distinct = tuple(dict.fromkeys(tuple(row) for row in rows))
        if len(distinct) < count:
            raise TaskError(f"number of training tasks is {count}, expected at most {len(distinct)}: there are no more")
        return replace(self, listed_tasks={**self.listed_tasks, "train": distinct})

    def row(self, task: Task) -> list[float]:
        """The values of a task in the parameters' order; what it leaves out is nominal."""
        unknown = [name for name in task if name not in self.names]
        if unknown:
            expected = ", ".join(self.names)
            raise TaskError(f"task parameter {unknown[0]!r} does not exist, expected one of {expected}")
        return [parameter.check(task.get(parameter.name, parameter.nominal)) for parameter in self.parameters]

    def to_unit(self, values: Tensor) -> Tensor:
        """(N, P) values, each scaled to [-1, 1] over its training range."""
        columns = [parameter.to_unit(values[:, i]) for i, parameter in enumerate(self.parameters)]
        return torch.stack(columns, dim=-1)

    @cached_property
    def _listed_tasks(self) -> Mapping[str, DeviceArray]:
        return {split: DeviceArray(np.array(rows, dtype=np.float64)) for split, rows in self.listed_tasks.items()}

    def _pick_listed(self, rows: DeviceArray, stream: RandomStream, index: Tensor, num_shifts: int) -> Tensor:
        count, rounds = len(rows), index // len(rows)
        order = stream.uniform(rounds, torch.zeros_like(rounds), count)  # (N, members)
        place = ((index + num_shifts) % count).unsqueeze(-1)
        return rows.like(order)[order.argsort(dim=-1).gather(1, place).squeeze(-1)]

    def _spread_disc(self, first: str, second: str, uniform: Tensor) -> dict[str, Tensor]:
        radius = self.parameters[self.names.index(first)].high
        distance = radius * uniform[:, self.names.index(first)].sqrt()
        angle = 2 * math.pi * uniform[:, self.names.index(second)]
        return {first: distance * angle.cos(), second: distance * angle.sin()}


def drawn_tasks(
    parameters: tuple[TaskParameter, ...], train: int, heldout: int, discs: tuple[tuple[str, str], ...] = ()
) -> dict[str, tuple[tuple[float, ...], ...]]:
    """Splits of so many tasks each, drawn once and for all from the training ranges."""
    drawn = TaskSpace(parameters, discs=discs).sample("train", RandomStream("members"), torch.arange(train + heldout))
    rows = tuple(tuple(row) for row in drawn.tolist())
    return {"train": rows[:train], "heldout": rows[train:]}
