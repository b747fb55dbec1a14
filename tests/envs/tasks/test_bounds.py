"""What physics forbids is refused wherever a task is given by hand."""

from collections.abc import Mapping
from typing import Any

import pytest

from limbshift.envs.adapters.make import make_trials
from limbshift.envs.catalogue import families, make_family
from limbshift.envs.family import TaskFamily
from limbshift.envs.hardware import OBS_NOISE
from limbshift.envs.task_env import TaskEnv
from limbshift.envs.tasks.common import slope
from limbshift.envs.tasks.effects import (
    AddMass,
    ScaleBodyMass,
    ScaleDamping,
    ScaleElement,
    ScaleFluid,
    ScaleFriction,
    Slope,
)
from limbshift.envs.tasks.parameter import Effect, TaskError, TaskParameter
from limbshift.envs.tasks.task_space import TaskSpace
from tests.envs.sled import Sledding

LOAD = AddMass("sled")


def parameter(effect: Effect | None, low: float = 0.5, high: float = 1.0, **more: Any) -> TaskParameter:
    return TaskParameter("value", low, high, "what is changed", effect=effect, **more)


def sledding(*parameters: TaskParameter, listed: Mapping[str, Any] | None = None) -> TaskFamily:
    family = Sledding()
    family.parameters = parameters
    family.task_space = TaskSpace(parameters, listed or {})
    return family


@pytest.mark.parametrize(
    ("family", "task", "message"),
    [
        ("QuadrupedPayload", {"payload_mass": -20.0}, "payload_mass is -20, expected a number from 0 on"),
        ("HalfCheetahHardware", {"obs_noise": 1e308}, "obs_noise is 1e+308, expected a number up to 1e+06"),
        ("HalfCheetahHardware", {"obs_noise": -0.1}, "obs_noise is -0.1, expected a number from 0 on"),
        ("HalfCheetahHardware", {"obs_bias": -1}, "obs_bias is -1, expected a number from 0 on"),
        ("HalfCheetahHardware", {"action_delay": -1}, "action_delay is -1, expected 0 or 1 or 2 or 3"),
        ("HalfCheetahGround", {"friction": 0.0}, "friction is 0, expected a number above 0"),
        ("HalfCheetahGround", {"slope": 120.0}, "slope is 120, expected a number up to 90"),
        ("HalfCheetahLimbs", {"torso_mass": -1.0}, "torso_mass is -1, expected a number above 0"),
        ("HalfCheetahVel", {"target_velocity": 1e300}, "target_velocity is 1e+300, expected a number up to 1e+06"),
        ("HopperPacker", {"density": 0.0}, "density is 0, expected a number above 0"),
    ],
)
def test_values_that_physics_forbids_are_refused(family: str, task: dict[str, float], message: str) -> None:
    trials = make_trials(family, 1)
    with pytest.raises(TaskError) as caught:
        trials.reset(options={"task": task})
    assert str(caught.value) == f"task parameter {message}"


@pytest.mark.parametrize("name", families())
def test_all_that_families_draw_is_allowed(name: str) -> None:
    """The check of its ranges, on its robot, is part of making the env: it would raise."""
    family = make_family(name)
    env = TaskEnv(family, 1)
    env.set_tasks([family.nominal], env.all_envs)


@pytest.mark.parametrize(
    ("effect", "least"),
    [
        (ScaleBodyMass("sled"), "above 0"),
        (ScaleFriction(), "above 0"),
        (ScaleElement("dof_armature", "joint", "rail"), "above 0"),
        (ScaleDamping(), "from 0 on"),
        (ScaleFluid(), "from 0 on"),
        (OBS_NOISE.effect, "from 0 on"),
        (Slope(), "from -90 on"),
    ],
    ids=str,
)
def test_an_effect_bounds_the_range_of_every_parameter_that_has_it(effect: Effect, least: str) -> None:
    with pytest.raises(TaskError, match=rf"^task parameter value may be -100, expected a number {least}$"):
        parameter(effect, low=-100.0)
    with pytest.raises(TaskError, match=r"^task parameter value may be -100, expected"):
        parameter(effect, extrapolation=((-100.0, 0.5),))


def test_a_robot_keeps_some_of_its_own_mass() -> None:
    """The sled is of 2 kg: it may lose less than that."""
    family = sledding(parameter(LOAD, low=-1.5, high=1.0, nominal=0.0))
    env = TaskEnv(family, 1)
    env.set_tasks([{"value": -1.9}], env.all_envs)
    assert env.physics.model_field("body_mass")[0].tolist() == [0.0, pytest.approx(0.1)]
    with pytest.raises(TaskError, match=r"^task parameter value is -2, expected a number above -2$"):
        env.set_tasks([{"value": -2.0}], env.all_envs)
    with pytest.raises(TaskError, match=r"^task parameter value may be -3, expected a number above -2$"):
        TaskEnv(sledding(parameter(LOAD, low=-3.0)), 1)
    listed = sledding(parameter(LOAD, nominal=0.0), listed={"train": ((0.5,), (-2.5,)), "heldout": ((0.5,),)})
    with pytest.raises(TaskError, match=r"^task parameter value is -2.5, expected a number above -2$"):
        TaskEnv(listed, 1)


def test_what_is_at_the_edge_is_allowed() -> None:
    assert slope(90.0).check(-90.0) == -90.0
    assert parameter(OBS_NOISE.effect).check(0.0) == 0.0
    assert parameter(None, low=-1e6, high=1e6).check(1e6) == 1e6
