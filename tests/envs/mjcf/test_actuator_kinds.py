"""Actuators of every kind of MuJoCo: made weak or strong, reversed, silenced, or left out by name."""

from collections.abc import Sequence
from pathlib import Path

import mujoco
import pytest
import torch
from torch import Tensor

from limbshift.envs.errors import InputError
from limbshift.envs.mjcf.families import MjcfFamily
from limbshift.envs.mjcf.robot import MjcfRobot
from limbshift.envs.physics.engine import CPU
from limbshift.envs.physics.protocol import Physics
from limbshift.envs.tasks.parameter import Task
from tests.envs.robots.own_robots import written

SCENE = """
<mujoco><worldbody><geom name="floor" type="plane" size="9 9 .1"/><site name="anchor" pos="0 0 1"/>
  <body name="base"><geom type="box" size=".05 .05 .05" mass="5" contype="0" conaffinity="0"/>
    <body name="arm" pos="0 0 .1"><joint name="hip" axis="0 1 0" range="-60 60" actuatorfrcrange="{at_hip}"/>
      <geom type="capsule" size=".02" fromto="0 0 0 .4 0 0" mass=".5" contype="0" conaffinity="0"/>
      <body name="sole" pos=".4 0 0"><joint name="lift" type="slide" axis="0 0 1" range="-.2 .1"/>
        <geom name="pad" size=".03" mass=".1"/><site name="tip"/></body></body></body>
</worldbody>
<tendon><spatial name="cable"><site site="anchor"/><site site="tip"/></spatial>
  <fixed name="coupling"><joint joint="hip" coef="1"/><joint joint="lift" coef="2"/></fixed></tendon>
<actuator>{actuator}</actuator></mujoco>"""
KINDS = {
    "motor": '<motor joint="hip" gear="3" ctrlrange="-1 1"/>',
    "motor with a limit": '<motor joint="hip" gear="3" ctrlrange="-1 1" forcelimited="true" forcerange="-.2 .2"/>',
    "motor on a tendon": '<motor tendon="coupling" gear="3" ctrlrange="-1 1"/>',
    "motor on a site": '<motor site="tip" refsite="anchor" gear="1 2 3 .1 .2 .3" ctrlrange="-1 1"/>',
    "position": '<position joint="hip" kp="30" kv="2" ctrlrange="-1 1"/>',
    "position that lags": '<position joint="hip" kp="30" timeconst=".1" ctrlrange="-1 1"/>',
    "position with a limit": '<position joint="hip" kp="30" ctrlrange="-1 1" forcerange="-.5 .4"/>',
    "velocity": '<velocity joint="hip" kv="4" ctrlrange="-1 1"/>',
    "intvelocity": '<intvelocity joint="hip" kp="30" actrange="-1 1" ctrlrange="-1 1"/>',
    "damper": '<damper joint="hip" kv="4" ctrlrange="0 1"/>',
    "cylinder": '<cylinder joint="lift" timeconst=".1" area="3" bias="1 2 3" ctrlrange="-1 1"/>',
    "muscle": '<muscle tendon="cable" lengthrange=".5 1.2" ctrlrange="0 1"/>',
    "muscle of a given force": '<muscle tendon="cable" force="9" lengthrange=".5 1.2" ctrlrange="0 1"/>',
    "muscle on a joint": '<muscle joint="hip" ctrlrange="0 1"/>',
    "adhesion": '<adhesion body="sole" gain="5" ctrlrange="0 1"/>',
    "general": '<general joint="hip" gainprm="7" biastype="affine" biasprm="1 -7 -.3" ctrlrange="-1 1"/>',
    "general of affine gain": '<general joint="hip" gaintype="affine" gainprm="7 2 1" biastype="affine" '
    'biasprm="1 -7 -.3" ctrlrange="-1 1"/>',
    "slider and crank": '<motor cranksite="tip" slidersite="anchor" cranklength="2" ctrlrange="-1 1"/>',
}
LEFT_OUT = {
    "DC motor": '<dcmotor joint="hip" motorconst=".05" resistance="1" ctrlrange="-1 1"/>',
}


def robot_of(folder: Path, actuator: str, at_hip: str = "-99 99") -> MjcfRobot:
    return written(folder, SCENE.format(actuator=actuator, at_hip=at_hip))


def forces(robot: MjcfRobot, kind: str, tasks: Sequence[Task]) -> Tensor:
    """(tasks, nv) forces of the actuators in the same state: moving, in contact, at 0.7 of the command."""
    physics = simulated(robot, MjcfFamily(kind, robot), tasks)
    every = torch.ones(len(tasks), dtype=torch.bool)
    physics.reset(every)
    physics.state("qpos")[:] = torch.tensor([0.1, -0.081], dtype=torch.float64)  # with the pad 2 mm in the floor
    physics.state("qvel")[:] = torch.tensor([-0.7, 0.4], dtype=torch.float64)
    physics.state("ctrl")[:] = 0.7
    if robot.model.na:
        physics.state("act")[:] = 0.6
    physics.forward(every)
    return physics.computed_field("qfrc_actuator").clone()


def simulated(robot: MjcfRobot, family: MjcfFamily, tasks: Sequence[Task]) -> Physics:
    """Simulations of these tasks."""
    rows = torch.tensor([family.task_space.row(task) for task in tasks], dtype=torch.float64)
    physics = CPU.simulate(robot.model, len(rows), family.model_fields, computed_fields=("qfrc_actuator",))
    family.apply(physics, rows, torch.ones(len(rows), dtype=torch.bool))
    return physics


@pytest.mark.parametrize("kind", KINDS)
def test_a_strength_multiplies_the_force(tmp_path: Path, kind: str) -> None:
    factors = (1.0, 0.25, 0.5, 2.0)
    found = forces(robot_of(tmp_path, KINDS[kind]), "Motors", [{"motor_strength": factor} for factor in factors])
    assert found[0].abs().max() > 1e-3
    expected = torch.tensor(factors, dtype=torch.float64).unsqueeze(-1) * found[0]
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-15)


def test_nominal_forces_are_the_files_own(tmp_path: Path) -> None:
    for name, actuator in KINDS.items():
        robot = robot_of(tmp_path, actuator)
        plain = mujoco.MjModel.from_xml_string(SCENE.format(actuator=actuator, at_hip="-99 99"))
        data = mujoco.MjData(plain)
        data.qpos[:], data.qvel[:], data.ctrl[:], data.act[:] = (0.1, -0.081), (-0.7, 0.4), 0.7, 0.6
        mujoco.mj_forward(plain, data)
        found = forces(robot, "Motors", [{}])[0]
        assert torch.equal(found, torch.tensor(data.qfrc_actuator)), name


def test_the_limit_of_a_joint_is_multiplied_too(tmp_path: Path) -> None:
    """A motor of 3 N m at 0.7, on a joint that takes 1 N m."""
    robot = robot_of(tmp_path, KINDS["motor"], at_hip="-1 1")
    found = forces(robot, "Motors", [{}, {"motor_strength": 0.5}, {"motor_strength": 2.0}])
    assert found[:, 0].tolist() == [1.0, 0.5, 2.0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_dead_motor_gives_nothing(tmp_path: Path, kind: str) -> None:
    found = forces(robot_of(tmp_path, KINDS[kind]), "Motors", [{"dead_motor": 1}, {}])
    assert found[0].abs().max() == 0
    assert found[1].abs().max() > 0


@pytest.mark.parametrize("kind", ["muscle", "muscle on a joint"])
def test_a_heavier_limb_has_the_same_muscle(tmp_path: Path, kind: str) -> None:
    found = forces(robot_of(tmp_path, KINDS[kind]), "Limbs", [{}, {"arm_mass": 2.25, "sole_mass": 2.0}])
    torch.testing.assert_close(found[1], found[0], rtol=1e-12, atol=0)


def test_what_cannot_be_scaled_is_left_out_by_name(tmp_path: Path) -> None:
    robot = robot_of(tmp_path, LEFT_OUT["DC motor"] + KINDS["motor"].replace("<motor", '<motor name="plain"'))
    family = MjcfFamily("Motors", robot)
    assert family.left_out == ("hip_1",)
    assert family.parameters[1].description == "which motor is dead: 0 none, 1 plain"
    both, alone = forces(robot, "Motors", [{}, {"dead_motor": 1}])
    assert (both - alone)[0] == pytest.approx(2.1)  # 3 N m at 0.7
    with pytest.raises(InputError, match=r"of robot robot \(hip_1\), expected one of Limbs, Payload, Ground, Wiring$"):
        MjcfFamily("Motors", robot_of(tmp_path, LEFT_OUT["DC motor"]))


REVERSED = {
    # By 0.7 at 3 N m.
    "motor": -2.1,
    # kp (c' - q) - kv q', where 0.7 is mirrored to -0.7: 30 * (-0.7 - 0.1) + 2 * 0.7
    "position": -22.6,
    # kv (c' - q'): 4 * (-0.7 + 0.7)
    "velocity": 0.0,
    # kp (2 a0 - a - q): 30 * (-0.6 - 0.1)
    "intvelocity": -21.0,
}


@pytest.mark.parametrize("kind", REVERSED)
def test_wiring_reverses_commands(tmp_path: Path, kind: str) -> None:
    robot = robot_of(tmp_path, KINDS[kind].replace("joint=", 'name="it" joint=', 1))
    assert forces(robot, "Wiring", [{"it_sign": -1}])[0, 0].item() == pytest.approx(REVERSED[kind], abs=1e-12)
    straight, plain = forces(robot, "Wiring", [{"it_sign": 1}])[0], forces(robot, "Motors", [{}])[0]
    assert torch.equal(straight, plain)


def test_what_a_fixed_gain_ignores_is_no_feedback(tmp_path: Path) -> None:
    servo = '<general name="it" joint="hip" gainprm="{}" biastype="affine" biasprm="0 -20 -.5" ctrlrange="0 1"/>'
    found = [forces(robot_of(tmp_path, servo.format(gain)), "Wiring", [{"it_sign": -1}]) for gain in ("20", "20 7 5")]
    assert torch.equal(*found)


def test_a_servo_of_a_symmetrical_range_keeps_its_feedback_bit_for_bit(tmp_path: Path) -> None:
    robot = robot_of(tmp_path, '<position name="it" joint="hip" kp="30.1" kv="2.3" ctrlrange="-.7 .7"/>')
    physics = simulated(robot, MjcfFamily("Wiring", robot), [{"it_sign": -1}])
    assert torch.equal(physics.model_field("actuator_biasprm")[0], physics.nominal("actuator_biasprm"))
    assert torch.equal(physics.model_field("actuator_gainprm")[0], -physics.nominal("actuator_gainprm"))


def test_a_servo_of_a_one_sided_range_is_mirrored_in_it(tmp_path: Path) -> None:
    """0.7 of the range 0.2 to 1.0 is mirrored to 0.5: 30 * (0.5 - 0.1) + 2 * 0.7 N m."""
    servo = '<position name="it" joint="hip" kp="30" kv="2" ctrlrange=".2 1"/>'
    assert forces(robot_of(tmp_path, servo), "Wiring", [{"it_sign": -1}])[0, 0].item() == pytest.approx(13.4)


def test_a_motor_that_pushes_one_way_is_reversed_with_its_limits(tmp_path: Path) -> None:
    motor = '<motor name="it" joint="hip" gear="3" ctrlrange="0 1" forcerange="0 .5"/>'
    assert forces(robot_of(tmp_path, motor), "Wiring", [{"it_sign": -1}, {}])[:, 0].tolist() == [-1.5, 1.5]


@pytest.mark.parametrize("kind", ["muscle", "damper", "adhesion"])
def test_what_cannot_be_reversed_is_left_out(tmp_path: Path, kind: str) -> None:
    actuators = KINDS[kind].replace(f"<{kind}", f'<{kind} name="it"') + KINDS["velocity"]
    family = MjcfFamily("Wiring", robot_of(tmp_path, actuators))
    assert family.left_out == ("it",)
    assert [parameter.name for parameter in family.parameters] == ["hip_2_sign"]


PAIRED = """
<mujoco><option cone="elliptic" impratio="10"/><worldbody><geom name="floor" type="plane" size="9 9 .1"/>
  <body name="sled" pos="0 0 .02"><freejoint/>
    <geom name="box" type="box" size=".2 .2 .02" mass="10" contype="0" conaffinity="0"/>
    <body name="arm"><joint name="hip" axis="0 1 0"/><geom size=".01" mass=".1" contype="0"/></body></body>
</worldbody><contact><pair geom1="floor" geom2="box" friction=".4 .4 .005 .0001 .0001"/></contact>
<actuator><motor joint="hip" ctrlrange="-1 1"/></actuator></mujoco>"""


def test_the_friction_of_pairs_is_scaled(tmp_path: Path) -> None:
    """A sled slows down by mu g t: in 0.1 s by 0.3924 m/s where mu is 0.4, by 0.1962 where it is 0.2."""
    robot = written(tmp_path, PAIRED)
    family = MjcfFamily("Ground", robot)
    physics = simulated(robot, family, [{}, {"friction": 0.5}])
    physics.reset(torch.ones(2, dtype=torch.bool))
    assert physics.model_field("pair_friction")[1, 0].tolist() == [0.2, 0.2, 0.005, 0.0001, 0.0001]
    physics.state("qvel")[:, 0] = 3.0
    physics.step(50)  # until its contacts have settled
    before = physics.state("qvel")[:, 0].clone()
    physics.step(50)
    assert (before - physics.state("qvel")[:, 0]).tolist() == pytest.approx([0.3924, 0.1962], rel=0.1)
