"""Which part of a file is the robot, whatever else stands or lies about in it."""

from pathlib import Path

import pytest
import torch

from limbshift.envs.errors import InputError
from limbshift.envs.mjcf.families import MjcfFamily
from limbshift.envs.mjcf.robot import MjcfRobot
from limbshift.envs.task_env import TaskEnv
from tests.envs.robots.own_robots import begun, written

WALKER = """
<body name="trunk" pos="0 0 .4"><freejoint/><geom type="box" size=".2 .1 .05" mass="12"/>
  <body name="leg" pos=".2 0 0"><joint name="knee" axis="0 1 0"/><geom type="capsule" size=".03" fromto="0 0 0 0 0 -.3" mass=".5"/></body>
</body>"""  # noqa: E501
STAIRS = '<body name="stairs" pos="3 0 0"><geom type="box" size=".5 .5 .1" mass="300"/></body>'
BALL = '<body name="ball" pos="3 0 .1"><freejoint/><geom size=".1" mass="40"/></body>'
MARKER = '<body name="marker" mocap="true"><geom size=".05" contype="0" conaffinity="0"/></body>'
MOTOR = '<actuator><motor name="motor" joint="knee" ctrlrange="-1 1"/></actuator>'
FLOOR = '<geom name="floor" type="plane" size="50 50 .1"/>'


def scene(*bodies: str, actuators: str = MOTOR) -> str:
    return f"<mujoco><worldbody>{''.join(bodies)}</worldbody>{actuators}</mujoco>"


@pytest.mark.parametrize("bodies", [(STAIRS, WALKER), (BALL, WALKER), (WALKER, BALL, STAIRS, MARKER)])
def test_the_robot_is_what_the_actuators_move(tmp_path: Path, bodies: tuple[str, ...]) -> None:
    robot = written(tmp_path, scene(FLOOR, *bodies))
    model = robot.model
    assert model.body(robot.root).name == "trunk"
    assert robot.travels
    assert {model.body(body).name for body in robot.mechanism.bodies} == {"trunk", "leg"}
    trunk = int(model.jnt_qposadr[model.body("trunk").jntadr[0]])
    assert robot.mechanism.hidden == (trunk, trunk + 1)
    assert [parameter.name for parameter in MjcfFamily("Limbs", robot).parameters] == ["trunk_mass", "leg_mass"]
    (load,) = MjcfFamily("Payload", robot).parameters
    assert load.description == "mass of a load on trunk"
    assert load.high == 6.25  # half of 12.5 kg
    env = begun(robot)
    env.physics.state("qpos")[0, trunk + 2] = 0.1
    env.physics.forward(env.all_envs)
    fallen = robot.fallen(env.physics)
    assert fallen is not None
    assert fallen.tolist() == [True, False]


ARM = """
<body name="table"><geom type="box" size=".1 .1 .1" mass="50"/>
  <body name="upper" pos="0 0 .2"><joint name="knee" axis="0 1 0"/><geom type="capsule" size=".03" fromto="0 0 0 .3 0 0" mass="1"/>
    <body name="lower" pos=".3 0 0"><joint name="elbow" axis="0 1 0"/><geom type="capsule" size=".03" fromto="0 0 0 .3 0 0" mass="1"/></body>
  </body>
</body>"""  # noqa: E501


def test_a_load_on_an_arm_is_on_its_last_link(tmp_path: Path) -> None:
    robot = written(tmp_path, scene(ARM, BALL, MARKER))
    assert not robot.travels
    env = TaskEnv(MjcfFamily("Payload", robot), 1)
    env.set_tasks([{"payload": 0.75}], env.all_envs)
    mass = env.physics.model_field("body_mass")[0]
    assert mass[robot.model.body("lower").id] == 1.75
    assert mass.sum() == 50 + 1 + 1.75 + 40 + float(robot.model.body("marker").mass[0])


def test_fingers_on_a_palm_are_one_robot(tmp_path: Path) -> None:
    finger = '<body name="{0}" pos="{1} 0 .2"><joint name="{0}"/><geom size=".02" mass="1"/></body>'
    fingers = "".join(finger.format(name, place) for name, place in (("a", 0.1), ("b", 0), ("c", -0.1)))
    motors = "".join(f'<motor joint="{name}" ctrlrange="-1 1"/>' for name in "abc")
    palm = f'<body name="palm"><geom size=".05"/>{fingers}</body>'
    robot = written(tmp_path, scene(palm, actuators=f"<actuator>{motors}</actuator>"))
    assert robot.model.body(robot.root).name == "palm"
    assert not robot.travels
    assert robot.mechanism.bodies == (2, 3, 4)
    assert robot.mechanism.shown == (1, 2, 3, 4)


@pytest.mark.parametrize(
    "transmission",
    ['joint="knee"', 'jointinparent="knee"', 'tendon="fixed"', 'tendon="spatial"', 'site="sole" gear="1 0 0 0 0 0"',
     'cranksite="sole" slidersite="anchor" cranklength=".5"', 'body="leg"'],
)  # fmt: skip
def test_actuators_of_every_transmission_move_the_robot(tmp_path: Path, transmission: str) -> None:
    with_site = WALKER.replace('mass=".5"/>', 'mass=".5"/><site name="sole" pos="0 0 -.3"/>')
    anchor = '<site name="anchor" pos="0 0 1"/>'
    tendons = """<tendon><fixed name="fixed"><joint joint="knee" coef="1"/></fixed>
    <spatial name="spatial"><site site="anchor"/><site site="sole"/></spatial></tendon>"""
    kind = "adhesion" if "body" in transmission else "general"
    actuators = f'{tendons}<actuator><{kind} {transmission} ctrlrange="0 1"/></actuator>'
    robot = written(tmp_path, scene(FLOOR, anchor, STAIRS, with_site, actuators=actuators))
    assert robot.model.body(robot.root).name == "trunk"


LIFT = """<body name="lift" euler="{euler}" pos="0 0 .5"><joint name="knee" type="slide" axis="1 0 0" range="-.3 .3"/>
<geom type="box" size=".1 .1 .1"/></body>"""


@pytest.mark.parametrize(
    ("euler", "travels"),
    [("0 90 0", False), ("0 0 0", True), ("0 0 180", True), ("0 0 90", False)],
    ids=["up", "along x", "against x", "along y"],
)
def test_a_slides_axis_is_seen_in_the_world(tmp_path: Path, euler: str, travels: bool) -> None:
    robot = written(tmp_path, scene(LIFT.format(euler=euler)))
    assert robot.travels == travels
    assert begun(robot).obs_dim == (1 if travels else 2)
    assert MjcfFamily("Limbs", robot).description.startswith("Run" if travels else "Hold")
    assert bool((robot.model.geom_type == 0).any()) == travels, "what is held needs no ground"


def test_a_cart_on_a_fixed_rail_travels(tmp_path: Path) -> None:
    rail = f'<body name="rail"><geom size=".05" mass="99"/>{LIFT.format(euler="0 0 0")}</body>'
    robot = written(tmp_path, scene(rail))
    assert robot.model.body(robot.root).name == "lift"
    assert robot.travels


@pytest.mark.parametrize(
    "mjcf",
    [
        "<mujoco><worldbody><geom size='.1'/><site name='s'/></worldbody>"
        "<actuator><general site='s' ctrlrange='-1 1'/></actuator></mujoco>",
        "<mujoco><worldbody><body><geom size='.1'/><site name='s'/></body></worldbody>"
        "<actuator><general site='s' ctrlrange='-1 1'/></actuator></mujoco>",
        scene(WALKER, '<site name="s"/>', actuators=MOTOR.replace("</", "<motor site='s' ctrlrange='-1 1'/></")),
    ],
    ids=["no body", "no joint", "one in vain"],
)  # fmt: skip
def test_an_actuator_that_moves_nothing_is_refused(tmp_path: Path, mjcf: str) -> None:
    with pytest.raises(InputError, match=r"moves nothing, expected one that acts on a body which a joint lets move$"):
        written(tmp_path, mjcf)


def test_the_reward_is_for_the_robots_own_way(tmp_path: Path) -> None:
    """The ball, whose joint is the first, rolls off along +x, and the robot is pushed the other way.

    What is computed of positions is a substep behind: nine of a control step's ten.
    """
    robot = written(tmp_path, scene(FLOOR, BALL, WALKER))
    env = begun(robot)
    env.physics.state("qvel")[:, 0] = 2.0
    env.physics.state("qvel")[:, 6] = -1.0
    assert env.step(torch.zeros(2, 1)).terms["run"].tolist() == pytest.approx([-0.9, -0.9], abs=1e-6)
    assert isinstance(env.robot, MjcfRobot)
