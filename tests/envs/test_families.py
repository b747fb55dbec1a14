"""Every registered family, and every parameter of each, against the unmodified robot and worked numbers."""

import itertools
import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import mujoco
import numpy as np
import pytest
import torch
from gymnasium.envs.mujoco.half_cheetah_v5 import HalfCheetahEnv
from torch import Tensor

import envs.robots  # noqa: F401  registers the families
from envs.family import FamilyError, Motion, Robot, TaskFamily, families, make_family
from envs.parameters import TaskParameter
from envs.physics import MujocoPhysics
from envs.robots.half_cheetah import HELDOUT_WIRINGS, all_wirings, wiring
from envs.task_env import TaskEnv
from tests.envs.sled import Sledding

STEPS = 20
FAMILIES = tuple(make_family(name, variant) for name in families() for variant in make_family(name).variants)
PARAMETERS = tuple((family, parameter) for family in FAMILIES for parameter in family.parameters)
GOALS = tuple((family, parameter) for family, parameter in PARAMETERS if parameter.effect is None)


def family_id(value: object) -> str | None:
    if isinstance(value, TaskFamily):
        return f"{value.name}-{value.variant}"
    return value.name if isinstance(value, TaskParameter) else None


every_family = pytest.mark.parametrize("family", FAMILIES, ids=family_id)
every_goal = pytest.mark.parametrize(("family", "parameter"), GOALS, ids=family_id)
every_parameter = pytest.mark.parametrize(("family", "parameter"), PARAMETERS, ids=family_id)


class Rollout(NamedTuple):
    """What 20 random actions did, each (T, N, ...)."""

    qpos: Tensor
    qvel: Tensor
    obs: Tensor
    reward: Tensor


def rollout(env: TaskEnv, steps: int = STEPS) -> Rollout:
    """From each robot's default state, so that only the task can make a difference; the same actions for all."""
    generator = torch.Generator().manual_seed(7)
    env.begin_episodes(env.every)
    env.physics.reset(env.every)
    env.family.place_goal(env.physics, env.task, env.every)
    env.physics.forward(env.every)
    rows = []
    for _ in range(steps):
        action = 2 * torch.rand(env.action_dim, generator=generator, dtype=torch.float64) - 1
        reward = env.step(action.expand(env.num_envs, -1)).reward
        rows.append((env.physics.state("qpos").clone(), env.physics.state("qvel").clone(), env.observe(), reward))
    return Rollout(*(torch.stack(column) for column in zip(*rows, strict=True)))


def same(first: Rollout, second: Rollout) -> bool:
    return all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


def other_values(parameter: TaskParameter) -> list[float]:
    """Values that are not the nominal one, over the parameter's range."""
    grid = parameter.choices or tuple(parameter.low + share * (parameter.high - parameter.low) for share in (0, 0.3, 1))
    return [value for value in grid if value != parameter.nominal]


@every_family
def test_a_family_says_what_it_is(family: TaskFamily) -> None:
    assert family.description.endswith(".")
    assert family.reward.__doc__
    assert len(set(family.tasks.names)) == len(family.parameters)
    assert all(parameter.description for parameter in family.parameters)
    assert make_family(family.name).variant == "default"


@every_family
def test_nominal_is_the_unmodified_robot_bit_for_bit(family: TaskFamily) -> None:
    env = TaskEnv(family, 2)
    env.set_tasks([family.nominal, {}], env.every)
    env.begin_episodes(env.every)
    model, start = family.robot.model, torch.cat([env.physics.state("qpos"), env.physics.state("qvel")], dim=1)
    actions = 2 * torch.rand(STEPS, 2, env.action_dim, generator=torch.Generator().manual_seed(0)) - 1
    for action in actions:
        env.step(action)
    for sim in range(2):
        data = mujoco.MjData(model)
        data.qpos[:], data.qvel[:] = np.split(start[sim].numpy(), [model.nq])
        for action in actions[:, sim]:
            data.ctrl[:] = action.numpy()
            mujoco.mj_step(model, data, family.robot.frame_skip)
        assert np.array_equal(env.physics.state("qpos")[sim], data.qpos)
        assert np.array_equal(env.physics.state("qvel")[sim], data.qvel)
    plain, edited = MujocoPhysics(model, 1).snapshot(0)[0], env.physics.snapshot(0)[0]
    for name in ("body_mass", "body_inertia", "body_subtreemass", "dof_invweight0", "actuator_gear", "actuator_acc0"):
        assert np.array_equal(getattr(edited, name), getattr(plain, name)), name


def test_half_cheetah_is_gymnasiums() -> None:
    gym = HalfCheetahEnv()
    gym.reset(seed=0)
    env = TaskEnv(make_family("HalfCheetahLimbs"), 1)
    env.set_tasks([{}], env.every)
    env.begin_episodes(env.every)
    for name in ("qpos", "qvel"):
        env.physics.state(name)[0] = torch.from_numpy(getattr(gym.data, name))
    env.physics.forward(env.every)
    for action in np.random.default_rng(0).uniform(-1, 1, (STEPS, 6)):
        obs, _, _, _, info = gym.step(action)
        reward = env.step(torch.from_numpy(action).unsqueeze(0)).reward
        assert np.array_equal(env.observe()[0], obs.astype(np.float32))
        assert reward.item() == pytest.approx(info["x_velocity"] - 0.05 * (action**2).sum())
    gym.close()


@every_parameter
def test_each_parameter_changes_the_motion(family: TaskFamily, parameter: TaskParameter) -> None:
    values = other_values(parameter)
    env = TaskEnv(family, len(values) + 1)
    env.set_tasks([{}, *({parameter.name: value} for value in values)], env.every)
    result = rollout(env, steps=family.horizon)
    if parameter.effect is None:
        assert (result.reward[:, 1:] != result.reward[:, :1]).any(), "no value of the goal changes the reward"
    else:
        assert (result.obs[:, 1:] != result.obs[:, :1]).any(dim=-1).all(dim=-1)[5:].all(), "a value has no effect"


@every_goal
def test_goals_leave_the_motion_alone(family: TaskFamily, parameter: TaskParameter) -> None:
    values = other_values(parameter)
    env = TaskEnv(family, len(values) + 1)
    env.set_tasks([{}, *({parameter.name: value} for value in values)], env.every)
    obs = rollout(env).obs
    assert torch.equal(obs, obs[:, :1].expand_as(obs)), "the goal can be seen"


@every_parameter
def test_edits_never_compound(family: TaskFamily, parameter: TaskParameter) -> None:
    changed = {parameter.name: other_values(parameter)[-1]}
    once, again = TaskEnv(family, 1), TaskEnv(family, 1)
    for env, times in ((once, 1), (again, 3)):
        for _ in range(times):
            env.set_tasks([changed], env.every)
    for name in family.fields:
        assert torch.equal(once.physics.parameter(name), again.physics.parameter(name)), name
    assert same(rollout(once), rollout(again))


@every_parameter
def test_a_robot_set_back_to_nominal_is_unmodified(family: TaskFamily, parameter: TaskParameter) -> None:
    env = TaskEnv(family, 2)
    env.set_tasks([{}, {}], env.every)
    before = rollout(env)
    env.set_tasks([{}, {parameter.name: other_values(parameter)[-1]}], env.every)
    rollout(env)
    env.set_tasks([{}, {}], env.every)
    assert same(rollout(env), before)
    assert torch.equal(before.obs[:, 0], before.obs[:, 1])
    for name in family.fields:
        nominal = env.physics.nominal(name)
        assert torch.equal(env.physics.parameter(name), nominal.expand(2, *nominal.shape)), name


@every_parameter
def test_edits_reach_only_those_picked(family: TaskFamily, parameter: TaskParameter) -> None:
    env = TaskEnv(family, 2)
    env.set_tasks([{}, {}], env.every)
    before = rollout(env)
    env.set_tasks([{parameter.name: other_values(parameter)[-1]}] * 2, torch.tensor([False, True]))
    after = rollout(env)
    assert torch.equal(after.qvel[:, 0], before.qvel[:, 0])
    assert torch.equal(after.reward[:, 0], before.reward[:, 0])
    assert env.task[parameter.name].tolist() == [parameter.nominal, other_values(parameter)[-1]]


ACTIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "random": lambda action: action,
    "zero": torch.zeros_like,
    "extreme": torch.sign,
    "far outside": lambda action: 1e6 * action,
}


@pytest.mark.parametrize("kind", ACTIONS)
@every_family
def test_all_stays_finite(family: TaskFamily, kind: str) -> None:
    for split in family.tasks.splits:
        env = TaskEnv(family, 8, split, seed=1)
        env.begin_tasks(env.every)
        env.begin_episodes(env.every)
        generator = torch.Generator().manual_seed(2)
        for _ in range(min(family.horizon, 100)):
            step = env.step(ACTIONS[kind](2 * torch.rand(8, env.action_dim, generator=generator) - 1))
            assert not step.diverged.any()
            assert step.reward.isfinite().all()
            assert env.observe().isfinite().all()
            assert (step.action.abs() <= 1).all()


@every_family
def test_the_task_is_not_in_the_observation(family: TaskFamily) -> None:
    env = TaskEnv(family, 64)
    env.begin_tasks(env.every)
    env.begin_episodes(env.every)
    for value in env.task.values():
        assert len(value.unique()) > 1
    env.physics.reset(env.every)
    env.family.place_goal(env.physics, env.task, env.every)
    env.physics.forward(env.every)
    obs = env.observe()
    assert torch.equal(obs, obs[:1].expand_as(obs))


def sample(family: TaskFamily, split: str, count: int = 512) -> Mapping[str, Tensor]:
    env = TaskEnv(family, count, split)
    env.begin_tasks(env.every)
    return env.task


def inside(values: Tensor, low: float, high: float) -> Tensor:
    slack = 1e-12 * max(abs(low), abs(high))
    return (values >= low - slack) & (values <= high + slack)


@every_family
def test_splits_lie_where_they_should(family: TaskFamily) -> None:
    for split in family.tasks.splits:
        task = sample(family, split)
        for parameter in family.parameters:
            values = task[parameter.name]
            if parameter.choices:
                assert torch.isin(values, torch.tensor(parameter.choices, dtype=values.dtype)).all()
            elif split == "extrapolation" and parameter.extrapolation:
                found = torch.stack([inside(values, *interval) for interval in parameter.extrapolation])
                assert found.any(dim=0).all()
                assert found.any(dim=1).all(), "an interval is never drawn from"
                assert not ((values > parameter.low * (1 + 1e-9)) & (values < parameter.high * (1 - 1e-9))).any()
            else:
                assert inside(values, parameter.low, parameter.high).all()


@every_family
def test_extrapolation_lies_outside_training(family: TaskFamily) -> None:
    for parameter in family.parameters:
        for low, high in parameter.extrapolation:
            assert low < high
            assert high <= parameter.low or low >= parameter.high


@every_family
def test_values_fill_their_range_evenly(family: TaskFamily) -> None:
    task = sample(family, "train", 2000)
    for parameter in family.parameters:
        units = parameter.to_unit(task[parameter.name])
        # A mean over 2000 of numbers that lie within [-1, 1] has a deviation of at most 0.022.
        assert abs(units.mean()) < 0.09, parameter.name
        assert units.min() < -0.9
        assert units.max() > 0.9


@every_family
def test_train_and_heldout_are_disjoint_unless_nothing_can_be_held_out(family: TaskFamily) -> None:
    rows = [torch.stack(tuple(sample(family, split).values()), dim=-1).tolist() for split in ("train", "heldout")]
    train, heldout = ({tuple(row) for row in each} for each in rows)
    if family.tasks.unseen("heldout"):
        assert not train & heldout
    else:
        assert train == heldout


def test_what_can_be_held_out() -> None:
    unseen = {name: make_family(name).tasks.unseen("heldout") for name in families()}
    assert not unseen.pop("HalfCheetahDir")
    assert all(unseen.values())
    extrapolates = {name for name in families() if "extrapolation" in make_family(name).tasks.splits}
    assert extrapolates == {"HalfCheetahVel", "HalfCheetahLimbs", "HalfCheetahLimbsDir"}


def test_ranges_are_those_promised() -> None:
    limbs, both = make_family("HalfCheetahLimbs").parameters, make_family("HalfCheetahLimbsDir").parameters
    assert len(limbs) == 7
    assert len(both) == 8
    for parameter in limbs:
        assert (parameter.low, parameter.high) == pytest.approx((8 / 27, 27 / 8))
    for parameter in both[:7]:
        assert (parameter.low, parameter.high) == pytest.approx((4 / 9, 9 / 4))
        assert parameter.extrapolation[0] == pytest.approx((8 / 27, 4 / 9))
        assert parameter.extrapolation[1] == pytest.approx((9 / 4, 27 / 8))
    (speed,) = make_family("HalfCheetahVel").parameters
    assert (speed.low, speed.high, speed.unit) == (0.0, 3.0, "m/s")


def test_reacher_targets_lie_in_a_disc_within_reach() -> None:
    task = sample(make_family("ReacherGoal"), "train", 2000)
    radius = torch.hypot(task["goal_x"], task["goal_y"])
    assert 0.19 < radius.max() <= 0.2


def test_heldout_wirings_are_a_fair_quarter() -> None:
    family = make_family("HalfCheetahWiring")
    train, heldout = family.tasks.members["train"], family.tasks.members["heldout"]
    assert (len(set(train)), len(set(heldout))) == (48, 16)
    assert not set(train) & set(heldout)
    assert {*train, *heldout} == {wiring(name) for name in all_wirings()}
    assert len(all_wirings()) == 64
    signs = torch.tensor([wiring(name) for name in HELDOUT_WIRINGS])
    assert not signs.sum(dim=0).any(), "a motor is reversed more often than not, or less"
    for first, second in itertools.combinations(range(6), 2):
        assert not (signs[:, first] * signs[:, second]).sum(), f"motors {first} and {second} tell of each other"


def test_a_wiring_is_named_by_its_motors_in_order() -> None:
    assert wiring("+-++-+") == (1.0, -1.0, 1.0, 1.0, -1.0, 1.0)


def test_a_reversed_motor_turns_its_joint_the_other_way() -> None:
    family = make_family("HalfCheetahWiring")
    env = TaskEnv(family, 2)
    env.set_tasks([{}, {"fthigh_sign": -1}], env.every)
    env.begin_episodes(env.every)
    assert env.physics.parameter("actuator_gear")[:, :, 0].tolist() == [
        [120, 90, 60, 120, 60, 30],
        [120, 90, 60, -120, 60, 30],
    ]


def test_a_mass_factor_scales_one_body() -> None:
    family = make_family("HalfCheetahLimbs")
    env = TaskEnv(family, 1)
    env.set_tasks([{"bshin_mass": 3.0, "torso_mass": 0.5}], env.every)
    for name in ("body_mass", "body_inertia"):
        ratio = (env.physics.parameter(name)[0] / env.physics.nominal(name))[1:]
        expected = [3.0 if body == "bshin" else 0.5 if body == "torso" else 1.0 for body in body_names(family.robot)]
        torch.testing.assert_close(ratio.reshape(7, -1)[:, 0].tolist(), expected)
    model = env.physics.snapshot(0)[0]
    assert model.body_subtreemass[0] == pytest.approx(float(env.physics.parameter("body_mass").sum()))


def body_names(robot: Robot) -> list[str]:
    return [robot.model.body(number).name for number in range(1, robot.model.nbody)]


def worked_motion(family: TaskFamily, velocity: float, action: float) -> Motion:
    """A motion at this speed, under the same action on every motor."""
    physics = MujocoPhysics(family.robot.model, 1, derived=family.robot.derived)
    everyone = torch.ones(1, dtype=torch.bool)
    physics.reset(everyone)
    physics.forward(everyone)
    actions = torch.full((1, family.robot.model.nu), action, dtype=torch.float64)
    return Motion(physics, torch.tensor([velocity], dtype=torch.float64), actions)


# The control cost of six actions of 0.5 is 0.05 * 6 * 0.25 = 0.075.
@pytest.mark.parametrize(
    ("name", "task", "velocity", "terms"),
    [
        ("HalfCheetahDir", {"direction": 1.0}, 2.0, {"run": 2.0, "control": -0.075}),
        ("HalfCheetahDir", {"direction": -1.0}, 2.0, {"run": -2.0, "control": -0.075}),
        ("HalfCheetahVel", {"target_velocity": 1.5}, 2.0, {"speed": -0.5, "control": -0.075}),
        ("HalfCheetahVel", {"target_velocity": 3.0}, -1.0, {"speed": -4.0, "control": -0.075}),
        ("HalfCheetahLimbs", {"torso_mass": 3.0}, 2.0, {"run": 2.0, "control": -0.075}),
        ("HalfCheetahLimbsDir", {"direction": -1.0}, -3.0, {"run": 3.0, "control": -0.075}),
        ("HalfCheetahWiring", {"bfoot_sign": -1.0}, -0.5, {"run": -0.5, "control": -0.075}),
    ],
)
def test_cheetahs_are_paid_by_their_equation(
    name: str, task: Mapping[str, float], velocity: float, terms: Mapping[str, float]
) -> None:
    family = make_family(name)
    values = {each: torch.tensor([value], dtype=torch.float64) for each, value in {**family.nominal, **task}.items()}
    reward = family.reward(worked_motion(family, velocity, action=0.5), values)
    assert {term: value.tolist() for term, value in reward.items()} == {
        term: [pytest.approx(value)] for term, value in terms.items()
    }


# With both joints straight the fingertip is at 0.1 + 0.11 = 0.21 m along x.
@pytest.mark.parametrize(
    ("goal_x", "goal_y", "distance", "found"),
    [(0.2, 0.0, 0.01, 1.0), (0.17, -0.02, math.hypot(0.04, 0.02), 1.0), (0.17, 0.04, 0.04 * 2**0.5, 0.0)],
)
def test_the_reacher_is_paid_by_its_distance(goal_x: float, goal_y: float, distance: float, found: float) -> None:
    task = {"goal_x": torch.tensor([goal_x]).double(), "goal_y": torch.tensor([goal_y]).double()}
    sparse, dense = make_family("ReacherGoal"), make_family("ReacherGoal", "dense")
    assert sparse.reward(worked_motion(sparse, 0.0, 0.0), task)["found"].tolist() == [found]
    near = dense.reward(worked_motion(dense, 0.0, 0.0), task)
    assert near["distance"].tolist() == [pytest.approx(-distance, abs=1e-7)]


def test_the_reachers_target_is_placed_where_the_task_says() -> None:
    env = TaskEnv(make_family("ReacherGoal"), 2)
    env.set_tasks([{"goal_x": 0.1, "goal_y": -0.05}, {"goal_x": -0.02, "goal_y": 0.03}], env.every)
    env.begin_episodes(env.every)
    for _ in range(5):
        env.step(torch.ones(2, 2))
    target = env.robot.model.body("target").id
    expected = torch.tensor([[0.1, -0.05], [-0.02, 0.03]], dtype=torch.float64)
    torch.testing.assert_close(env.physics.derived("xpos")[:, target, :2], expected)


def test_initial_states_are_gymnasiums() -> None:
    env = TaskEnv(make_family("HalfCheetahDir"), 1000)
    env.begin_tasks(env.every)
    env.begin_episodes(env.every)
    qpos, qvel = env.physics.state("qpos"), env.physics.state("qvel")
    assert qpos.abs().max() <= 0.1
    # Deviations of uniform and normal numbers; five standard errors of 9000 are 2.5 and 4 per cent.
    assert qpos.std() == pytest.approx(0.1 / math.sqrt(3), rel=0.03)
    assert qvel.std() == pytest.approx(0.1, rel=0.04)
    reacher = TaskEnv(make_family("ReacherGoal"), 500)
    reacher.begin_tasks(reacher.every)
    reacher.begin_episodes(reacher.every)
    assert reacher.physics.state("qpos")[:, :2].abs().max() <= 0.1
    assert reacher.physics.state("qvel")[:, :2].abs().max() <= 0.005
    assert not reacher.physics.state("qvel")[:, 2:].any()


def test_unknown_names_are_refused_with_a_hint() -> None:
    with pytest.raises(FamilyError, match=r"^unknown task family 'HalfCheetaDir': did you mean HalfCheetahDir\?$"):
        make_family("HalfCheetaDir")
    with pytest.raises(FamilyError, match=r"^unknown task family 'qqq': expected one of HalfCheetahDir, "):
        make_family("qqq")
    with pytest.raises(FamilyError, match=r"^variant of ReacherGoal is 'thick', expected one of default, dense$"):
        make_family("ReacherGoal", "thick")


def test_a_family_of_ones_own_needs_no_register() -> None:
    own = Sledding()
    assert make_family(own) is own
    assert "Sledding" not in families()
