"""The options of a reset: which robots begin, and on which tasks."""

import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limbshift.envs.errors import InputError
from limbshift.envs.given import flag
from limbshift.envs.task_env import TaskEnv
from limbshift.envs.tasks.parameter import Task, TaskError

Options = Mapping[str, Any] | Sequence[Mapping[str, Any]]
"""Options for all robots, or a list with those of each."""


def choose_tasks(tasks: TaskEnv, options: Options | None, may_keep: bool, *, begins: Tensor | None = None) -> None:
    """Gives the simulations that begin the tasks that the options of a reset ask for, or else their next ones.

    begins: (N,) bool; by default all do.
    """
    begins = tasks.all_envs if begins is None else begins
    every, keeps = _chosen(tasks, options, may_keep)
    sets = torch.tensor([task is not None for task in every], device=begins.device)
    if sets.any():
        tasks.set_tasks([task or {} for task in every], begins & sets)
    if not (keeps | sets).all():
        tasks.begin_tasks(begins & ~keeps & ~sets)


def check_options(tasks: TaskEnv, options: Options | None, may_keep: bool) -> None:
    """Raises InputError where a reset could not do what the options ask for."""
    every, _ = _chosen(tasks, options, may_keep)
    tasks.check_tasks([task or {} for task in every])


def _chosen(tasks: TaskEnv, options: Options | None, may_keep: bool) -> tuple[list[Task | None], Tensor]:
    """Returns the task that is given to each robot, or None, and (N,) bool, whose task is kept."""
    count = tasks.num_envs
    if options is None or isinstance(options, Mapping):
        kept, given = _asked(options or {}, count, may_keep)
        every: list[Task | None] = [*given] if given else [None] * count
        keeps = torch.full_like(tasks.all_envs, kept)
    else:
        if isinstance(options, str) or not isinstance(options, Sequence) or len(options) != count:
            raise InputError(f"reset options are {reprlib.repr(options)}, expected a mapping, or a list of {count}")
        asked = [_asked(each, 1, may_keep) for each in options]
        every = [rows[0] if rows else None for _, rows in asked]
        keeps = torch.tensor([kept for kept, _ in asked], device=tasks.device)
    return every, keeps


def split_mask(options: Options | None, count: int) -> tuple[Options | None, NDArray[np.bool_] | None]:
    """Returns the options without Gymnasium's "reset_mask", and that: (N,) bool, or None for all robots."""
    if not isinstance(options, Mapping) or "reset_mask" not in options:
        return options, None
    mask = options["reset_mask"]
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != (count,) or not mask.any():
        found = f"{mask.dtype} of {mask.shape}" if isinstance(mask, np.ndarray) else reprlib.repr(mask)
        found = "False throughout" if found == f"bool of {(count,)}" else found
        raise InputError(f"reset option reset_mask is {found}, expected a NumPy array of {count} bools, not all False")
    return {name: value for name, value in options.items() if name != "reset_mask"}, mask.copy()


def _asked(options: object, count: int, may_keep: bool) -> tuple[bool, list[Task] | None]:
    """Returns whether tasks are kept, and the tasks that are given."""
    if not isinstance(options, Mapping):
        raise InputError(f"reset options are {reprlib.repr(options)}, expected a mapping")
    unknown = [name for name in options if name not in ("task", "keep_task")]
    if unknown:
        raise InputError(f"reset option is {unknown[0]!r}, expected task or keep_task")
    kept = flag("reset option keep_task", options.get("keep_task", False))
    if kept and "task" in options:
        raise InputError("reset options hold both task and keep_task, expected one of them")
    if kept and not may_keep:
        raise InputError("reset option keep_task is set at the first reset, expected a task to keep")
    return kept, _task_rows(options["task"], count) if "task" in options else None


def _task_rows(task: object, count: int) -> list[Task]:
    """Returns a task for each robot, from a mapping whose values are numbers or (N,) arrays."""
    if not isinstance(task, Mapping):
        raise TaskError(f"task is {reprlib.repr(task)}, expected a mapping from parameter to value")
    columns = {}
    for name, value in task.items():
        try:
            array = np.asarray(value)
        except (TypeError, ValueError, RuntimeError) as error:
            raise TaskError(f"task parameter {name} is {reprlib.repr(value)}, expected a number") from error
        if array.dtype.kind not in "biuf":
            raise TaskError(f"task parameter {name} is {reprlib.repr(value)}, expected a number")
        if array.shape not in ((), (count,)):
            raise TaskError(f"task parameter {name} has shape {array.shape}, expected () or {(count,)}")
        columns[name] = np.broadcast_to(array, count)
    return [{name: float(column[env]) for name, column in columns.items()} for env in range(count)]
