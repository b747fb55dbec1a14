"""What a family says of itself."""

from collections.abc import Callable

import pytest

from limbshift.envs.catalogue import make_family
from limbshift.envs.errors import InputError
from limbshift.envs.tasks.common import mass_factors
from tests.envs.sled import Sledding


def test_a_family_prints_short() -> None:
    assert repr(make_family("HalfCheetahVel")) == (
        "<TaskFamily HalfCheetahVel, variant default: robot HalfCheetah, tasks of target_velocity>"
    )
    mild = repr(make_family("HalfCheetahLimbs", "mild"))
    assert mild.startswith("<TaskFamily HalfCheetahLimbs, variant mild: robot HalfCheetah, tasks of torso_mass, ")
    assert mild.endswith(" in all>")


class Nested(Sledding):
    """What is a tuple already, put into another."""

    parameters = (*Sledding.parameters, mass_factors(("sled",), 2.0))  # type: ignore[arg-type]


class Bare(Sledding):
    """One parameter, which nobody made a tuple of."""

    parameters = Sledding.parameters[0]  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (Nested, r"parameters are \(.*, expected a tuple of TaskParameter; \* unpacks lists of them"),
        (Bare, r"parameters are TaskParameter\(.*, expected a tuple of TaskParameter"),
        (lambda: Sledding(["free"]), r"variant of Sledding is \['free'\], expected one of"),  # type: ignore[arg-type]
    ],
)
def test_what_makes_no_family_is_told_in_a_line(make: Callable[[], object], told: str) -> None:
    with pytest.raises(InputError, match=told):
        make()
