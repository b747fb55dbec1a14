"""Which values of a task parameter physics allows."""

from typing import NamedTuple


class Bounds(NamedTuple):
    """The values that physics allows.

    >>> Bounds(0.0, strict=True).allows(0.0), Bounds(0.0).allows(0.0)
    (False, True)
    """

    low: float = -1e6
    """By default far beyond any robot, and far from where numbers overflow."""
    high: float = 1e6
    strict: bool = False
    """Whether the lowest value itself is forbidden."""

    def allows(self, value: float) -> bool:
        return (value > self.low if self.strict else value >= self.low) and value <= self.high

    def expected(self, value: float) -> str:
        """Says what was expected of a value that is not allowed."""
        if value > self.high:
            return f"a number up to {self.high:g}"
        return f"a number above {self.low:g}" if self.strict else f"a number from {self.low:g} on"


ANY = Bounds()
POSITIVE = Bounds(0.0, strict=True)
NOT_NEGATIVE = Bounds(0.0)
