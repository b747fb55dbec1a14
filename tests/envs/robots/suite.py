"""What the tests of all families share: the families, and rollouts of many tasks side by side."""

from collections.abc import Mapping
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from limbshift.envs.catalogue import families, make_family
from limbshift.envs.family import TaskFamily
from limbshift.envs.hardware import HARDWARE
from limbshift.envs.task_env import TaskEnv
from limbshift.envs.tasks.parameter import StateEffect, TaskParameter
from limbshift.envs.tasks.streams import RandomStream

FAMILIES = tuple(make_family(name, variant) for name in families() for variant in make_family(name).variants)
every_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: f"{family.name}-{family.variant}")
DYNAMICS = tuple({(id(family.robot), family.parameters): family for family in reversed(FAMILIES)}.values())
"""One family for each robot and its parameters: variants often differ in nothing but the reward or the split."""
every_dynamics = pytest.mark.parametrize("family", DYNAMICS, ids=lambda family: f"{family.name}-{family.variant}")
HARDWARE_NAMES = frozenset(parameter.name for parameter in HARDWARE)


def is_goal(parameter: TaskParameter) -> bool:
    """Whether a parameter leaves the robot as it is; a goal's effect may show it to whoever looks on."""
    return parameter.effect is None or isinstance(parameter.effect, StateEffect)


def other_values(parameter: TaskParameter) -> list[float]:
    """Values that are not the nominal one, over the parameter's range."""
    grid = parameter.choices or tuple(parameter.low + share * (parameter.high - parameter.low) for share in (0, 0.3, 1))
    if parameter.low == parameter.high:  # never changed in training
        grid = tuple(bound for interval in parameter.extrapolation for bound in interval)
    return [value for value in grid if value != parameter.nominal]


def changes(family: TaskFamily) -> list[dict[str, float]]:
    """For each parameter, a task in which it alone is not nominal."""
    return [{parameter.name: other_values(parameter)[-1]} for parameter in family.parameters]


class Rollout(NamedTuple):
    """What random actions did, each (T, N, ...)."""

    qpos: Tensor
    qvel: Tensor
    obs: Tensor
    reward: Tensor


def rollout(env: TaskEnv, steps: int = 10) -> Rollout:
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


def differing(one: Rollout, other: Rollout) -> list[int]:
    """Which simulations did not do, bit for bit, what they did."""
    same = torch.ones(one.reward.shape[1], dtype=torch.bool)
    for first, second in zip(one, other, strict=True):
        same &= (first == second).flatten(2).all(dim=-1).all(dim=0) if first.dim() > 2 else (first == second).all(dim=0)
    return torch.nonzero(~same).flatten().tolist()


def sample(family: TaskFamily, split: str, count: int = 512) -> Mapping[str, Tensor]:
    """(count,) values of each parameter, in the split's first tasks."""
    stream = RandomStream("task", family.name, family.variant, split, 0)
    rows = family.task_space.sample(split, stream, torch.arange(count))
    return dict(zip(family.task_space.names, rows.unbind(dim=1), strict=True))


def trained(family: TaskFamily, parameter: TaskParameter) -> bool:
    """Whether training changes the parameter."""
    rows = family.listed_tasks.get("train", ())
    position = family.task_space.names.index(parameter.name)
    return parameter.low < parameter.high and len({row[position] for row in rows}) != 1
