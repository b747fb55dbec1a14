"""A chart as data, which a picture and a web page draw alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

USED = 0.7
"""Share of the way from one of few values to the next that what stands there takes."""


@dataclass(frozen=True)
class Series:
    """What is drawn in one colour under one name."""

    name: str
    colour: str
    x: Sequence[float]
    y: Sequence[float | None]
    """None leaves a gap."""
    interval: tuple[Sequence[float | None], Sequence[float | None]] | None = None
    """Low and high: a bar at each dot, or a band where there are none."""
    line: bool = True
    """Whether the points are joined."""
    dots: bool = True
    notes: Sequence[str] = ()
    """What a page tells of each point."""
    aside: Sequence[float] = ()
    """How far beside its x each point is drawn, so that none hides another."""

    def places(self, shift: float) -> list[float]:
        """Returns where the points are drawn on the x axis; shift: how far aside all of them are."""
        return [x + shift + aside for x, aside in zip(self.x, self.aside or [0.0] * len(self.x), strict=True)]


@dataclass(frozen=True)
class Level:
    """A height that does not depend on x: a dotted line over the whole chart."""

    name: str
    colour: str
    y: float


@dataclass(frozen=True)
class Chart:
    """Axes, and what is drawn on them; series of one name are shown, or not, together."""

    title: str
    x: str
    """What the axis tells, with its unit."""
    y: str
    series: tuple[Series, ...]
    levels: tuple[Level, ...] = ()
    ground: tuple[float, float] | None = None
    """From where to where on the x axis the ground is grey."""
    border: tuple[float, str] | None = None
    """A dotted line at this x, and what it says."""
    ticks: tuple[float, ...] = ()
    """Of the x axis; by default as many as fit."""
    x_log: bool = False
    sidestep: float = 0.0
    """How far the series of one name are drawn beside those of the next, so that none hides another."""
    y_range: tuple[float, float | None] | None = None
    """Where the y axis begins and ends, None for as far as it needs; by default both."""
    legend: tuple[str, ...] = ()
    """All names, in their order; by default as drawn."""

    @property
    def has_intervals(self) -> bool:
        """Returns whether anything has one."""
        return any(each.interval for each in self.series)

    def shift(self, name: str) -> float:
        """Returns how far aside the series of this name are drawn."""
        names = list(dict.fromkeys(each.name for each in self.series))
        return self.sidestep * (names.index(name) - (len(names) - 1) / 2)

    @property
    def names(self) -> dict[str, str]:
        """Returns the colours by name, in the order of the legend."""
        colours = {each.name: each.colour for each in self.series} | {each.name: each.colour for each in self.levels}
        return {name: colours[name] for name in self.legend or colours}


def room_for(count: int, values: Sequence[float]) -> float:
    """Returns how wide each of so many series may be that stand beside each other over each of few values.

    >>> room_for(4, [0.0, 1.0, 3.0])
    0.175
    """
    return USED * min((high - low for low, high in pairwise(values)), default=1.0) / count
