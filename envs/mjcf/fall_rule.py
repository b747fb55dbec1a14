"""When a robot of the user's own has fallen: too low, or tilted too far, each measured from how it starts."""

from dataclasses import dataclass
from typing import Literal, Self

from limbshift.envs.errors import InputError

FallLimit = float | Literal["none"] | None
"""As a user gives it: a number, "none" for no limit, or None for the robot's default."""
DEFAULT_HEIGHT, DEFAULT_TILT = 0.5, 60.0


@dataclass(frozen=True)
class FallRule:
    """What counts as a fall; None where nothing does.

    >>> FallRule.of(0.3, "none", stands_on_ground=True)
    FallRule(height=0.3, tilt=None)
    >>> print(FallRule(0.5, 60.0))
    falls when its centre of mass is below 50 % of its starting height or it is tilted by more than 60 degrees
    """

    height: float | None
    """Share of the height above ground at which the robot's centre of mass starts."""
    tilt: float | None
    """Degrees from how it starts."""

    @classmethod
    def of(cls, height: FallLimit, tilt: FallLimit, *, stands_on_ground: bool, floats: bool = False) -> Self:
        """Returns the rule that a user asks for; by default none where nothing pulls the robot down.

        Raises InputError for a limit that cannot be used.
        """
        if height is None:
            height = DEFAULT_HEIGHT if stands_on_ground and not floats else "none"
        if tilt is None:
            tilt = "none" if floats else DEFAULT_TILT
        rule = cls(_limit("fall_height", height, 1.0), _limit("fall_tilt", tilt, 180.0))
        if rule.height and not stands_on_ground:
            raise InputError(f"fall_height is {height}, expected none: there is no ground under the robot's start")
        return rule

    def __str__(self) -> str:
        low = f"its centre of mass is below {100 * self.height:g} % of its starting height" if self.height else ""
        tilted = f"it is tilted by more than {self.tilt:g} degrees" if self.tilt else ""
        reasons = " or ".join(reason for reason in (low, tilted) if reason)
        return f"falls when {reasons}" if reasons else "never falls"


def _limit(name: str, value: float | Literal["none"], largest: float) -> float | None:
    """Returns the limit, None for none; raises InputError unless it is above 0 and below the largest."""
    if value == "none":
        return None
    if isinstance(value, str) or not 0 < value < largest:
        raise InputError(f"{name} is {value}, expected a number above 0 and below {largest:g}, or none")
    return float(value)
