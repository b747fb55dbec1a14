"""Whether the shipped controllers do what is said of them."""

import numpy as np
import pytest

from limbshift.experiments.commands.evaluate import evaluate
from limbshift.experiments.runs.controllers import SHIPPED, load_controller, shipped_names

RETURNS = {
    "AntDirForwardBack": 600,
    "ArmJointFriction": -28,
    "ArmPayload": -12,
    "HalfCheetahDir": 1350,
    "HalfCheetahHardware": 400,
    "HalfCheetahVel": -45,
    "HalfCheetahLimbs": 680,
    "HalfCheetahLimbsDir": 750,
    "HalfCheetahWiring": 950,
    "InvertedPendulumBody": 190,
    "QuadrupedPayload": 305,
    "ReacherGoal": 40,
    "ReacherLimbs": 34,
    "Walker2dRandParams": 650,
}
"""What each reaches at least on held-out tasks, in the last episode."""
MOST_FALLS = 0.1
"""Share of the episodes in which a robot may fall."""


def test_what_is_shipped() -> None:
    assert shipped_names() == sorted(RETURNS)


@pytest.mark.parametrize("name", shipped_names())
def test_a_shipped_controller_is_small_and_has_a_card(name: str) -> None:
    assert (SHIPPED / f"{name}.safetensors").stat().st_size < 1.5e6
    assert (SHIPPED / f"{name}.md").read_text().startswith(f"# {name}\n")
    assert load_controller(name).card.family == name


@pytest.mark.parametrize("name", shipped_names())
def test_a_shipped_controller_is_as_good_as_said(name: str) -> None:
    result = evaluate(name, seed=1)  # other tasks than those of the cards
    assert result.iqm[-1] > RETURNS[name]
    assert result.iqm[-1] > result.controls["memory_off"].iqm[-1]
    assert (np.array(result.falls) > 0).mean() <= MOST_FALLS


def test_the_reachers_controller_adapts_across_episodes() -> None:
    result = evaluate("ReacherGoal", num_tasks=32)
    wiped = result.controls["memory_wiped_each_episode"]
    third, first, wiped_third = result.ci95[2], result.ci95[0], wiped.ci95[2]
    assert third
    assert first
    assert wiped_third
    assert third[0] > first[1]
    assert third[0] > wiped_third[1]
