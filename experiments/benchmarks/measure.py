"""What a measure is: two things that are done in turn, and the ratio of what they took."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Literal, NamedTuple

from limbshift.envs.family import TaskFamily
from limbshift.experiments.benchmarks.config import BenchConfig


@dataclass(frozen=True)
class Outcome:
    """What a measure found."""

    unit: str
    """Of ours and theirs."""
    ours: float
    """Median over rounds."""
    theirs: float
    ratios: tuple[float, ...]
    """ours / theirs, round by round, since a machine's speed drifts between rounds; empty where there is none."""
    notes: tuple[str, ...] = ()
    """What else is told of it, a sentence each."""
    details: Mapping[str, float] = field(default_factory=dict)
    """Further figures, by name."""

    @property
    def ratio(self) -> float | None:
        """Their median."""
        return median(self.ratios) if self.ratios else None


@dataclass(frozen=True)
class Measure:
    """Something of ours beside something else."""

    ours: str
    """What is measured, in words."""
    theirs: str
    """What it is compared with."""
    goal: float
    """What the ratio is to reach, or to stay below."""
    run: Callable[[TaskFamily, BenchConfig], Outcome]
    family: str
    """Measured unless another is asked for."""
    better: Literal["more", "less"] = "more"
    """Whether the ratio is to be large or small."""
    any_family: bool = False
    """Whether it can be measured of any family; else what it is compared with has one robot."""
    on_warp: bool = False
    """Whether it can also be measured on MuJoCo Warp."""
    default: bool = True
    """Whether it is measured when nothing is asked for."""
    share: int = 1
    """By which the number of trials is divided."""
    package: str | None = None
    """That it needs, by its name when imported."""
    cores: int = 1
    """That it needs."""

    def met(self, ratio: float) -> bool:
        """Whether a ratio is what was hoped for."""
        return ratio >= self.goal if self.better == "more" else ratio <= self.goal

    def num_envs(self, config: BenchConfig) -> int:
        """Returns the number of trials that it is taken with."""
        return max(1, config.num_envs // self.share)


class Taken(NamedTuple):
    """A measure, of what it was taken, and what it found."""

    name: str
    measure: Measure
    family: str
    num_envs: int
    outcome: Outcome


def rates_in_turn(ours: Callable[[], float], theirs: Callable[[], float], *, steps: int, rounds: int) -> Outcome:
    """Times both in each round, and returns env steps a second; a first round warms up.

    ours, theirs: take so many env steps, and return the seconds that these took.

    >>> rates_in_turn(lambda: 2.0, lambda: 3.0, steps=60, rounds=2)
    Outcome(unit='env steps/s', ours=30.0, theirs=20.0, ratios=(1.5, 1.5), notes=(), details={})
    """
    seconds = [(ours(), theirs()) for _ in range(rounds + 1)][1:]
    return rates_of(seconds, steps)


def rates_of(seconds: list[tuple[float, float]], steps: int) -> Outcome:
    """Returns env steps a second, from the seconds that as many steps of ours and of theirs took in each round."""
    return Outcome(
        "env steps/s",
        steps / median(own for own, _ in seconds),
        steps / median(other for _, other in seconds),
        tuple(other / own for own, other in seconds),
    )
