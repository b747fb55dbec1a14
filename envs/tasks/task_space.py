"""The tasks of a family: its parameters together, and the splits that tasks are drawn from."""

import math
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain, product

import numpy as np
import torch
from torch import Tensor

from limbshift.envs.physics.device_array import DeviceArray
from limbshift.envs.schema import shortened
from limbshift.envs.tasks.bounds import Bounds
from limbshift.envs.tasks.parameter import Task, TaskError, TaskParameter
from limbshift.envs.tasks.streams import RandomStream

TRAIN, HELDOUT, VALIDATION, EXTRAPOLATION = "train", "heldout", "validation", "extrapolation"
SPLITS = (TRAIN, HELDOUT, VALIDATION, EXTRAPOLATION)
"""Settings, noise and checkpoints are chosen on validation tasks, so that held-out ones judge what was chosen."""
MAX_LISTED_TASKS = 1024
"""A family of at most so many tasks lists them all; tasks of a larger one are drawn from its ranges."""


@dataclass(frozen=True)
class TaskSpace:
    """All tasks of a family, and the splits that they are drawn from.

    >>> from limbshift.envs.tasks.common import DIRECTION, TARGET_VELOCITY
    >>> space = TaskSpace((DIRECTION, TARGET_VELOCITY))
    >>> space.names, space.splits
    (('direction', 'target_velocity'), ('train', 'heldout', 'validation', 'extrapolation'))
    >>> space.row({"target_velocity": 1.5})
    [1.0, 1.5]
    """

    parameters: tuple[TaskParameter, ...]
    listed_tasks: Mapping[str, tuple[tuple[float, ...], ...]] = field(default_factory=dict)
    """Splits that list their tasks, by name, as rows of values; filled in for a family of few tasks.

    Where train and heldout do, validation has the tasks to train on, unless it is listed too: of the few that there are
    none is to spare. Its order and its initial states are its own.
    """
    discs: tuple[tuple[str, str], ...] = ()
    """Pairs of parameters drawn together, evenly over the disc whose radius is the first one's high."""
    mid_trial: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)
    """What a change in the midst of a trial changes, by parameter, and the intervals that it draws from, whatever the
    split; empty where the whole task becomes another of the split."""

    def __post_init__(self) -> None:
        given = self.parameters
        if not (isinstance(given, tuple) and all(isinstance(each, TaskParameter) for each in given)):
            raise TaskError(
                f"parameters are {shortened(given)}, expected a tuple of TaskParameter; * unpacks lists of them"
            )
        for row in chain.from_iterable(self.listed_tasks.values()):
            self._check_row(row)
        if twice := sorted({name for name in self.names if self.names.count(name) > 1}):
            raise TaskError(f"task parameters have {' and '.join(twice)} twice, expected each once")
        for name in self.mid_trial:
            if name not in self.names:
                raise TaskError(f"mid_trial changes {name!r}, expected one of {', '.join(self.names)}")
        if not self.listed_tasks and 0 < self._num_choices <= MAX_LISTED_TASKS:
            rows = tuple(product(*self._choices))
            object.__setattr__(self, "listed_tasks", {"train": rows, "heldout": rows})

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters' names, in order."""
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that the family has; "extrapolation" only where a parameter leaves its training range."""
        extrapolates = any(parameter.extrapolation for parameter in self.parameters)
        return SPLITS if extrapolates else SPLITS[:-1]

    @property
    def nominal(self) -> dict[str, float]:
        """The task of the unmodified robot."""
        return {parameter.name: parameter.nominal for parameter in self.parameters}

    def check_split(self, split: str) -> str:
        """Returns the split, or raises a TaskError that names those there are."""
        if split not in self.splits:
            raise TaskError(f"split is {split!r}, expected one of {', '.join(self.splits)}")
        return split

    def unseen(self, split: str) -> bool:
        """Returns whether training never meets the split's tasks."""
        if split == TRAIN:
            return False
        rows = self.listed(split)
        if rows is None:  # of ranges hardly a number is drawn twice; of choices alone all are, sooner or later
            return split == EXTRAPOLATION or not self._num_choices
        return not set(rows) & set(self.listed_tasks[TRAIN])

    def listed(self, split: str) -> tuple[tuple[float, ...], ...] | None:
        """Returns the tasks of a split that lists them, as rows of values; None for one that draws them from ranges.

        >>> from limbshift.envs.tasks.common import DIRECTION
        >>> TaskSpace((DIRECTION,)).listed("validation")
        ((-1.0,), (1.0,))
        """
        if split == VALIDATION and split not in self.listed_tasks and HELDOUT in self.listed_tasks:
            return self.listed_tasks.get(TRAIN)
        return self.listed_tasks.get(split)

    def sample(self, split: str, stream: RandomStream, index: Tensor, *, num_shifts: int = 0) -> Tensor:
        """Returns the split's tasks number index, (N,) int64, as (N, P) float64 values.

        A split that lists its tasks gives all of them in a shuffled order, then all again in another.
        One shift gives each number another task, for a change in the midst of a trial.

        >>> from limbshift.envs.tasks.common import DIRECTION
        >>> sorted(TaskSpace((DIRECTION,)).sample("train", RandomStream("task"), torch.arange(4)).tolist())
        [[-1.0], [-1.0], [1.0], [1.0]]
        """
        if split in self._listed_tasks:
            return self._pick_listed(self._listed_tasks[split], stream, index, num_shifts=num_shifts)
        uniform = stream.uniform(index, torch.full_like(index, num_shifts), len(self.parameters))
        columns = {}
        for position, parameter in enumerate(self.parameters):
            outside = split == EXTRAPOLATION and parameter.extrapolation
            intervals = parameter.extrapolation if outside else ((parameter.low, parameter.high),)
            columns[parameter.name] = parameter.spread(uniform[:, position], intervals)
        for first, second in self.discs:
            columns.update(self._spread_disc(first, second, uniform))
        return torch.stack([columns[name] for name in self.names], dim=-1)

    def shifted(self, values: Tensor, split: str, stream: RandomStream, *, index: Tensor) -> Tensor:
        """Returns what the (N, P) values of tasks number index become where they change in the midst of a trial.

        Where `mid_trial` names what changes, the rest stays as it is, and so does what is not nominal any more: what
        is lost is not lost again.

        >>> from limbshift.envs.tasks.common import DIRECTION, TARGET_VELOCITY
        >>> space = TaskSpace((DIRECTION, TARGET_VELOCITY), mid_trial={"target_velocity": ((3.0, 3.0),)})
        >>> before = torch.tensor([[-1.0, 0.0], [-1.0, 2.0]])
        >>> space.shifted(before, "train", RandomStream("task"), index=torch.arange(2)).tolist()
        [[-1.0, 3.0], [-1.0, 2.0]]
        """
        if not self.mid_trial:
            return self.sample(split, stream, index, num_shifts=1)
        uniform, shifted = stream.uniform(index, torch.ones_like(index), len(self.parameters)), values.clone()
        for position, parameter in enumerate(self.parameters):
            if parameter.name in self.mid_trial:
                drawn = parameter.spread(uniform[:, position], self.mid_trial[parameter.name]).to(values.dtype)
                column = values[:, position]
                shifted[:, position] = torch.where(column == parameter.nominal, drawn, column)
        return shifted

    def with_train_tasks(self, count: int, stream: RandomStream) -> "TaskSpace":
        """Returns the same space, but with the stream's first `count` tasks alone to train on."""
        rows = self.listed(TRAIN)
        most = self._num_choices or count if rows is None else len(set(rows))
        if count > most:
            raise TaskError(f"number of training tasks is {count}, expected at most {most}: there are no more")
        distinct, first = dict[tuple[float, ...], None](), 0
        while len(distinct) < count:  # choices come up twice before all have come up once
            drawn = self.sample(TRAIN, stream, torch.arange(first, first + count)).tolist()
            distinct.update(dict.fromkeys(map(tuple, drawn)))
            first += count
        rows = tuple(distinct)[:count]
        before = self.listed(VALIDATION)
        kept = self.listed_tasks if before is None else {VALIDATION: before, **self.listed_tasks}
        return replace(self, listed_tasks={**kept, TRAIN: rows})

    def row(self, task: Task, bounds: Sequence[Bounds] | None = None) -> list[float]:
        """Returns a task's values in the parameters' order; what the task leaves out is nominal.

        bounds: those of each parameter on a robot, where it is known; by default those on any.
        """
        if not isinstance(task, Mapping):
            raise TaskError(f"task is {shortened(task)}, expected a mapping of parameters' names to values")
        unknown = [name for name in task if name not in self.names]
        if unknown:
            expected = ", ".join(self.names)
            raise TaskError(f"task parameter {shortened(unknown[0])} does not exist, expected one of {expected}")
        for name, value in task.items():
            if not isinstance(value, numbers.Real):
                raise TaskError(f"task parameter {name} is {shortened(value)}, expected a number")
        allowed = bounds or [parameter.bounds for parameter in self.parameters]
        return [
            parameter.check(task.get(parameter.name, parameter.nominal), within)
            for parameter, within in zip(self.parameters, allowed, strict=True)
        ]

    def check_on(self, bounds: Sequence[Bounds]) -> None:
        """Raises a TaskError unless a robot allows all tasks, by the bounds that each parameter has on it."""
        for parameter, within in zip(self.parameters, bounds, strict=True):
            parameter.check_range(within)
        for row in chain.from_iterable(self.listed_tasks.values()):
            for parameter, value, within in zip(self.parameters, row, bounds, strict=True):
                parameter.check(value, within)

    @property
    def encoding_dim(self) -> int:
        """How many numbers encode a task: the sum over its parameters."""
        return sum(parameter.encoding_dim for parameter in self.parameters)

    def encode(self, values: Tensor) -> Tensor:
        """Returns (N, encoding_dim) numbers that tell (N, P) values to a learner: each parameter's, in order.

        >>> from limbshift.envs.tasks.common import DIRECTION, TARGET_VELOCITY
        >>> TaskSpace((DIRECTION, TARGET_VELOCITY)).encode(torch.tensor([[-1.0, 3.0], [1.0, 1.5]])).tolist()
        [[-1.0, 1.0], [1.0, 0.0]]
        """
        parts = [parameter.encode(values[:, position]) for position, parameter in enumerate(self.parameters)]
        return torch.cat(parts, dim=-1) if parts else values

    def decode(self, encoded: Tensor) -> Tensor:
        """Returns the (N, P) values that (N, encoding_dim) guesses at what `encode` gives come nearest to.

        >>> from limbshift.envs.tasks.common import DIRECTION, TARGET_VELOCITY
        >>> TaskSpace((DIRECTION, TARGET_VELOCITY)).decode(torch.tensor([[-0.4, 1.0], [0.9, 0.0]])).tolist()
        [[-1.0, 3.0], [1.0, 1.5]]
        """
        parts = encoded.split([parameter.encoding_dim for parameter in self.parameters], dim=-1)
        values = [parameter.decode(part) for parameter, part in zip(self.parameters, parts, strict=True)]
        return torch.stack(values, dim=-1)

    @cached_property
    def _choices(self) -> list[tuple[float, ...]]:
        """What each parameter may be while training, where it has choices."""
        return [parameter.choices_within(((parameter.low, parameter.high),)) for parameter in self.parameters]

    @property
    def _num_choices(self) -> int:
        """How many tasks there are to train on, where all parameters have choices; else 0."""
        return math.prod(map(len, self._choices))

    def _check_row(self, row: tuple[float, ...]) -> None:
        if len(row) != len(self.parameters):
            raise TaskError(f"a listed task has {len(row)} values, expected {len(self.parameters)}")
        for parameter, value in zip(self.parameters, row, strict=True):
            parameter.check(value)

    @cached_property
    def _listed_tasks(self) -> Mapping[str, DeviceArray]:
        listed = {split: self.listed(split) for split in SPLITS}
        return {split: DeviceArray(np.array(rows, dtype=np.float64)) for split, rows in listed.items() if rows}

    @staticmethod
    def _pick_listed(rows: DeviceArray, stream: RandomStream, index: Tensor, *, num_shifts: int) -> Tensor:
        count, rounds = len(rows), index // len(rows)
        which = torch.arange(len(index), device=index.device)
        if stream.on_host and index.device.type == "cpu":  # a device would be waited for
            rounds, which = rounds.unique(return_inverse=True)
        order = stream.uniform(rounds, torch.zeros_like(rounds), count)  # (rounds, members)
        return rows.like(order)[order.argsort(dim=-1)[which, (index + num_shifts) % count]]

    def _spread_disc(self, first: str, second: str, uniform: Tensor) -> dict[str, Tensor]:
        radius = self.parameters[self.names.index(first)].high
        distance = radius * uniform[:, self.names.index(first)].sqrt()
        angle = 2 * math.pi * uniform[:, self.names.index(second)]
        return {first: distance * angle.cos(), second: distance * angle.sin()}


def drawn_tasks(
    parameters: tuple[TaskParameter, ...], train: int, heldout: int, *, discs: tuple[tuple[str, str], ...] = ()
) -> dict[str, tuple[tuple[float, ...], ...]]:
    """Returns splits of so many tasks each, drawn once and for all from the training ranges.

    >>> from limbshift.envs.tasks.common import TARGET_VELOCITY
    >>> splits = drawn_tasks((TARGET_VELOCITY,), train=3, heldout=1)
    >>> {split: len(rows) for split, rows in splits.items()}
    {'train': 3, 'heldout': 1}
    """
    drawn = TaskSpace(parameters, discs=discs).sample("train", RandomStream("members"), torch.arange(train + heldout))
    rows = tuple(tuple(row) for row in drawn.tolist())
    return {"train": rows[:train], "heldout": rows[train:]}
