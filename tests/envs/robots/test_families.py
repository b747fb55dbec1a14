"""Every registered family, each of its parameters in a simulation of its own, against the unmodified robot."""

from collections.abc import Callable, Mapping

import mujoco
import numpy as np
import pytest
import torch
from torch import Tensor

from limbshift.envs.catalogue import families, make_family
from limbshift.envs.errors import FamilyError
from limbshift.envs.family import TaskFamily
from limbshift.envs.physics.mujoco_batch import MujocoPhysics
from limbshift.envs.task_env import TaskEnv
from limbshift.envs.tasks.parameter import ModelEffect, TaskParameter
from tests.envs.robots.suite import (
    DYNAMICS,
    FAMILIES,
    HARDWARE_NAMES,
    Rollout,
    changes,
    differing,
    every_dynamics,
    every_family,
    is_goal,
    other_values,
    rollout,
    sample,
    trained,
)
from tests.envs.sled import Sledding

STEPS = 10
"""Of a bit-for-bit comparison."""
LONG = 80
"""Of a motion in which each change of a body must tell: a robot must have slipped, and moved fast."""
EXTREME_STEPS = 40


@every_family
def test_a_family_says_what_it_is(family: TaskFamily) -> None:
    assert family.description.endswith(".")
    assert family.reward.__doc__
    assert len(set(family.task_space.names)) == len(family.parameters)
    assert all(parameter.description for parameter in family.parameters)
    assert make_family(family.name).variant == "default"


@every_dynamics
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


@every_family
def test_each_parameter_changes_the_motion_or_the_reward(family: TaskFamily) -> None:
    """Those of the body the motion, in each late step and for each value; goals the reward, and not the motion."""
    env = TaskEnv(family, 1)
    env.begin_tasks(env.all_envs)
    # The rest of the body is another task's: a load of no mass has no place.
    body = [other.name for other in family.parameters if isinstance(other.effect, ModelEffect)]
    task = {name: float(env.task[name][0]) for name in body}
    # A goal is rewarded by each variant in its own way; a body moves in one.
    tried = [parameter for parameter in family.parameters if is_goal(parameter) or family in DYNAMICS]
    if not tried:
        return
    values = [[parameter.nominal, *other_values(parameter)] for parameter in tried]
    rows = [{**task, parameter.name: value} for parameter, each in zip(tried, values, strict=True) for value in each]
    env = TaskEnv(family, len(rows))
    env.set_tasks(rows, env.all_envs)
    groups = [column.split([len(each) for each in values], dim=1) for column in rollout(env, min(LONG, family.horizon))]
    for parameter, *columns in zip(tried, *groups, strict=True):
        check_effect(parameter, Rollout(*columns))


def check_effect(parameter: TaskParameter, motions: Rollout) -> None:
    """Of a parameter's values: the nominal one first, then the others."""
    if is_goal(parameter):
        assert torch.equal(motions.obs, motions.obs[:, :1].expand_as(motions.obs)), f"{parameter.name} can be seen"
        assert (motions.reward[:, 1:] != motions.reward[:, :1]).any(), f"no value of {parameter.name} is paid otherwise"
        return
    late = motions.obs[len(motions.obs) // 2 :]
    assert (late[:, 1:] != late[:, :1]).any(dim=-1).all(), f"a value of {parameter.name} has no effect"


def fields(env: TaskEnv) -> dict[str, Tensor]:
    """A copy of the model fields that tasks change."""
    return {name: env.physics.model_field(name).clone() for name in env.family.model_fields}


def constants(env: TaskEnv) -> list[np.ndarray]:
    """What MuJoCo derives from them, of each simulation."""
    models = [env.physics.snapshot(sim)[0] for sim in range(env.num_envs)]
    return [np.concatenate([model.body_subtreemass, model.dof_invweight0, model.actuator_acc0]) for model in models]


@every_dynamics
def test_edits_reach_only_those_picked(family: TaskFamily) -> None:
    """One simulation for each parameter, in which it alone is changed."""
    changed = changes(family)
    env = TaskEnv(family, len(changed))
    env.set_tasks([{}] * len(changed), env.all_envs)
    before = rollout(env)
    assert torch.equal(before.obs, before.obs[:, :1].expand_as(before.obs))
    odd = torch.arange(len(changed)) % 2 == 1
    for picked in (odd, ~odd):
        env.set_tasks([{}] * len(changed), env.all_envs)
        env.set_tasks(changed, picked)
        for sim, parameter in enumerate(family.parameters):
            expected = changed[sim][parameter.name] if picked[sim] else parameter.nominal
            assert env.task[parameter.name][sim] == expected
        assert set(differing(rollout(env), before)) <= set(torch.nonzero(picked).flatten().tolist())
    env.set_tasks(changed, env.all_envs)
    once = fields(env)
    env.set_tasks([{}] * len(changed), odd)
    for name, values in fields(env).items():
        assert torch.equal(values[~odd], once[name][~odd]), f"{name} of others is changed again"


@every_dynamics
def test_edits_never_compound_and_leave_no_trace(family: TaskFamily) -> None:
    changed = changes(family)
    env = TaskEnv(family, len(changed))
    env.set_tasks([{}] * len(changed), env.all_envs)
    before, plain = rollout(env), constants(env)
    env.set_tasks(changed, env.all_envs)
    once, moved_once = fields(env), rollout(env)
    for _ in range(2):
        env.set_tasks(changed, env.all_envs)
    for name, values in fields(env).items():
        assert torch.equal(values, once[name]), f"{name} is changed again and again"
    erring = {number for number, parameter in enumerate(family.parameters) if parameter.name in HARDWARE_NAMES}
    assert set(differing(rollout(env), moved_once)) <= erring  # what a sensor errs by depends on the task's number
    env.set_tasks([{}] * len(changed), env.all_envs)
    assert not differing(rollout(env), before)
    for name, values in fields(env).items():
        assert torch.equal(values, env.physics.nominal(name).expand_as(values)), name
    for found, expected in zip(constants(env), plain, strict=True):
        assert np.array_equal(found, expected)


@every_dynamics
def test_a_task_is_the_same_robot_whatever_was_before(family: TaskFamily) -> None:
    """An env of one's own for each task, against simulations that had other tasks before."""
    tasks = TaskEnv(family, 3, seed=4)
    tasks.begin_tasks(tasks.all_envs)
    rows = [{name: float(values[sim]) for name, values in tasks.task.items()} for sim in range(3)]
    fresh = TaskEnv(family, 3)
    fresh.set_tasks(rows, fresh.all_envs)
    used = TaskEnv(family, 3)
    used.set_tasks([rows[1], rows[2], rows[0]], used.all_envs)
    used.seed(0)
    used.set_tasks(rows, used.all_envs)
    assert not differing(rollout(used, 5), rollout(fresh, 5))
    for found, expected in zip(constants(used), constants(fresh), strict=True):
        assert np.array_equal(found, expected)


ACTIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "random": lambda action: action,
    "zero": torch.zeros_like,
    "extreme": torch.sign,
    "far outside": lambda action: 1e6 * action,
}


@every_family
def test_all_stays_finite(family: TaskFamily) -> None:
    """Two simulations of each split's tasks for each kind of action."""
    splits = family.task_space.splits
    drawn = [sample(family, split, 2 * len(ACTIONS)) for split in splits]
    rows = [{name: float(values[row]) for name, values in task.items()} for row in range(8) for task in drawn]
    env = TaskEnv(family, len(rows), seed=1)
    env.set_tasks(rows, env.all_envs)
    env.begin_episodes(env.all_envs)
    generator = torch.Generator().manual_seed(2)
    for _ in range(min(family.horizon, EXTREME_STEPS)):
        actions = (2 * torch.rand(len(rows), env.action_dim, generator=generator) - 1).chunk(len(ACTIONS))
        step = env.step(torch.cat([kind(part) for kind, part in zip(ACTIONS.values(), actions, strict=True)]))
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
    for name in HARDWARE_NAMES & set(env.task):
        env.task[name].zero_()  # what errs cannot but be seen
    env.physics.reset(env.all_envs)
    env.family.place_goal(env.physics, env.task, env.all_envs)
    env.physics.forward(env.all_envs)
    obs = env.observe()
    assert torch.equal(obs, obs[:1].expand_as(obs))


def test_the_catalogue_is_all_of_them() -> None:
    assert len({(family.name, family.variant) for family in FAMILIES}) == len(FAMILIES)
    assert {family.name for family in FAMILIES} == set(families())


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
