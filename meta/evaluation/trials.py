"""Plays trials, and counts what they return."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from limbshift.agents.actor import MemoryWipe, PolicyActor, part_of
from limbshift.agents.recurrent import RecurrentActorCritic
from limbshift.envs.task_step import Measured
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
    steps: np.ndarray
    """(N, K): how many steps count, those up to the first fall."""
    measured: np.ndarray | None = None
    """(N, K, 3): means of what `TaskFamily.measured` gives and of how far that is from what is asked, over the steps
    that count, and the last of the first; None for families of which nothing is measured."""

    def first(self, count: int) -> "TrialRewards":
        """Returns the first so many trials."""
        measured = None if self.measured is None else self.measured[:count]
        return TrialRewards(self.reward[:count], self.falls[:count], self.steps[:count], measured)


class TrialSums(NamedTuple):
    """What is reported of trials, whose number it does not weigh on: a few numbers for each."""

    returns: np.ndarray
    """(N, K): sums of the rewards that count."""
    falls: np.ndarray
    """(N, K)"""
    curve: np.ndarray
    """(K, horizon): mean rewards over all trials."""
    measured: np.ndarray | None = None
    """(N, K, 3), as in `TrialRewards`."""


def summed(trials: TrialRewards) -> TrialSums:
    """Returns what is reported of the trials.

    >>> summed(TrialRewards(np.ones((5, 2, 3)), np.zeros((5, 2)), np.full((5, 2), 3))).returns.tolist()[0]
    [3.0, 3.0]
    """
    return TrialSums(trials.reward.sum(axis=-1), trials.falls, trials.reward.mean(axis=0), trials.measured)


def joined(parts: Sequence[TrialSums]) -> TrialSums:
    """Returns what is reported of all trials of the parts."""
    returns, falls, curves, measured = zip(*parts, strict=True)
    weights = [len(part) for part in returns]
    curve = np.average(curves, axis=0, weights=weights) if len(parts) > 1 else curves[0]
    known = None if measured[0] is None else np.concatenate(measured)
    return TrialSums(np.concatenate(returns), np.concatenate(falls), curve, known)


def play(env: TrialEnv, act: Act) -> TrialRewards:
    """Plays one trial in each of the env's simulations; what is measured is what the env's `look` gives.

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
    seen = list[Measured]()
    for t in range(env.steps_per_trial):
        obs, reward[t], terminated[t], *_, measured = env.step(act(obs))
        if measured is not None:
            seen.append(measured)
    physics.check()
    slots = (env.episodes_per_trial, env.horizon, env.num_envs)
    fell = terminated.view(slots)
    counted = up_to_first_fall(reward.view(slots), fell).permute(2, 0, 1).cpu().numpy()
    steps = up_to_first_fall(torch.ones_like(fell), fell).sum(dim=1)
    known = means_of(seen, fell).cpu().numpy() if seen else None
    return TrialRewards(counted, fell.sum(dim=1).T.cpu().numpy(), steps.T.cpu().numpy(), known)


def means_of(seen: Sequence[Measured], fell: Tensor) -> Tensor:
    """Returns (N, K, 3) what is told of measurements at each step, as `TrialRewards` has it.

    fell: (K, horizon, N) bool. NaN for how far they are from what is asked, where nothing is.

    >>> speeds = [Measured(torch.tensor([value]), torch.tensor([2.0])) for value in (1.0, 2.0, 9.0)]
    >>> means_of(speeds, torch.tensor([False, True, False]).view(1, 3, 1)).tolist()
    [[[1.5, 0.5, 2.0]]]
    """
    value = torch.stack([each.value for each in seen]).view(fell.shape)
    asked = [value.new_full(each.value.shape, math.nan) if each.asked is None else each.asked for each in seen]
    miss = (value - torch.stack(asked).view(fell.shape)).abs()
    counts = up_to_first_fall(torch.ones_like(value), fell).sum(dim=1)
    last = value.gather(1, (counts.long() - 1).unsqueeze(1)).squeeze(1)
    means = [up_to_first_fall(each, fell).sum(dim=1) / counts for each in (value, miss)]
    return torch.stack([*means, last], dim=-1).transpose(0, 1)


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
        parts.append(summed(trials.first(count)))
        tasks += tasks_of(env)[:count]
    return Played(joined(parts), tasks)


def play_policy(
    policy: RecurrentActorCritic, env: TrialEnv, wipe: MemoryWipe, *, num_tasks: int, seed: int, sample: bool = False
) -> Played:
    """Plays the tasks of a seed by a policy, whose memory is wiped so often; by mean actions unless `sample`."""

    # One generator a part: each draws what all would, and takes its own.
    def make_act(rows: tuple[int, int]) -> Act:
        generator = torch.Generator(policy.log_std.device).manual_seed(seed) if sample else None
        return PolicyActor(policy, env.num_envs, wipe, generator=generator, rows=rows)

    return play_all(env, make_act, num_tasks=num_tasks, seed=seed)


def play_each_way(
    policy: RecurrentActorCritic, env: TrialEnv, *, num_tasks: int, seed: int, sample: bool = False
) -> dict[str, Played]:
    """Plays the tasks of a seed by the policy and by its controls; all meet the same tasks and initial states."""
    remembering = partial(play_policy, policy, env, num_tasks=num_tasks, seed=seed, sample=sample)
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
