"""How a policy adapts: trials on a split's tasks, beside controls that show what memory is worth."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from limbshift.agents.actor import MemoryWipe, PolicyActor
from limbshift.agents.recurrent import RecurrentActorCritic
from limbshift.envs.family import TaskFamily
from limbshift.envs.physics.engine import CPU, Engine
from limbshift.envs.trial_env import TrialEnv
from limbshift.meta.evaluation.returns import up_to_first_fall
from limbshift.meta.evaluation.statistics import summarise

Act = Callable[[Tensor], Tensor]
"""Maps a trial's observation, (N, trial_obs_dim), to actions, (N, A); it keeps its own state."""

WINDOW = 20
"""Steps over which rewards are averaged to tell when a robot has adapted."""
POLICY = "policy"
"""Among the ways to act, the one that is evaluated."""
TOLERANCE = 0.1
"""Share of what was learned by the last episode that may be missing."""


class TrialRewards(NamedTuple):
    """N trials of K slots of `horizon` steps."""

    reward: np.ndarray
    """(N, K, horizon): 0 after the first fall of a slot, whose restarts do not count."""
    falls: np.ndarray
    """(N, K): how often the robot fell, or its simulation diverged."""


@dataclass(frozen=True)
class AdaptationCurve:
    """Adaptation of one way to act, per episode."""

    returns: list[list[float]]
    """Trial x episode."""
    falls: list[list[int]]
    """Trial x episode."""
    iqm: list[float]
    mean: list[float]
    worst10: list[float]
    ci95: list[tuple[float, float] | None]
    adaptation_time_s: float | None
    """Robot time until episode 1 is as good as the last; None where that never is, or there is nothing to learn."""
    mean_reward_per_step: list[list[float]]
    """Episode x step, over all trials."""


@dataclass(frozen=True)
class Shift:
    """What a change of task in the midst of a trial costs: mean rewards per step over all trials."""

    at_step: int
    """Of the trial, from 0: the first step on the new task."""
    reward_before: float
    """Over the 20 steps before the change."""
    reward_after: float
    """Over the worst 20 steps in a row that begin after the change, within an episode's length."""
    recovery_time_s: float | None
    """Robot time from the change to the first 20 steps in a row that are back; None where none are in the trial.

    Back: short of what it was by at most a tenth of what that has over random actions. 0: it never fell further.
    """
    tasks: list[dict[str, float]]
    """What the tasks changed into."""


@dataclass(frozen=True)
class Adaptation(AdaptationCurve):
    """Adaptation of a policy on one split, beside its controls."""

    family: str
    variant: str
    physics: str
    """mujoco or warp."""
    device: str
    """Of the network."""
    split: str
    unseen: bool
    """Whether training never meets the split's tasks."""
    seed: int
    num_tasks: int
    episodes: int
    horizon: int
    control_timestep_s: float
    tasks: list[dict[str, float]]
    controls: dict[str, AdaptationCurve]
    """memory_off, memory_wiped_each_episode, random."""
    shift: Shift | None = None
    """Where the task was changed in the midst of the trials."""


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
    """Returns a way to act: actions drawn evenly over the motors' range."""
    low, high = env.task_env.action_low, env.task_env.action_high
    generator = torch.Generator().manual_seed(seed)

    def act(obs: Tensor) -> Tensor:
        share = torch.rand(len(obs), len(low), generator=generator)  # of the range, the same on every device
        return low + (high - low) * share.to(low)

    return act


def adaptation_steps(played: TrialRewards, random: TrialRewards) -> int | None:
    """Returns the first step of episode 1 from which it stays as good as the last episode; None where none is.

    As good: its mean reward over 20 steps is short of the last episode's, at the same steps, by at
    most a tenth of what the last episode's mean reward has over that of random actions.
    """
    curve = played.reward.mean(axis=0)  # (K, horizon)
    gain = curve[-1].mean() - random.reward[:, -1].mean()
    if gain <= 0:
        return None
    window = np.ones(min(WINDOW, curve.shape[1])) / min(WINDOW, curve.shape[1])
    shortfall = np.convolve(curve[-1] - curve[0], window, mode="valid")
    missing = np.flatnonzero(shortfall > TOLERANCE * gain)
    if len(missing) == 0:
        return 0
    return int(missing[-1]) + 1 if missing[-1] + 1 < len(shortfall) else None


def shift_costs(played: TrialRewards, random: TrialRewards, at_step: int) -> tuple[float, float, int | None]:
    """Returns the mean reward before a change of task at this step of the trial, at its worst after, and the steps
    until it is back."""
    curve, horizon = played.reward.mean(axis=0).reshape(-1), played.reward.shape[-1]
    window = min(WINDOW, at_step, len(curve) - at_step)
    before = float(curve[at_step - window : at_step].mean())
    after = np.convolve(curve[at_step:], np.ones(window) / window, mode="valid")
    enough = before - TOLERANCE * max(before - float(random.reward.mean()), 0.0)
    first_lost = int(np.argmax(after < enough)) if (after[:horizon] < enough).any() else 0
    back = np.flatnonzero(after[first_lost:] >= enough)
    return before, float(after[:horizon].min()), first_lost + int(back[0]) if len(back) else None


def shift_result(played: TrialRewards, random: TrialRewards, env: TrialEnv, *, at_step: int) -> Shift:
    """Returns what is reported of a change of task, after trials that ended on the new ones."""
    before, after, steps = shift_costs(played, random, at_step)
    seconds = None if steps is None else steps * env.task_env.robot.control_timestep
    return Shift(at_step, before, after, seconds, tasks_of(env))


def tasks_of(env: TrialEnv) -> list[dict[str, float]]:
    """Returns the tasks that the env's simulations run, as mappings from parameter to value."""
    values = env.task_env.task_values()
    return [{name: float(value[i]) for name, value in values.items()} for i in range(env.num_envs)]


def adaptation_curve(
    played: TrialRewards, random: TrialRewards, *, control_timestep: float, seed: int
) -> AdaptationCurve:
    """Returns what is reported of trials; control_timestep in seconds, and the seed of the intervals."""
    returns = played.reward.sum(axis=-1)
    summaries = summarise(returns, seed)
    steps = adaptation_steps(played, random)
    return AdaptationCurve(
        returns=returns.tolist(),
        falls=played.falls.tolist(),
        iqm=[summary.iqm for summary in summaries],
        mean=[summary.mean for summary in summaries],
        worst10=[summary.worst10 for summary in summaries],
        ci95=[summary.ci95 for summary in summaries],
        adaptation_time_s=None if steps is None else steps * control_timestep,
        mean_reward_per_step=played.reward.mean(axis=0).tolist(),
    )


def play_each_way(
    policy: RecurrentActorCritic, env: TrialEnv, *, seed: int, sample: bool = False
) -> dict[str, TrialRewards]:
    """Plays the tasks of a seed by the policy and by its controls; all meet the same tasks and initial states."""

    def played(act: Act) -> TrialRewards:
        env.task_env.seed(seed)
        return play(env, act)

    def remembering(wipe: MemoryWipe) -> Act:
        generator = torch.Generator(policy.log_std.device).manual_seed(seed) if sample else None
        return PolicyActor(policy, env.num_envs, wipe, generator)

    return {
        "memory_off": played(remembering(MemoryWipe.EACH_STEP)),
        "memory_wiped_each_episode": played(remembering(MemoryWipe.EACH_EPISODE)),
        "random": played(random_actor(env, seed)),
        POLICY: played(remembering(MemoryWipe.NEVER)),
    }


def evaluate_adaptation(
    policy: RecurrentActorCritic,
    family: TaskFamily,
    split: str,
    *,
    num_tasks: int,
    episodes: int,
    horizon: int,
    seed: int,
    sample: bool = False,
    shift_at: int | None = None,
    engine: Engine = CPU,
) -> Adaptation:
    """Evaluates a policy, by mean actions unless `sample`, on a split's first tasks, which change at step shift_at."""
    env = TrialEnv(
        family,
        num_tasks,
        episodes,
        horizon=horizon,
        split=split,
        seed=seed,
        observe_task=policy.spec.task_dim > 0,
        shift_at=shift_at,
        engine=engine,
    )
    env.reset()
    first_tasks = tasks_of(env)
    played = play_each_way(policy, env, seed=seed, sample=sample)
    random, timestep = played["random"], family.robot.control_timestep
    curves = {
        way: adaptation_curve(trials, random, control_timestep=timestep, seed=seed) for way, trials in played.items()
    }
    env.close()
    return Adaptation(
        **vars(curves.pop(POLICY)),
        family=family.name,
        variant=family.variant,
        physics=engine.name,
        device=policy.log_std.device.type,
        split=split,
        unseen=family.task_space.unseen(split),
        seed=seed,
        num_tasks=num_tasks,
        episodes=episodes,
        horizon=horizon,
        control_timestep_s=timestep,
        tasks=first_tasks,
        controls=curves,
        shift=None if shift_at is None else shift_result(played[POLICY], random, env, at_step=shift_at),
    )
