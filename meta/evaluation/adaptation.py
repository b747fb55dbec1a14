"""How a policy adapts: trials on a split's tasks, beside controls that show what memory is worth."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
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
    """Plays one trial in each of the env's simulations."""
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


def adaptation_steps(played: TrialRewards, random: TrialRewards) -> int | None:
    """The first step of episode 1 from which it stays as good as the last episode.

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
    """Mean reward before a change of task at the trial's step, at its worst after, and steps until it is back."""
    curve, horizon = played.reward.mean(axis=0).reshape(-1), played.reward.shape[-1]
    window = min(WINDOW, at_step, len(curve) - at_step)
    before = float(curve[at_step - window : at_step].mean())
    after = np.convolve(curve[at_step:], np.ones(window) / window, mode="valid")
    enough = before - TOLERANCE * max(before - float(random.reward.mean()), 0.0)
    first_lost = int(np.argmax(after < enough)) if (after[:horizon] < enough).any() else 0
    back = np.flatnonzero(after[first_lost:] >= enough)
    return before, float(after[:horizon].min()), first_lost + int(back[0]) if len(back) else None


def shift_result(played: TrialRewards, random: TrialRewards, at_step: int, env: TrialEnv) -> Shift:
    """What is reported of a change of task, after trials that ended on the new ones."""
    before, after, steps = shift_costs(played, random, at_step)
    seconds = None if steps is None else steps * env.task_env.robot.control_timestep
    return Shift(at_step, before, after, seconds, tasks_of(env))


def tasks_of(env: TrialEnv) -> list[dict[str, float]]:
    """The tasks that the env's simulations run, as mappings."""
    values = env.task_env.task_values()
    return [{name: float(value[i]) for name, value in values.items()} for i in range(env.num_envs)]


def figures(played: TrialRewards, random: TrialRewards, control_timestep: float, seed: int) -> AdaptationCurve:
    """What is reported of trials."""
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


def evaluate_adaptation(
    policy: RecurrentActorCritic,
    family: TaskFamily,
    split: str,
    num_tasks: int,
    episodes: int,
    horizon: int,
    seed: int,
    sample: bool = False,
    shift_at: int | None = None,
    engine: Engine = CPU,
) -> Adaptation:
    """Trials on the first num_tasks tasks of a split; all ways to act meet the same tasks and initial states."""
    oracle = policy.spec.task_dim > 0
    env = TrialEnv(family, num_tasks, episodes, horizon, split, seed, oracle, shift_at, engine=engine)

    def played_with(wipe: MemoryWipe | None) -> TrialRewards:
        """None acts at random."""
        generator = torch.Generator(policy.log_std.device).manual_seed(seed) if sample else None
        env.task_env.seed(seed)
        return play(env, PolicyActor(policy, num_tasks, wipe, generator) if wipe else random_actor(env, seed))

    env.reset()
    first_tasks = tasks_of(env)
    random = played_with(None)

    figures_of = partial(figures, random=random, control_timestep=family.robot.control_timestep, seed=seed)
    controls = {
        "memory_off": figures_of(played_with(MemoryWipe.EACH_STEP)),
        "memory_wiped_each_episode": figures_of(played_with(MemoryWipe.EACH_EPISODE)),
        "random": figures_of(random),
    }
    played = played_with(MemoryWipe.NEVER)
    env.close()
    return Adaptation(
        **vars(figures_of(played)),
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
        control_timestep_s=family.robot.control_timestep,
        tasks=first_tasks,
        controls=controls,
        shift=None if shift_at is None else shift_result(played, random, shift_at, env),
    )
