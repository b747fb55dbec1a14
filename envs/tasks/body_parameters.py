"""Task parameters of a robot's shape that families of several robots share."""

from collections.abc import Sequence
from dataclasses import replace

from limbshift.envs.hardware import ACTION_DELAY
from limbshift.envs.tasks.common import factor
from limbshift.envs.tasks.parameter import TaskParameter
from limbshift.envs.tasks.shape_effects import LoseLimb, ScaleLinkLengths

SHORT_DELAY = replace(ACTION_DELAY, high=2.0, choices=(0.0, 1.0, 2.0))
"""By up to two control steps."""


def leg_length(part: str, links: Sequence[str], *, low: float, high: float, beyond: float) -> TaskParameter:
    """Returns one factor on the length of these links, one of each leg; longer ones, to beyond, extrapolate.

    >>> leg_length("upper", ("left_thigh", "right_thigh"), low=0.6, high=1.5, beyond=1.7).extrapolation
    ((1.5, 1.7),)
    """
    return factor(
        f"{part}_length",
        low,
        high,
        description=f"factor on the length of all {part} legs, at their density",
        effect=ScaleLinkLengths(tuple(links)),
        extrapolation=((high, beyond),),
    )


def lost_leg(legs: Sequence[str], roots: Sequence[str]) -> TaskParameter:
    """Returns which one of these legs is lost: none in training, one in extrapolation; roots are their first bodies.

    >>> leg = lost_leg(("left", "right"), ("left_hip", "right_hip"))
    >>> leg.description, leg.high, leg.extrapolation
    ('which leg is lost: 0 none, 1 left, 2 right', 0.0, ((1.0, 2.0),))
    """
    numbers = tuple(float(number) for number in range(len(legs) + 1))
    return TaskParameter(
        "lost_leg",
        0.0,
        0.0,
        f"which leg is lost: 0 none, {', '.join(f'{number} {leg}' for number, leg in enumerate(legs, 1))}",
        nominal=0.0,
        choices=numbers,
        extrapolation=((1.0, numbers[-1]),),
        kind="category",
        effect=LoseLimb(tuple(roots)),
    )
