"""What tasks change in a robot's model, against worked numbers and against models that were written so."""

import copy
from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
import pytest
import torch

from limbshift.envs.catalogue import make_family
from limbshift.envs.errors import InputError
from limbshift.envs.family import Robot
from limbshift.envs.mjcf.robot import MjcfRobot
from limbshift.envs.task_env import TaskEnv
from limbshift.envs.tasks.effects import ScaleBodyMass, Slope
from limbshift.envs.tasks.motor_effects import ReverseCommands, ScaleActuators, ScaleMotors
from limbshift.envs.tasks.parameter import ModelEffect, TaskParameter
from limbshift.envs.tasks.task_space import TaskSpace


@pytest.mark.parametrize(
    ("family", "parameter", "geom", "hanging"),
    [("InvertedPendulumBody", "pole_length", "cpole", None), ("ReacherLimbs", "upper_length", "link0", "body1")],
)
def test_a_longer_capsule_is_the_one_that_would_be_compiled(
    family: str, parameter: str, geom: str, hanging: str | None
) -> None:
    env = TaskEnv(make_family(family), 1)
    env.set_tasks([{parameter: 1.5}], env.all_envs)
    spec, nominal = mujoco.MjSpec.from_file(str(env.robot.xml)), env.robot.model
    longer = spec.geom(geom)
    longer.mass = nominal.body_mass[nominal.geom(geom).bodyid[0]]
    longer.fromto[:] *= 1.5
    if hanging:
        spec.body(hanging).pos[:] *= 1.5
    written, edited = spec.compile(), env.physics.snapshot(0)[0]
    fields = ("geom_size", "geom_pos", "body_ipos", "body_pos", "body_inertia", "body_mass", "dof_invweight0", "dof_M0")
    for field in fields:
        np.testing.assert_allclose(
            getattr(edited, field), getattr(written, field), rtol=1e-9, atol=1e-12, err_msg=field
        )


def test_each_element_is_what_mujoco_derives_from_an_edited_model() -> None:
    env = TaskEnv(make_family("Walker2dRandParams", "varibad"), 1)
    env.begin_tasks(env.all_envs)
    edited = env.physics.snapshot(0)[0]
    expected, data = copy.copy(env.robot.model), mujoco.MjData(env.robot.model)
    task = {name: value.item() for name, value in env.task.items()}
    for body in ("torso", "thigh", "leg", "foot", "thigh_left", "leg_left", "foot_left"):
        row = expected.body(body).id
        expected.body_mass[row] *= task[f"{body}_mass"]
        expected.body_inertia[row] *= task[f"{body}_inertia"]
        if "foot" in body:
            expected.geom_friction[expected.geom(f"{body}_geom").id, 0] *= task[f"{body}_friction"]
        if body != "torso":
            expected.dof_damping[expected.joint(f"{body}_joint").dofadr[0]] *= task[f"{body}_joint_damping"]
    mujoco.mj_setConst(expected, data)
    for name in ("body_mass", "body_inertia", "geom_friction", "dof_damping", "body_subtreemass", "dof_invweight0"):
        np.testing.assert_allclose(getattr(edited, name), getattr(expected, name), rtol=1e-12, err_msg=name)
    assert len(task) == 7 * 2 + 2 + 6


@pytest.mark.parametrize(
    ("effect", "message"),
    [
        (ScaleBodyMass("torse"), "^the robot has no body 'torse': did you mean 'torso'\\?$"),
        (ScaleMotors(("bfot",)), "^the robot has no joint 'bfot': did you mean 'bfoot'\\?$"),
        (ScaleMotors(("rootx",)), "^no actuator moves the joint 'rootx', expected one that is driven$"),
        (ScaleActuators(("fhin",)), "^the robot has no actuator 'fhin': did you mean 'fshin'\\?$"),
    ],
)
def test_a_name_that_is_not_there_is_refused_with_the_nearest(effect: ModelEffect, message: str) -> None:
    family = make_family("HalfCheetahLimbs")
    family.parameters = (replace(family.parameters[0], effect=effect),)
    family.task_space = TaskSpace(family.parameters)
    env = TaskEnv(family, 1)
    with pytest.raises(InputError, match=message):
        env.begin_tasks(env.all_envs)


# On a slope of 30 degrees gravity pulls back by 9.81 sin 30 = 4.905 and down by 9.81 cos 30 = 8.4957 m/s^2.
def test_uphill_gravity_pulls_back() -> None:
    env = TaskEnv(make_family("HalfCheetahGround"), 1)
    env.set_tasks([{"slope": 30.0, "friction": 0.5}], env.all_envs)
    expected = torch.tensor([-4.905, 0.0, -8.4957], dtype=torch.float64)
    torch.testing.assert_close(env.physics.model_field("opt.gravity")[0], expected, atol=1e-4, rtol=0)
    assert env.physics.model_field("geom_friction")[0, :, 0].tolist() == [0.2] * 9  # half of 0.4, floor and eight geoms


def test_gravity_of_any_direction_is_turned() -> None:
    family = make_family("HalfCheetahGround")
    env, down = TaskEnv(family, 4), family.robot.model.opt.gravity.tolist()
    gravity = torch.tensor([[3.0, 1.0, -9.0], [-9.81, 0.0, 0.0], [3.0, 1.0, -9.0], down], dtype=torch.float64)
    slopes = torch.tensor([30.0, 90.0, 0.0, 30.0], dtype=torch.float64)
    field = env.physics.model_field("opt.gravity")
    field.copy_(gravity)
    Slope().apply(env.physics, slopes, env.all_envs)
    sine, cosine = 0.5, 0.75**0.5
    turned = torch.tensor([3 * cosine - 9 * sine, 1.0, -9 * cosine - 3 * sine], dtype=torch.float64)
    torch.testing.assert_close(field[0], turned)
    torch.testing.assert_close(field[1], torch.tensor([0.0, 0.0, 9.81], dtype=torch.float64))
    assert torch.equal(field[2], gravity[2])
    angle = slopes[3].deg2rad()
    assert field[3].tolist() == [float(down[2] * angle.sin()), 0.0, float(down[2] * angle.cos())]


def test_a_reversed_motor_turns_its_joint_the_other_way() -> None:
    family = make_family("HalfCheetahWiring")
    env = TaskEnv(family, 2)
    env.set_tasks([{}, {"fthigh_sign": -1}], env.all_envs)
    env.begin_episodes(env.all_envs)
    assert env.physics.model_field("actuator_gear")[:, :, 0].tolist() == [
        [120, 90, 60, 120, 60, 30],
        [120, 90, 60, -120, 60, 30],
    ]


def test_a_mass_factor_scales_one_body() -> None:
    family = make_family("HalfCheetahLimbs")
    env = TaskEnv(family, 1)
    env.set_tasks([{"bshin_mass": 3.0, "torso_mass": 0.5}], env.all_envs)
    for name in ("body_mass", "body_inertia"):
        ratio = (env.physics.model_field(name)[0] / env.physics.nominal(name))[1:]
        expected = [3.0 if body == "bshin" else 0.5 if body == "torso" else 1.0 for body in body_names(family.robot)]
        torch.testing.assert_close(ratio.reshape(7, -1)[:, 0].tolist(), expected)
    model = env.physics.snapshot(0)[0]
    assert model.body_subtreemass[0] == pytest.approx(float(env.physics.model_field("body_mass").sum()))


def body_names(robot: Robot) -> list[str]:
    return [robot.model.body(number).name for number in range(1, robot.model.nbody)]


def test_a_dead_leg_has_two_dead_motors() -> None:
    env = TaskEnv(make_family("AntCrippled"), 1)
    env.set_tasks([{"back_right_alive": 0.0}], env.all_envs)
    # The XML orders its motors from the fourth leg: hip 4, ankle 4, hip 1, ...
    assert env.physics.model_field("actuator_gear")[0, :, 0].tolist() == [0, 0, 150, 150, 150, 150, 150, 150]


def test_an_ants_leg_is_three_bodies() -> None:
    env = TaskEnv(make_family("AntLimbs"), 1)
    env.set_tasks([{"back_left_leg_mass": 2.0}], env.all_envs)
    ratio = env.physics.model_field("body_mass")[0, 1:] / env.physics.nominal("body_mass")[1:]
    # Torso, then the bodies of the front left, front right, back left and back right leg.
    torch.testing.assert_close(ratio.tolist(), [1.0] * 7 + [2.0] * 3 + [1.0] * 3)


ARM = """
<mujoco>
  <worldbody>
    <body name="arm"><joint name="hip" axis="0 1 0"/><geom size="0.1"/></body>
  </worldbody>
  <actuator>
    <position name="servo" joint="hip" kp="10" ctrlrange="0 1"/>
    <motor name="push" joint="hip" ctrlrange="-1 1"/>
  </actuator>
</mujoco>
"""


def arm_with(*effects: ModelEffect, xml: str, at: Path) -> TaskEnv:
    """One simulation of an arm whose parameters have these effects, all of them on."""
    (at / "arm.xml").write_text(xml)
    family = make_family("HalfCheetahLimbs")
    family.robot = MjcfRobot.from_xml(str(at / "arm.xml"))
    template = TaskParameter("factor", -1.0, 1.0, "factor")
    family.parameters = tuple(replace(template, name=f"p{n}", effect=effect) for n, effect in enumerate(effects))
    family.task_space = TaskSpace(family.parameters)
    return TaskEnv(family, 1)


def test_a_servo_that_is_weak_and_reversed_is_the_same_in_either_order(tmp_path: Path) -> None:
    weak, reversed_ = ScaleActuators(("servo",)), ReverseCommands(("servo",))
    fields = []
    for effects, task in (((weak, reversed_), {"p0": 0.5, "p1": -1.0}), ((reversed_, weak), {"p0": -1.0, "p1": 0.5})):
        env = arm_with(*effects, xml=ARM, at=tmp_path)
        env.set_tasks([task], env.all_envs)
        fields.append([env.physics.model_field(f"actuator_{kind}prm")[0, 0, :3].tolist() for kind in ("gain", "bias")])
    # force = 5 (2 * 0.5 - command) - 5 q: half of kp, about the middle of the range
    assert fields == [[[-5.0, 0.0, 0.0], [5.0, -5.0, 0.0]]] * 2


def test_all_motors_of_a_joint_are_scaled_and_a_servo_is_refused(tmp_path: Path) -> None:
    weak, half = ScaleMotors(("hip",)), {"p0": 0.5}
    env = arm_with(weak, xml=ARM, at=tmp_path)
    with pytest.raises(InputError, match="the joint 'hip' is moved by a servo, expected a motor: ScaleActuators and"):
        env.set_tasks([half], env.all_envs)
    two = ARM.replace(
        '<position name="servo" joint="hip" kp="10" ctrlrange="0 1"/>', '<motor joint="hip" gear="3" ctrlrange="0 1"/>'
    )
    env = arm_with(weak, xml=two, at=tmp_path)
    env.set_tasks([half], env.all_envs)
    assert env.physics.model_field("actuator_gear")[0, :, 0].tolist() == [1.5, 0.5]
