"""What a family says of itself."""

from limbshift.envs.catalogue import make_family


def test_a_family_prints_short() -> None:
    assert repr(make_family("HalfCheetahVel")) == (
        "<TaskFamily HalfCheetahVel, variant default: robot HalfCheetah, tasks of target_velocity>"
    )
    mild = repr(make_family("HalfCheetahLimbs", "mild"))
    assert mild.startswith("<TaskFamily HalfCheetahLimbs, variant mild: robot HalfCheetah, tasks of torso_mass, ")
    assert mild.endswith(" in all>")
