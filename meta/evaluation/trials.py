"""Plays trials, and counts what they return."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from limbshift.agents.actor import MemoryWipe, PolicyActor, part_of
from limbshift.agents.recurrent import RecurrentActorCritic
from limbshift.envs.trial_env import TrialEnv
from limbshift.meta.evaluation.returns import up_to_first_fall

Act = Callable[[Tensor], Tensor]
"""Maps a trial's observation, (N, trial_obs_dim), to actions, (N, A); it keeps its own state."""
POLICY = "policy"
"""Among the ways to act, the one that is evaluated."""


class TrialRewards(NamedTuple):
    """N trials of K slots of `horizon` steps."""

    reward: np.ndarray
    """(N, K, horizon): 0 after the first fall of a slot, whose restarts do not count."""
    falls: np.ndarray
    """(N, K): how often the robot fell, or its simulation diverged."""


class TrialSums(NamedTuple):
    """What is reported of trials, whose number it does not weigh on: a few numbers for each."""

    returns: np.ndarray
    """(N, K): sums of the rewards that count."""
    falls: np.ndarray
    """(N, K)"""
    curve: np.ndarray
    """(K, horizon): mean rewards over all trials."""


def summed(trials: TrialRewards) -> TrialSums:
    """Returns what is reported of the trials.

    >>> summed(TrialRewards(np.ones((5, 2, 3)), np.zeros((5, 2)))).returns.tolist()[0]
    [3.0, 3.0]
    """
    return TrialSums(trials.reward.sum(axis=-1), trials.falls, trials.reward.mean(axis=0))


def joined(parts: Sequence[TrialSums]) -> TrialSums:
    """Returns what is reported of all trials of the parts."""
    returns, falls, curves = zip(*parts, strict=True)
    weights = [len(part) for part in returns]
    curve = np.average(curves, axis=0, weights=weights) if len(parts) > 1 else curves[0]
    return TrialSums(np.concatenate(returns), np.concatenate(falls), curve)


def play(env: TrialEnv, act: Act) -> TrialRewards:
    """Plays one trial in each of the env's simulations.

    >>> from limbshift.envs.catalogue import make_family
    >>> env = TrialEnv(make_family("ReacherGoal"), 3, 2, horizon=5)
    >>> play(env, random_actor(env, seed=0)).reward.shape
    (3, 2, 5)
    >>> env.close()
    """
    obs = env.reset()
    physics = env.task_env.physics
    reward = torch.zeros(env.steps_per_trial, env.num_envs, dtype=physics.dtype, device=physics.device)
    terminated = torch.zeros_like(reward, dtype=torch.bool)
    for t in range(env.steps_per_trial):
        obs, reward[t], terminated[t], *_ = env.step(act(obs))
    physics.check()
    slots = (env.episodes_per_trial, env.horizon, env.num_envs)
    counted = up_to_first_fall(reward.view(slots), terminated.view(slots))
    falls = terminated.view(slots).sum(dim=1)
    return TrialRewards(counted.permute(2, 0, 1).cpu().numpy(), falls.T.cpu().numpy())


def random_actor(env: TrialEnv, seed: int, rows: tuple[int, int] | None = None) -> Act:
    """Returns a way to act: actions drawn evenly over the robot's range.

    rows: of how many robots' actions theirs are a part, (first, all): part by part they act as all at once do.
    """
    first, total = rows or (0, env.num_envs)
    num_actions = env.task_env.action_dim
    generator = torch.Generator().manual_seed(seed)

    def act(obs: Tensor) -> Tensor:
        share = torch.rand(total, num_actions, generator=generator)  # drawn on the CPU: the same on every device
        share = part_of(share, first, len(obs))
        return 2 * share.to(env.task_env.device, env.task_env.physics.dtype) - 1

    return act


def tasks_of(env: TrialEnv) -> list[dict[str, float]]:
    """Returns the tasks that the env's simulations run, as mappings from parameter to value."""
    values = env.task_env.task_values()
    return [{name: float(value[i]) for name, value in values.items()} for i in range(env.num_envs)]


class Played(NamedTuple):
    """All trials of one way to act."""

    sums: TrialSums
    tasks: list[dict[str, float]]
    """That they ended on."""


def play_all(env: TrialEnv, make_act: Callable[[tuple[int, int]], Act], *, num_tasks: int, seed: int) -> Played:
    """Plays the first tasks of a seed, as many at a time as the env has simulations.

    make_act: called with (first task, all tasks) before each part.
    """
    env.task_env.seed(seed)
    parts, tasks = list[TrialSums](), list[dict[str, float]]()
    for first in range(0, num_tasks, env.num_envs):
        trials = play(env, make_act((first, num_tasks)))
        count = min(env.num_envs, num_tasks - first)
        parts.append(summed(TrialRewards(trials.reward[:count], trials.falls[:count])))
        tasks += tasks_of(env)[:count]
    return Played(joined(parts), tasks)


def play_each_way(
    policy: RecurrentActorCritic, env: TrialEnv, *, num_tasks: int, seed: int, sample: bool = False
) -> dict[str, Played]:
    """Plays the tasks of a seed by the policy and by its controls; all meet the same tasks and initial states."""

    def remembering(wipe: MemoryWipe) -> Played:
        # One generator a part: each draws what all would, and takes its own.
        def make_act(rows: tuple[int, int]) -> Act:
            generator = torch.Generator(policy.log_std.device).manual_seed(seed) if sample else None
            return PolicyActor(policy, env.num_envs, wipe, generator=generator, rows=rows)

        return play_all(env, make_act, num_tasks=num_tasks, seed=seed)

    return {
        "memory_off": remembering(MemoryWipe.EACH_STEP),
        "memory_wiped_each_episode": remembering(MemoryWipe.EACH_EPISODE),
        "random": play_all(env, lambda rows: random_actor(env, seed, rows), num_tasks=num_tasks, seed=seed),
        POLICY: remembering(MemoryWipe.NEVER),
    }


def first_tasks(env: TrialEnv, num_tasks: int, seed: int) -> list[dict[str, float]]:
    """Returns the first tasks of a seed."""
    env.task_env.seed(seed)
    tasks = list[dict[str, float]]()
    while len(tasks) < num_tasks:
        env.task_env.begin_tasks(env.task_env.all_envs)
        tasks += tasks_of(env)
    return tasks[:num_tasks]
