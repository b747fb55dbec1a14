"""Checks of what families pay."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from limbshift.envs.errors import FamilyError, RewardError
from limbshift.envs.family import Motion, TaskFamily


def reward_terms(family: TaskFamily, motion: Motion, task: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Returns the reward's terms; FamilyError where they are not real numbers, one for each robot."""
    terms, shape, usual = family.reward(motion, task), motion.fallen.shape, motion.physics.dtype
    if not isinstance(terms, Mapping) or not terms:
        found = "empty" if isinstance(terms, Mapping) else f"a {type(terms).__name__}"
        raise FamilyError(f"reward of {family.name} is {found}, expected a mapping from term to tensor")
    for name, term in terms.items():
        if not isinstance(term, Tensor) or term.shape != shape or (term.dtype != usual and not _real(term)):
            found = f"{term.dtype} of {tuple(term.shape)}" if isinstance(term, Tensor) else type(term).__name__
            expected = f"a tensor of real numbers of {tuple(shape)}"
            raise FamilyError(f"reward term {name!r} of {family.name} is {found}, expected {expected}")
    return terms


def _real(term: Tensor) -> bool:
    return not term.is_complex() and term.dtype != torch.bool


def bad_reward(
    family: TaskFamily, terms: Mapping[str, Tensor], *, task: Mapping[str, Tensor], at_fault: Tensor
) -> RewardError:
    """Returns an error that names the first term, (N,), that is not finite in the first simulation of a mask."""
    sim = int(at_fault.nonzero()[0])
    values = {name: float(term[sim]) for name, term in terms.items()}
    name, value = next(
        ((name, value) for name, value in values.items() if not math.isfinite(value)),
        ("the sum of its terms", sum(values.values())),
    )
    shown = ", ".join(f"{parameter} {float(each[sim]):.4g}" for parameter, each in task.items())
    return RewardError(
        f"reward of {family.name}, variant {family.variant}: {name} is {value}, expected a finite number;"
        f" the task is {shown}"
    )
