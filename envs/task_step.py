"""What a control step gives, and what is measured of it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from numpy.typing import NDArray
from torch import Tensor


class Measure(NamedTuple):
    """What a person would measure of a robot at its task."""

    quantity: str
    unit: str
    near: float | None = None
    """How close to what is asked counts as there; None where nothing does."""


class Measured(NamedTuple):
    """A measurement: new tensors, (N,) each."""

    value: Tensor
    asked: Tensor | None = None
    """What the task asks for; None where more is better."""


class TaskStep(NamedTuple):
    """What a control step gave."""

    reward: Tensor
    """(N,) in the engine's dtype, a new tensor; 0 where the simulation diverged."""
    terminated: Tensor
    """(N,) bool: the robot fell, or its simulation diverged."""
    diverged: Tensor
    """(N,) bool: the simulation blew up and stands in the model's default state."""
    action: Tensor
    """(N, A) as sent: clipped to the motors' range. Where the task delays actions, it is executed later."""
    terms: dict[str, Tensor]
    """The reward's terms, (N,) each: new tensors."""


class Moved(NamedTuple):
    """A control step whose reward is not added up yet."""

    terms: Mapping[str, Tensor]
    """As the family gave them: they may be live views of the simulator, and one the same as another."""
    terminated: Tensor
    diverged: Tensor
    action: Tensor
    all_sound: bool
    """Whether it is known, without a look at them, that no simulation diverged."""
    seen: Any = None
    """What `TaskEnv.look` made of the motion; None where nobody looks."""

    def term_arrays(self) -> dict[str, NDArray[Any]]:
        """Returns new arrays: the terms, (N,) each, which are 0 with the reward where a simulation diverged."""
        if self.all_sound:
            return {name: term.numpy(force=True).copy() for name, term in self.terms.items()}
        return {name: term.masked_fill(self.diverged, 0.0).numpy() for name, term in self.terms.items()}
