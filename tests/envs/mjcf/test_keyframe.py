"""How a robot of one's own starts: its keyframe's controls and activations, what actions do from there, the noise."""

from pathlib import Path

import mujoco
import pytest
import torch

from limbshift.envs.mjcf.families import MjcfFamily
from limbshift.envs.mjcf.robot import MjcfRobot
from limbshift.envs.task_env import TaskEnv
from tests.envs.robots.own_robots import begun, written

ARM = """
<mujoco><compiler angle="radian"/><option timestep=".005" gravity="0 0 0"/><worldbody>
  <body name="arm"><joint name="j" axis="0 1 0" range="-3 3" damping="1"/>
    <geom type="capsule" size=".03" fromto="0 0 0 .4 0 0" mass=".5"/></body>
</worldbody><actuator>{servo}</actuator>
<keyframe><key qpos="1" {key}/></keyframe></mujoco>"""
POSITION = '<position joint="j" kp="200" ctrlrange="-3 3"/>'
LAGGING = '<position joint="j" kp="200" timeconst=".5" ctrlrange="-3 3"/>'
INTEGRATING = '<intvelocity joint="j" kp="200" actrange="-3 3" ctrlrange="-1 1"/>'
AFFINE = '<general joint="j" gainprm="50" biastype="affine" biasprm="-20 -100 0" ctrlrange="-3 3"/>'
VELOCITY = '<velocity joint="j" kv="9" ctrlrange="-1 1"/>'
MOTOR = '<motor joint="j" ctrlrange="-1 1"/>'


def arm(folder: Path, servo: str, key: str = "") -> MjcfRobot:
    return written(folder, ARM.format(servo=servo, key=key))


@pytest.mark.parametrize(
    ("servo", "key", "control", "activation"),
    [
        (POSITION, "", 1.0, None),
        (POSITION, 'ctrl="0.4"', 0.4, None),
        (POSITION, 'ctrl="0"', 0.0, None),
        (LAGGING, "", 1.0, 1.0),
        (LAGGING, 'ctrl="0.4"', 0.4, 0.4),
        (LAGGING, 'ctrl="0.4" act="0.7"', 0.4, 0.7),
        (INTEGRATING, "", 0.0, 1.0),
        (INTEGRATING, 'ctrl="0" act="0.8"', 0.0, 0.8),
        (INTEGRATING, 'act="0"', 0.0, 0.0),
        (AFFINE, "", 2.4, None),  # 50 u - 20 - 100 * 1 = 0
        (VELOCITY, "", 0.0, None),
        (MOTOR, "", 0.0, None),
    ],
)
def test_what_a_keyframe_leaves_out_holds_its_pose(
    tmp_path: Path, servo: str, key: str, control: float, activation: float | None
) -> None:
    robot = arm(tmp_path, servo, key)
    assert robot.controls(torch.zeros(1, 1, dtype=torch.float64)).item() == pytest.approx(control)
    env = begun(robot)
    if activation is not None:
        assert env.physics.state("act").flatten().tolist() == pytest.approx([activation] * 2)


@pytest.mark.parametrize("servo", [POSITION, LAGGING, INTEGRATING, AFFINE])
def test_action_0_holds_the_pose(tmp_path: Path, servo: str) -> None:
    env = begun(arm(tmp_path, servo))
    for _ in range(25):
        env.step(torch.zeros(2, 1))
    assert env.physics.state("qpos").flatten().tolist() == pytest.approx([1.0, 1.0], abs=0.011)


MOCAP = """
<mujoco><equality><weld body1="hand" body2="ball"/></equality><worldbody>
  <body name="hand" mocap="true" pos="0 0 1"><geom size=".05" contype="0" conaffinity="0"/></body>
  <body name="ball"><freejoint/><geom size=".1" contype="0" conaffinity="0"/>
    <body pos=".2 0 0"><joint name="j"/><geom size=".05" contype="0" conaffinity="0"/></body></body>
</worldbody><actuator><motor joint="j" ctrlrange="-1 1"/></actuator>
<keyframe><key qpos="0 0 1.5 1 0 0 0 0" mpos=".1 .2 1.6" mquat="1 0 .5 0"/></keyframe></mujoco>"""


def test_what_moves_the_robot_by_its_place_starts_where_the_keyframe_puts_it(tmp_path: Path) -> None:
    robot = written(tmp_path, MOCAP)
    env = TaskEnv(MjcfFamily("Limbs", robot), 2)
    env.set_tasks([{}, {}], env.all_envs)
    qvel = torch.zeros(2, robot.model.nv, dtype=torch.float64)
    env.place(robot.start.like(qvel).expand(2, -1), qvel, env.all_envs)
    plain = mujoco.MjData(robot.model)
    mujoco.mj_resetDataKeyframe(robot.model, plain, 0)
    mujoco.mj_forward(robot.model, plain)
    for _ in range(5):
        env.step(torch.ones(2, 1, dtype=torch.float64))
        plain.ctrl[:] = 1
        mujoco.mj_step(robot.model, plain, robot.frame_skip)
        assert torch.equal(env.physics.state("qpos"), torch.tensor(plain.qpos).expand(2, -1))


def test_activations_start_anew_where_an_episode_begins_alone(tmp_path: Path) -> None:
    env = begun(arm(tmp_path, INTEGRATING))
    env.step(torch.ones(2, 1))
    moved = env.physics.state("act")[1].item()
    assert moved > 1.01
    env.begin_episodes(torch.tensor([True, False]))
    assert env.physics.state("act").flatten().tolist() == [1.0, moved]


@pytest.mark.parametrize("start", [-3.0, 3.0, -2.9])
def test_no_half_of_the_actions_is_dead(tmp_path: Path, start: float) -> None:
    """From -3, or next to it, to 3 in even steps; with the keyframe's control at 2.4 the halves differ."""
    robot = arm(tmp_path, POSITION, f'ctrl="{start}"')
    action = torch.tensor([[-1.0], [-0.5], [0.0], [0.5], [1.0]], dtype=torch.float64)
    assert robot.controls(action).flatten().tolist() == pytest.approx([-3, -1.5, 0, 1.5, 3])
    inside = arm(tmp_path, POSITION, 'ctrl="2.4"')
    assert inside.controls(action).flatten().tolist() == pytest.approx([-3, -0.3, 2.4, 2.7, 3])


def test_a_reversed_servo_that_integrates_starts_in_its_pose(tmp_path: Path) -> None:
    robot = arm(tmp_path, INTEGRATING.replace("joint=", 'name="servo" joint='))
    env = TaskEnv(MjcfFamily("Wiring", robot), 2)
    env.set_tasks([{}, {"servo_sign": -1}], env.all_envs)
    env.begin_episodes(env.all_envs)
    for _ in range(50):
        env.step(torch.full((2, 1), 0.5))
    straight, reversed_ = env.physics.state("qpos").flatten().tolist()
    assert straight > 1.3
    assert reversed_ - 1 == pytest.approx(1 - straight, abs=0.03)


def test_noise_is_a_small_share_of_a_joints_range(tmp_path: Path) -> None:
    """5 % of a slide's 2 mm is 0.1 mm; a hinge of 2 rad has 0.01 rad."""
    robot = written(
        tmp_path,
        """<mujoco><compiler angle="radian"/><worldbody><body><joint name="slide" type="slide" range="-.001 .001"/>
        <geom size=".1"/><body><joint name="hinge" range="-1 1"/><geom size=".1"/></body></body></worldbody>
        <actuator><motor joint="slide" ctrlrange="-1 1"/></actuator></mujoco>""",
    )
    uniform = torch.tensor([[1.0, 1.0, 0.5, 0.5], [0.0, 0.0, 0.5, 0.5]], dtype=torch.float64)
    qpos, _ = robot.initial_state(uniform)
    torch.testing.assert_close(qpos, torch.tensor([[1e-4, 0.01], [-1e-4, -0.01]], dtype=torch.float64))
