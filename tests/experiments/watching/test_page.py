"""What stands beside the robot, without a browser."""

from unittest.mock import MagicMock

import numpy as np
import pytest

from limbshift.envs.catalogue import families, make_family
from limbshift.envs.rendering import NEUTRAL
from limbshift.envs.task_env import TaskEnv
from limbshift.envs.tasks.common import HEADING, TARGET_VELOCITY, factor
from limbshift.envs.tasks.effects import ScaleFriction
from limbshift.envs.tasks.parameter import TaskParameter
from limbshift.experiments.runs.controllers import load_with_family
from limbshift.experiments.watching.live_trial import LiveTrial
from limbshift.experiments.watching.page import Curve, curve_of, guess_table, reach, returns_table, strip
from limbshift.experiments.watching.scene import Pose, Scene, body_mesh

STEP = 0.05
"""Seconds of a control step of HalfCheetah."""


@pytest.fixture
def live() -> LiveTrial:
    return LiveTrial(*load_with_family("HalfCheetahWiring"))


def test_the_curve_is_of_rewards_per_second_up_to_now(live: LiveTrial) -> None:
    live.rewards.extend([1.0, 3.0, 5.0, 7.0])
    live.steps = 4
    live.changes, live.wipes = [1], [3]
    curve = curve_of(live)
    # 20 s are 400 steps, and 200 points: two steps for each.
    np.testing.assert_allclose(curve.rate, [2.0 / STEP, 6.0 / STEP])
    np.testing.assert_allclose(curve.seconds, [-2 * STEP, 0.0])
    assert curve.changed.tolist() == [True, False]
    assert curve.wiped.tolist() == [False, True]


def test_marks_lie_at_the_bottom_and_out_of_sight_where_there_are_none() -> None:
    curve = Curve(np.array([-1.0, 0.0]), np.array([0.0, 10.0]), np.array([True, False]), np.array([False, False]))
    (_, rate, changed, wiped), (low, high) = curve.rows()
    assert low < rate.min() <= rate.max() < high
    assert low < changed[0] < rate.min()
    assert max(changed[1], *wiped) < low


@pytest.mark.parametrize(("name", "neutral"), [("HalfCheetahGround", False), ("HalfCheetahLimbs", True)])
def test_bodies_keep_their_colours_where_no_parameter_tells_by_them(name: str, neutral: bool) -> None:
    """Friction and slope change the model, but no body that would show it."""
    env, server = TaskEnv(make_family(name), 1), MagicMock()
    Scene(server, env.family).build(env.physics, env.family.nominal)
    env.close()
    colors = {call.kwargs["color"] for call in server.scene.add_mesh_simple.call_args_list}
    assert (colors == {tuple(round(255 * part) for part in NEUTRAL)}) == neutral


def test_the_strip_is_white_where_nothing_is_remembered() -> None:
    assert (strip(np.zeros(128, dtype=np.float32)) == 255).all()
    picture = strip(np.array([1.0, -1.0, 0.0, 5.0], dtype=np.float32))
    red, blue, white, clipped = (picture[5, 5 + 18 * place].tolist() for place in range(4))
    assert red == clipped
    assert red[0] > red[2]
    assert blue[2] > blue[0]
    assert white == [255, 255, 255]


def test_returns_are_numbered_as_episodes_are(live: LiveTrial) -> None:
    live.steps = 200 * 9 + 5
    live.returns.clear()
    live.returns.extend([3.0] * 7 + [4.4])
    told = returns_table(live)
    assert told.startswith("Return by episode: 3: **3**")
    assert told.endswith("10: **4**")


def test_beliefs_are_told_beside_the_truth_or_why_they_are_not(live: LiveTrial) -> None:
    assert "holds no head" in guess_table(live.family, live)


@pytest.mark.parametrize(
    ("parameter", "ends"),
    [
        (TARGET_VELOCITY, (0.0, 4.0, 0.01)),
        (HEADING, (-180.0, 180.0, 1.0)),
        (TaskParameter("speed", 1.0, 1.0, "always the same"), (1.0, 2.0, 0.01)),
        (
            factor("grip", 0.5, 2.0, description="", effect=ScaleFriction(), extrapolation=((0.2, 0.5),)),
            (0.2, 2.0, 0.01),
        ),
    ],
)
def test_sliders_reach_as_far_as_extrapolation(parameter: TaskParameter, ends: tuple[float, float, float]) -> None:
    assert reach(parameter) == ends


ROBOTS = {make_family(name).robot.name: name for name in families()}


@pytest.mark.parametrize("name", sorted(ROBOTS.values()))
def test_each_robots_meshes_are_where_its_geoms_are(name: str) -> None:
    """MuJoCo's bounding sphere of each geom touches the box around its body's mesh."""
    model = make_family(name).robot.model
    seen = 0
    for body in range(1, model.nbody):
        mesh = body_mesh(model, body)
        if mesh is None:
            continue
        seen += 1
        low, high = mesh.bounds
        geoms = np.flatnonzero((model.geom_bodyid == body) & (model.geom_group < 3) & (model.geom_rgba[:, 3] > 0))
        reach = np.array([model.geom_pos[geom] + sign * model.geom_rbound[geom] for geom in geoms for sign in (-1, 1)])
        assert (low >= reach.min(axis=0) - 1e-6).all()
        assert (high <= reach.max(axis=0) + 1e-6).all()
        assert (high - low).max() > 0.5 * model.geom_rbound[geoms].max()
    assert seen


def test_a_pose_halfway_between_two_takes_the_shorter_way_round() -> None:
    """Two turns about z, by 0 and by 90 degrees; the second is told by minus its quaternion, which is the same turn."""
    middle = np.zeros(3)
    first = Pose(np.zeros((1, 3)), np.array([[1.0, 0.0, 0.0, 0.0]]), middle)
    second = Pose(np.ones((1, 3)), -np.array([[2**-0.5, 0.0, 0.0, 2**-0.5]]), middle)
    between = first.towards(second, 0.5)
    expected = np.array((np.cos(np.pi / 8), 0.0, 0.0, np.sin(np.pi / 8)))
    np.testing.assert_allclose(np.abs(between.quaternion[0] @ expected), 1.0)
    np.testing.assert_allclose(between.position, np.full((1, 3), 0.5))


def test_points_in_a_body_and_in_the_world() -> None:
    """The body stands at (1, 0, 0), turned by 90 degrees about z: ahead of it is along y."""
    pose = Pose(np.array([[1.0, 0.0, 0.0]]), np.array([[2**-0.5, 0.0, 0.0, 2**-0.5]]), np.zeros(3))
    world = pose.from_body(0, np.array((2.0, 0.0, 0.0)))
    np.testing.assert_allclose(world, (1.0, 2.0, 0.0), atol=1e-12)
    np.testing.assert_allclose(pose.into_body(0, world), (2.0, 0.0, 0.0), atol=1e-12)
