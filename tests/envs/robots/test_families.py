"""Every registered family, and every parameter of each, against the unmodified robot and worked numbers."""

import copy
import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import gymnasium as gym
import mujoco
import numpy as np
import pytest
import torch
from torch import Tensor

from limbshift.envs.catalogue import families, make_family
from limbshift.envs.errors import FamilyError, InputError
from limbshift.envs.family import Motion, Robot, TaskFamily
from limbshift.envs.hardware import HARDWARE
from limbshift.envs.physics.mujoco_batch import MujocoPhysics
from limbshift.envs.robots.half_cheetah import HELDOUT_WIRINGS
from limbshift.envs.task_env import TaskEnv
from limbshift.envs.tasks.common import wirings
from limbshift.envs.tasks.effects import ScaleActuators, ScaleBodyMass, ScaleMotors
from limbshift.envs.tasks.parameter import Effect, TaskParameter, TaskSpace
from tests.envs.sled import Sledding

STEPS = 20
FAMILIES = tuple(make_family(name, variant) for name in families() for variant in make_family(name).variants)
PARAMETERS = tuple((family, parameter) for family in FAMILIES for parameter in family.parameters)
HARDWARE_NAMES = [parameter.name for parameter in HARDWARE]
GOALS = tuple(
    (family, parameter)
    for family, parameter in PARAMETERS
    if parameter.effect is None and parameter.name not in HARDWARE_NAMES
)


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
    env.begin_episodes(env.all_envs)
    env.physics.reset(env.all_envs)
    env.family.place_goal(env.physics, env.task, env.all_envs)
    env.physics.forward(env.all_envs)
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
    if parameter.low == parameter.high:  # never changed in training
        grid = tuple(bound for interval in parameter.extrapolation for bound in interval)
    return [value for value in grid if value != parameter.nominal]


@every_family
def test_a_family_says_what_it_is(family: TaskFamily) -> None:
    assert family.description.endswith(".")
    assert family.reward.__doc__
    assert len(set(family.task_space.names)) == len(family.parameters)
    assert all(parameter.description for parameter in family.parameters)
    assert make_family(family.name).variant == "default"


@every_family
def test_nominal_is_the_unmodified_robot_bit_for_bit(family: TaskFamily) -> None:
    env = TaskEnv(family, 2)
    env.set_tasks([family.nominal, {}], env.all_envs)
    env.begin_episodes(env.all_envs)
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


# What ours leave out: contact forces, which a batch does not compute, and inertias, which would tell the task.
WITHOUT_CONTACTS = {"include_cfrc_ext_in_observation": False, "contact_cost_weight": 0.0}
WITHOUT_INERTIAS = {**WITHOUT_CONTACTS, "include_cinert_in_observation": False}


def goal_as_theirs(family: TaskFamily, robot: Any) -> dict[str, float]:
    """What Gymnasium's robot is paid for, as a task."""
    goals = {"direction": 1.0, **dict(zip(("goal_x", "goal_y"), getattr(robot, "goal", (0.0, 0.0)), strict=True))}
    return {name: goal for name, goal in goals.items() if name in family.task_space.names}


def shared(name: str, obs: np.ndarray) -> np.ndarray:
    """What ours observe too, in our order: of Reacher's, all but what tells its hidden target or fingertip."""
    if "Reacher" in name:
        angles, target, velocity, to_fingertip = np.split(obs, [4, 6, 8])
        goal = name == "ReacherGoal"
        obs = np.concatenate([angles, velocity, target + to_fingertip] if goal else [angles, target, velocity])
    return obs.astype(np.float32)


@pytest.mark.filterwarnings("ignore:MuJoCo.*settotalmass")  # half-cheetah's XML uses this deprecated attribute
@pytest.mark.parametrize(
    ("name", "theirs", "options"),
    [
        ("HalfCheetahLimbsDir", "HalfCheetah-v5", {}),
        ("HalfCheetahWiring", "HalfCheetah-v5", {}),
        ("AntDir", "Ant-v5", WITHOUT_CONTACTS),
        ("AntLimbsDir", "Ant-v5", WITHOUT_CONTACTS),
        ("HopperRandParams", "Hopper-v5", {}),
        ("Walker2dRandParams", "Walker2d-v5", {}),
        ("HumanoidDir", "Humanoid-v5", WITHOUT_INERTIAS),
        ("SwimmerViscosity", "Swimmer-v5", {}),
        ("InvertedPendulumBody", "InvertedPendulum-v5", {}),
        ("ReacherGoal", "Reacher-v5", {}),
        ("ReacherLimbs", "Reacher-v5", {}),
    ],
)
def test_the_gymnasium_variant_is_gymnasiums_robot(name: str, theirs: str, options: Mapping[str, Any]) -> None:
    robot: Any = gym.make(theirs, **options).unwrapped
    robot.reset(seed=0)
    env = TaskEnv(make_family(name, "gymnasium"), 1)
    env.set_tasks([goal_as_theirs(env.family, robot)], env.all_envs)
    env.begin_episodes(env.all_envs)
    for field in ("qpos", "qvel"):
        env.physics.state(field)[0] = torch.from_numpy(getattr(robot.data, field))
    env.physics.forward(env.all_envs)
    for action in np.random.default_rng(0).uniform(
        robot.action_space.low, robot.action_space.high, (STEPS, robot.model.nu)
    ):
        obs, reward, terminated, _, _ = robot.step(action)
        step = env.step(torch.from_numpy(action).unsqueeze(0))
        np.testing.assert_allclose(env.observe()[0], shared(name, obs), rtol=1e-6, atol=1e-6)
        assert step.reward.item() == pytest.approx(reward, abs=1e-9)
        assert step.terminated.item() == terminated
    robot.close()


@every_parameter
def test_each_parameter_changes_the_motion(family: TaskFamily, parameter: TaskParameter) -> None:
    values = [parameter.nominal, *other_values(parameter)]
    env = TaskEnv(family, len(values))
    env.begin_tasks(env.all_envs)
    # The rest of the body is another task's: a load of no mass has no place.
    task = {other.name: float(env.task[other.name][0]) for other in family.parameters if other.effect}
    env.set_tasks([{**task, parameter.name: value} for value in values], env.all_envs)
    result = rollout(env, steps=family.horizon)
    if parameter.effect is None and parameter.name not in HARDWARE_NAMES:
        assert (result.reward[:, 1:] != result.reward[:, :1]).any(), "no value of the goal changes the reward"
    else:  # grip and damping tell once the robot slips or moves
        late = result.obs[family.horizon // 2 :]
        assert (late[:, 1:] != late[:, :1]).any(dim=-1).all(), "a value has no effect"


@every_goal
def test_goals_leave_the_motion_alone(family: TaskFamily, parameter: TaskParameter) -> None:
    values = other_values(parameter)
    env = TaskEnv(family, len(values) + 1)
    env.set_tasks([{}, *({parameter.name: value} for value in values)], env.all_envs)
    obs = rollout(env).obs
    assert torch.equal(obs, obs[:, :1].expand_as(obs)), "the goal can be seen"


@every_parameter
def test_edits_never_compound(family: TaskFamily, parameter: TaskParameter) -> None:
    changed = {parameter.name: other_values(parameter)[-1]}
    once, again = TaskEnv(family, 1), TaskEnv(family, 1)
    for env, times in ((once, 1), (again, 3)):
        for _ in range(times):
            env.set_tasks([changed], env.all_envs)
    for name in family.model_fields:
        assert torch.equal(once.physics.model_field(name), again.physics.model_field(name)), name
    if parameter.name not in HARDWARE_NAMES:  # what a sensor errs by depends on the task's number, here 1 and 3
        assert same(rollout(once), rollout(again))


@every_parameter
def test_a_robot_set_back_to_nominal_is_unmodified(family: TaskFamily, parameter: TaskParameter) -> None:
    env = TaskEnv(family, 2)
    env.set_tasks([{}, {}], env.all_envs)
    before = rollout(env)
    env.set_tasks([{}, {parameter.name: other_values(parameter)[-1]}], env.all_envs)
    rollout(env)
    env.set_tasks([{}, {}], env.all_envs)
    assert same(rollout(env), before)
    assert torch.equal(before.obs[:, 0], before.obs[:, 1])
    for name in family.model_fields:
        nominal = env.physics.nominal(name)
        assert torch.equal(env.physics.model_field(name), nominal.expand(2, *nominal.shape)), name


@every_parameter
def test_edits_reach_only_those_picked(family: TaskFamily, parameter: TaskParameter) -> None:
    env = TaskEnv(family, 2)
    env.set_tasks([{}, {}], env.all_envs)
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
    for split in family.task_space.splits:
        env = TaskEnv(family, 8, split, seed=1)
        env.begin_tasks(env.all_envs)
        env.begin_episodes(env.all_envs)
        generator = torch.Generator().manual_seed(2)
        for _ in range(min(family.horizon, 100)):
            step = env.step(ACTIONS[kind](2 * torch.rand(8, env.action_dim, generator=generator) - 1))
            assert not step.diverged.any()
            assert step.reward.isfinite().all()
            assert env.observe().isfinite().all()
            assert ((step.action >= env.action_low) & (step.action <= env.action_high)).all()


@every_family
def test_the_task_is_not_in_the_observation(family: TaskFamily) -> None:
    env = TaskEnv(family, 64)
    env.begin_tasks(env.all_envs)
    env.begin_episodes(env.all_envs)
    for parameter in family.parameters:
        assert len(env.task[parameter.name].unique()) > 1 or not trained(family, parameter)
    for name in set(HARDWARE_NAMES) & set(env.task):
        env.task[name].zero_()  # what errs cannot but be seen
    env.physics.reset(env.all_envs)
    env.family.place_goal(env.physics, env.task, env.all_envs)
    env.physics.forward(env.all_envs)
    obs = env.observe()
    assert torch.equal(obs, obs[:1].expand_as(obs))


def trained(family: TaskFamily, parameter: TaskParameter) -> bool:
    """Whether training changes the parameter."""
    rows = family.listed_tasks.get("train", ())
    position = family.task_space.names.index(parameter.name)
    return parameter.low < parameter.high and len({row[position] for row in rows}) != 1


def sample(family: TaskFamily, split: str, count: int = 512) -> Mapping[str, Tensor]:
    env = TaskEnv(family, count, split)
    env.begin_tasks(env.all_envs)
    return env.task


def inside(values: Tensor, low: float, high: float) -> Tensor:
    slack = 1e-12 * max(abs(low), abs(high))
    return (values >= low - slack) & (values <= high + slack)


@every_family
def test_splits_lie_where_they_should(family: TaskFamily) -> None:
    for split in family.task_space.splits:
        task = sample(family, split)
        for parameter in family.parameters:
            values = task[parameter.name]
            if parameter.choices:
                assert torch.isin(values, torch.tensor(parameter.choices, dtype=values.dtype)).all()
            elif split == "extrapolation" and parameter.extrapolation:
                found = torch.stack([inside(values, *interval) for interval in parameter.extrapolation])
                assert found.any(dim=0).all()
                assert found.any(dim=1).all(), "an interval is never drawn from"
                assert not (parameter.to_unit(values).abs() < 1 - 1e-9).any() or parameter.low == parameter.high
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
        if not trained(family, parameter):
            assert (task[parameter.name] == parameter.nominal).all()
            continue
        if family.listed_tasks and parameter.choices:  # as evenly as some chosen tasks can be
            assert set(task[parameter.name].tolist()) == set(parameter.choices)
            continue
        count = len(family.listed_tasks.get("train", task[parameter.name]))
        units = parameter.to_unit(task[parameter.name])
        # A mean over 2000 of numbers that lie within [-1, 1] has a deviation of at most 0.022, over 40 of 0.16.
        assert abs(units.mean()) < 4 / count**0.5, parameter.name
        assert units.min() < -0.9 or (count < 100 and units.min() < -0.7)
        assert units.max() > 0.9 or (count < 100 and units.max() > 0.7)


@every_family
def test_train_and_heldout_are_disjoint_unless_nothing_can_be_held_out(family: TaskFamily) -> None:
    rows = [torch.stack(tuple(sample(family, split).values()), dim=-1).tolist() for split in ("train", "heldout")]
    train, heldout = ({tuple(row) for row in each} for each in rows)
    if family.task_space.unseen("heldout"):
        assert not train & heldout
    else:
        assert train == heldout


def test_what_can_be_held_out() -> None:
    seen = {name for name in families() if not make_family(name).task_space.unseen("heldout")}
    assert seen == {"HalfCheetahDir", "AntDirForwardBack"}
    bounded = {name for name in families() if "extrapolation" not in make_family(name).task_space.splits}
    finite = {
        "HalfCheetahDir",
        "HalfCheetahWiring",
        "HalfCheetahCrippled",
        "AntWiring",
        "AntCrippled",
        "AntDirForwardBack",
    }
    assert bounded == {
        *finite,
        "ReacherGoal",
        "AntGoal",
        "AntDir",
        "HumanoidDir",
        "InvertedPendulumBody",
        "HalfCheetahHardware",
    }


@pytest.mark.parametrize(
    ("name", "train", "heldout"),
    [("HalfCheetahVel", 100, 30), ("AntGoal", 150, 30), ("HopperRandParams", 40, 10), ("Walker2dRandParams", 40, 10)],
)
def test_pearls_tasks_are_so_many(name: str, train: int, heldout: int) -> None:
    tasks = make_family(name, "pearl").task_space
    assert {split: len(set(rows)) for split, rows in tasks.listed_tasks.items()} == {"train": train, "heldout": heldout}
    assert tasks.unseen("heldout")


def test_ranges_are_those_promised() -> None:
    limbs, mild = make_family("HalfCheetahLimbs").parameters, make_family("HalfCheetahLimbs", "mild").parameters
    both = make_family("HalfCheetahLimbsDir").parameters
    assert [len(parameters) for parameters in (limbs, mild, both)] == [8, 7, 8]
    assert limbs[:7] == mild
    for parameter in mild:
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


@pytest.mark.parametrize("name", ["HalfCheetahWiring", "AntWiring"])
def test_heldout_wirings_are_a_fair_quarter(name: str) -> None:
    family = make_family(name)
    train, heldout = family.task_space.listed_tasks["train"], family.task_space.listed_tasks["heldout"]
    motors = len(family.parameters)
    assert (len(set(train)), len(set(heldout))) == (3 * 2**motors // 4, 2**motors // 4)
    assert {*train, *heldout} == set(itertools.product((-1.0, 1.0), repeat=motors))
    signs = torch.tensor(heldout)
    assert not signs.sum(dim=0).any(), "a motor is reversed more often than not, or less"
    for first, second in itertools.combinations(range(motors), 2):
        assert not (signs[:, first] * signs[:, second]).sum(), f"motors {first} and {second} tell of each other"


def test_a_wiring_is_named_by_its_motors_in_order() -> None:
    assert wirings(["+-++-+"]) == ((1.0, -1.0, 1.0, 1.0, -1.0, 1.0),)
    assert wirings(HELDOUT_WIRINGS) == make_family("HalfCheetahWiring").task_space.listed_tasks["heldout"]


def test_a_crippled_robot_has_one_or_two_dead_motors_or_one_dead_leg() -> None:
    cheetah, ants = (
        make_family("HalfCheetahCrippled").task_space.listed_tasks,
        make_family("AntCrippled").task_space.listed_tasks,
    )
    assert (len(cheetah["train"]), len(cheetah["heldout"])) == (6 + 15 - 5, 5)
    assert {sum(row) for row in (*cheetah["train"], *cheetah["heldout"])} == {4.0, 5.0}
    assert ants == {
        "train": ((0.0, 1.0, 1.0, 1.0), (1.0, 0.0, 1.0, 1.0), (1.0, 1.0, 0.0, 1.0)),
        "heldout": ((1.0, 1.0, 1.0, 0.0),),
    }


@pytest.mark.parametrize(("variant", "falls"), [("default", [False, False, True]), ("gymnasium", [False, True, False])])
def test_an_ant_falls_when_it_is_turned_over(variant: str, falls: list[bool]) -> None:
    family = make_family("AntLimbs", variant)
    physics = MujocoPhysics(family.robot.model, 3, computed_fields=family.robot.computed_fields)
    qpos = physics.state("qpos")
    half = torch.tensor([80.0, 80.0, 100.0]).double().deg2rad() / 2  # tilted by twice that about y
    qpos[:, 3], qpos[:, 5] = half.cos(), half.sin()
    qpos[:, 2] = torch.tensor([0.5, 1.1, 0.3])
    fallen = family.robot.fallen(physics)
    assert fallen is not None
    assert fallen.tolist() == falls


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
def test_a_name_that_is_not_there_is_refused_with_the_nearest(effect: Effect, message: str) -> None:
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


def worked_motion(family: TaskFamily, velocity: float, action: float) -> Motion:
    """A motion at this speed, under the same action on every motor."""
    physics = MujocoPhysics(family.robot.model, 1, computed_fields=family.robot.computed_fields)
    everyone = torch.ones(1, dtype=torch.bool)
    physics.reset(everyone)
    physics.forward(everyone)
    actions = torch.full((1, family.robot.model.nu), action, dtype=torch.float64)
    return Motion(physics, torch.tensor([velocity], dtype=torch.float64), actions, ~everyone)


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


def test_an_ant_is_paid_for_being_near_its_goal_and_for_coming_nearer() -> None:
    """From the origin to (1.5, -2) it is 2.5 m; at (3, 4) m/s it comes nearer by (3 * 1.5 - 4 * 2) / 2.5 = -1.4 m/s."""
    task = {"goal_x": torch.tensor([1.5]).double(), "goal_y": torch.tensor([-2.0]).double()}
    dense, sparse = make_family("AntGoal"), make_family("AntGoal", "sparse")
    motion = worked_motion(dense, 0.0, action=0.5)._replace(velocity=torch.tensor([[3.0, 4.0]]).double())
    terms = {name: value.item() for name, value in dense.reward(motion, task).items()}
    assert terms == pytest.approx({"run": -1.4, "near": 1 - 2.5 / 4, "alive": 0.2, "control": -0.01 * 8 * 0.25})
    there = {"goal_x": torch.tensor([0.3]).double(), "goal_y": torch.tensor([-0.39]).double()}
    assert [sparse.reward(motion, at)["run"].item() for at in (task, there)] == [0.0, 1.0]


def test_a_reacher_that_sees_its_target_is_paid_for_touching_it() -> None:
    family = make_family("ReacherLimbs")
    physics = MujocoPhysics(family.robot.model, 1, computed_fields=family.robot.computed_fields)
    physics.forward(torch.ones(1, dtype=torch.bool))
    physics.state("qpos")[0, 2:] = torch.tensor([0.21, 0.04])  # both joints straight: 4 cm beside the fingertip
    action = torch.tensor([[0.5, -1.0]], dtype=torch.float64)
    terms = family.reward(Motion(physics, torch.zeros(1, 2), action, torch.zeros(1, dtype=torch.bool)), {})
    assert terms["near"].item() == pytest.approx(math.exp(-2))
    assert terms["control"].item() == pytest.approx(-0.0125)


def test_seen_targets_lie_in_their_ring_and_change_with_each_episode() -> None:
    env = TaskEnv(make_family("ReacherLimbs"), 500)
    env.begin_tasks(env.all_envs)
    env.begin_episodes(env.all_envs)
    first = env.observe()[:, 4:6]
    env.begin_episodes(env.all_envs)
    distance = first.norm(dim=-1)
    assert distance.min() >= 0.09
    assert distance.max() <= 0.145
    assert (first > 0).float().mean(dim=0).sub(0.5).abs().max() < 0.1
    assert not torch.isclose(first, env.observe()[:, 4:6]).all(dim=-1).any()


def test_the_reachers_target_is_placed_where_the_task_says() -> None:
    env = TaskEnv(make_family("ReacherGoal"), 2)
    env.set_tasks([{"goal_x": 0.1, "goal_y": -0.05}, {"goal_x": -0.02, "goal_y": 0.03}], env.all_envs)
    env.begin_episodes(env.all_envs)
    for _ in range(5):
        env.step(torch.ones(2, 2))
    target = env.robot.model.body("target").id
    expected = torch.tensor([[0.1, -0.05], [-0.02, 0.03]], dtype=torch.float64)
    torch.testing.assert_close(env.physics.computed_field("xpos")[:, target, :2], expected)


def test_initial_states_are_gymnasiums() -> None:
    env = TaskEnv(make_family("HalfCheetahDir"), 1000)
    env.begin_tasks(env.all_envs)
    env.begin_episodes(env.all_envs)
    qpos, qvel = env.physics.state("qpos"), env.physics.state("qvel")
    assert qpos.abs().max() <= 0.1
    # Deviations of uniform and normal numbers; five standard errors of 9000 are 2.5 and 4 per cent.
    assert qpos.std() == pytest.approx(0.1 / math.sqrt(3), rel=0.03)
    assert qvel.std() == pytest.approx(0.1, rel=0.04)
    reacher = TaskEnv(make_family("ReacherGoal"), 500)
    reacher.begin_tasks(reacher.all_envs)
    reacher.begin_episodes(reacher.all_envs)
    assert reacher.physics.state("qpos")[:, :2].abs().max() <= 0.1
    assert reacher.physics.state("qvel")[:, :2].abs().max() <= 0.005
    assert not reacher.physics.state("qvel")[:, 2:].any()


def test_unknown_names_are_refused_with_a_hint() -> None:
    with pytest.raises(FamilyError, match=r"^unknown task family 'HalfCheetaDir': did you mean HalfCheetahDir\?$"):
        make_family("HalfCheetaDir")
    with pytest.raises(FamilyError, match=r"^unknown task family 'qqq': expected one of those that `limbshift fam"):
        make_family("qqq")
    variants = "default, dense, gymnasium"
    with pytest.raises(FamilyError, match=rf"^variant of ReacherGoal is 'thick', expected one of {variants}$"):
        make_family("ReacherGoal", "thick")


def test_a_family_of_ones_own_needs_no_register() -> None:
    own = Sledding()
    assert make_family(own) is own
    assert "Sledding" not in families()
