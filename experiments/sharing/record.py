"""What is known of a controller that is shared: a JSON file beside it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np

from limbshift.envs.schema import ANY_SEQUENCE, Checked, Count, Name, Share, Total, Weight

if TYPE_CHECKING:
    from limbshift.meta.evaluation.adaptation import Adaptation, AdaptationCurve

Interval = Annotated[tuple[float, float], ANY_SEQUENCE]


@dataclass(frozen=True)
class Returns(Checked):
    """Of one way to act, by episode."""

    iqm: Annotated[tuple[float, ...], ANY_SEQUENCE]
    """Interquartile mean over tasks."""
    ci95: Annotated[tuple[Interval | None, ...], ANY_SEQUENCE]

    @classmethod
    def of(cls, curve: "AdaptationCurve") -> "Returns":
        """Returns those of an evaluation."""
        return cls(tuple(curve.iqm), tuple(curve.ci95))


@dataclass(frozen=True)
class SplitRecord(Checked):
    """What an evaluation found on one split."""

    split: Name
    unseen: bool
    """Whether training never met its tasks."""
    num_tasks: Count
    """Trials, each with a task."""
    returns: Returns
    controls: dict[Name, Returns]
    """memory_off, memory_wiped_each_episode, random."""
    worst10: float
    """Mean of the worst tenth of the tasks in the last episode."""
    falls: Share
    """Share of the episodes in which the robot fell."""
    adaptation_time_s: Weight | None
    distinct_tasks: Count | None = None
    """How many different tasks the trials had; None in records of earlier versions."""

    @classmethod
    def of(cls, result: "Adaptation") -> "SplitRecord":
        """Returns that of an evaluation."""
        return cls(
            split=result.split,
            unseen=result.unseen,
            num_tasks=result.num_tasks,
            returns=Returns.of(result),
            controls={name: Returns.of(curve) for name, curve in result.controls.items()},
            worst10=result.worst10[-1],
            falls=float((np.array(result.falls) > 0).mean()),
            adaptation_time_s=result.adaptation_time_s,
            distinct_tasks=result.distinct_tasks,
        )


@dataclass(frozen=True)
class Record(Checked):
    """All that is told of a controller."""

    family: Name
    variant: Name
    robot: Name
    """Of the user's own; empty for the families'."""
    episodes: Count
    horizon: Count
    minutes: Weight
    """Of training."""
    steps: Total
    """Env steps of training."""
    where: str
    """What it was trained on; empty where nobody said."""
    how: str
    """The command that trained it; empty where it is not known."""
    words: str
    version: Name
    """Of limbshift, that evaluated it."""
    splits: Annotated[tuple[SplitRecord, ...], ANY_SEQUENCE]

    @property
    def heldout(self) -> SplitRecord:
        """What it does on held-out tasks, of which every family has some."""
        return next(each for each in self.splits if each.split == "heldout")
