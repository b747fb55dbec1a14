"""Plays trials, and counts what they return."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from limbshift.agents.actor import MemoryWipe, PolicyActor
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
        obs, reward[t], terminated[t], _, _ = env.step(act(obs))
    physics.check()
    slots = (env.episodes_per_trial, env.horizon, env.num_envs)
    counted = up_to_first_fall(reward.view(slots), terminated.view(slots))
    falls = terminated.view(slots).sum(dim=1)
    return TrialRewards(counted.permute(2, 0, 1).cpu().numpy(), falls.T.cpu().numpy())


def random_actor(env: TrialEnv, seed: int) -> Act:
    """Returns a way to act: actions drawn evenly over the robot's range."""
    num_actions = env.task_env.action_dim
    generator = torch.Generator().manual_seed(seed)

    def act(obs: Tensor) -> Tensor:
        share = torch.rand(len(obs), num_actions, generator=generator)  # drawn on the CPU: the same on every device
        return 2 * share.to(env.task_env.device, env.task_env.physics.dtype) - 1

    return act


def tasks_of(env: TrialEnv) -> list[dict[str, float]]:
    """Returns the tasks that the env's simulations run, as mappings from parameter to value."""
    values = env.task_env.task_values()
    return [{name: float(value[i]) for name, value in values.items()} for i in range(env.num_envs)]


def play_each_way(
    policy: RecurrentActorCritic, env: TrialEnv, *, seed: int, sample: bool = False
) -> dict[str, TrialRewards]:
    """Plays the tasks of a seed by the policy and by its controls; all meet the same tasks and initial states."""

    def played(act: Act) -> TrialRewards:
        env.task_env.seed(seed)
        return play(env, act)

    def remembering(wipe: MemoryWipe) -> Act:
        generator = torch.Generator(policy.log_std.device).manual_seed(seed) if sample else None
        return PolicyActor(policy, env.num_envs, wipe, generator=generator)

    return {
        "memory_off": played(remembering(MemoryWipe.EACH_STEP)),
        "memory_wiped_each_episode": played(remembering(MemoryWipe.EACH_EPISODE)),
        "random": played(random_actor(env, seed)),
        POLICY: played(remembering(MemoryWipe.NEVER)),
    }
