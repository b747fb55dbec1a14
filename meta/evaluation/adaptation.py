"""How a policy adapts: trials on a split's tasks, beside controls that show what memory is worth."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from limbshift.agents.actor import MemoryWipe, PolicyActor
from limbshift.agents.recurrent import RecurrentActorCritic
from limbshift.envs.family import TaskFamily
from limbshift.envs.physics.engine import CPU, Engine
from limbshift.envs.trial_env import TrialEnv
from limbshift.meta.evaluation.statistics import Summary, summarise

Act = Callable[[Tensor], Tensor]
"""Maps a trial's observation, (N, trial_obs_dim), to actions, (N, A); it keeps its own state."""

WINDOW = 20
"""Steps over which rewards are averaged to tell when a robot has adapted."""
TOLERANCE = 0.1
"""Share of a gain over random actions that may be missing from a robot that has adapted."""
ADAPTATION_TIME = (
    f"Robot time, in seconds from the start of the trial, until the mean reward over the {WINDOW} steps just taken in "
    f"episode 1 (over all steps of an episode that is shorter) first reaches {1 - TOLERANCE:.0%} of the way from the "
    "mean reward per step of random actions in the last episode to the controller's own there; the time to pick up "
    "speed counts. null where episode 1 never gets there, and where nothing was learnt: where the 95 % interval of the "
    "last episode's return does not lie above those of random actions and of the controller with its memory off. An "
    "untrained controller, which hardly moves, beats random actions on most robots, but not itself without memory. A "
    "single task has no interval: null."
)
"""What `adaptation_time_s` means; results in JSON say it too."""


class TrialRewards(NamedTuple):
    """N trials of K slots of `horizon` steps."""

    reward: np.ndarray
    """(N, K, horizon): 0 after the first fall of a slot, whose restarts do not count."""
    falls: np.ndarray
    """(N, K): how often the robot fell, or its simulation diverged."""


@dataclass(frozen=True, repr=False)
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
    """Robot time until episode 1 is nearly as good as the last, as `ADAPTATION_TIME` defines it."""
    mean_reward_per_step: list[list[float]]
    """Episode x step, over all trials."""

    def __repr__(self) -> str:
        return f"<AdaptationCurve: {self.in_words()}>"

    def in_words(self) -> str:
        """Returns the return by episode and the time to adapt, in a few words."""
        returns = ", ".join(f"{value:.4g}" for value in self.iqm)
        time = self.adaptation_time_s
        adapted = "not adapted within episode 1" if time is None else f"adapted within {time:.2f} s"
        return f"return by episode {returns} (IQM of {len(self.returns)} tasks), {adapted}"


@dataclass(frozen=True, repr=False)
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

    def __repr__(self) -> str:
        rewards = f"reward per step {self.reward_before:.3g} before, {self.reward_after:.3g} at worst after"
        return f"<Shift at step {self.at_step}: {rewards}, recovery_time_s={self.recovery_time_s}>"


@dataclass(frozen=True, repr=False)
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

    def __repr__(self) -> str:
        return f"<Adaptation on {self.family}, {self.split} tasks, {self.episodes} x {self.horizon}: {self.in_words()}>"

    def as_json(self) -> dict[str, Any]:
        """Returns the fields, with the definition of what is measured beside them."""
        return {**asdict(self), "definitions": {"adaptation_time_s": ADAPTATION_TIME}}


def play(env: TrialEnv, act: Act) -> TrialRewards:
    """Plays one trial in each of the env's simulations."""
    obs = env.reset()
    counts = env.task_env.all_envs
    rewards, falls = [], []
    for step in range(env.steps_per_trial):
        if step % env.horizon == 0:
            counts = env.task_env.all_envs
        obs, reward, terminated, _, _ = env.step(act(obs))
        rewards.append(torch.where(counts, reward, 0.0))
        falls.append(terminated)
        counts = counts & ~terminated
    env.task_env.physics.check()
    shape = (env.episodes_per_trial, env.horizon, env.num_envs)
    reward = torch.stack(rewards).view(shape).permute(2, 0, 1)
    return TrialRewards(reward.cpu().numpy(), torch.stack(falls).view(shape).sum(dim=1).T.cpu().numpy())


def random_actor(env: TrialEnv, seed: int) -> Act:
    """Returns what draws actions evenly over the motors' range."""
    low, high = env.task_env.action_low, env.task_env.action_high
    generator = torch.Generator().manual_seed(seed)

    def act(obs: Tensor) -> Tensor:
        share = torch.rand(len(obs), len(low), generator=generator)  # of the range, the same on every device
        return low + (high - low) * share.to(low)

    return act


def adaptation_steps(played: TrialRewards, random: TrialRewards) -> int | None:
    """Returns the steps of episode 1 until it is nearly as good as the last episode, by `ADAPTATION_TIME`.

    Whether anything was learnt is not asked here. None where episode 1 never gets there.
    """
    curve = played.reward.mean(axis=0)  # (K, horizon)
    floor, last = random.reward[:, -1].mean(), curve[-1].mean()
    enough = floor + (1 - TOLERANCE) * (last - floor)
    window = min(WINDOW, curve.shape[1])
    reached = np.convolve(curve[0], np.ones(window) / window, mode="valid") >= enough
    return window + int(np.argmax(reached)) if reached.any() else None


def lies_above(one: Summary, other: Summary) -> bool:
    """Returns whether one interval lies above the other; False where there is none."""
    return one.ci95 is not None and other.ci95 is not None and one.ci95[0] > other.ci95[1]


def shift_costs(played: TrialRewards, random: TrialRewards, at_step: int) -> tuple[float, float, int | None]:
    """Returns the mean reward before a change of task at a step, at its worst after, and steps until it is back."""
    curve, horizon = played.reward.mean(axis=0).reshape(-1), played.reward.shape[-1]
    window = min(WINDOW, at_step, len(curve) - at_step)
    before = float(curve[at_step - window : at_step].mean())
    after = np.convolve(curve[at_step:], np.ones(window) / window, mode="valid")
    enough = before - TOLERANCE * max(before - float(random.reward.mean()), 0.0)
    first_lost = int(np.argmax(after < enough)) if (after[:horizon] < enough).any() else 0
    back = np.flatnonzero(after[first_lost:] >= enough)
    return before, float(after[:horizon].min()), first_lost + int(back[0]) if len(back) else None


def shift_result(played: TrialRewards, random: TrialRewards, at_step: int, env: TrialEnv) -> Shift:
    """Returns what is reported of a change of task, after trials that ended on the new ones."""
    before, after, steps = shift_costs(played, random, at_step)
    seconds = None if steps is None else steps * env.task_env.robot.control_timestep
    return Shift(at_step, before, after, seconds, tasks_of(env))


def tasks_of(env: TrialEnv) -> list[dict[str, float]]:
    """Returns the tasks that the env's simulations run, as mappings."""
    values = env.task_env.task_values()
    return [{name: float(value[i]) for name, value in values.items()} for i in range(env.num_envs)]


def adaptation_curve(
    played: TrialRewards, *, random: TrialRewards, memory_off: TrialRewards, control_timestep: float, seed: int
) -> AdaptationCurve:
    """Returns what is reported of trials, beside those of random actions and of the controller without memory."""
    returns = played.reward.sum(axis=-1)
    summaries = summarise(returns, seed)
    floors = [summarise(other.reward[:, -1:].sum(axis=-1), seed)[0] for other in (random, memory_off)]
    learnt = all(lies_above(summaries[-1], floor) for floor in floors)
    steps = adaptation_steps(played, random) if learnt else None
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
    """Plays trials on the first num_tasks tasks of a split; all ways to act meet the same tasks and initial states."""
    oracle = policy.spec.task_dim > 0
    env = TrialEnv(family, num_tasks, episodes, horizon, split, seed, oracle, shift_at, engine=engine)

    def played_with(wipe: MemoryWipe | None) -> TrialRewards:
        """None acts at random."""
        generator = torch.Generator(policy.log_std.device).manual_seed(seed) if sample else None
        env.task_env.seed(seed)
        return play(env, PolicyActor(policy, num_tasks, wipe, generator) if wipe else random_actor(env, seed))

    env.reset()
    first_tasks = tasks_of(env)
    random, memory_off = played_with(None), played_with(MemoryWipe.EACH_STEP)
    timestep = family.robot.control_timestep
    curve_of = partial(adaptation_curve, random=random, memory_off=memory_off, control_timestep=timestep, seed=seed)
    controls = {
        "memory_off": curve_of(memory_off),
        "memory_wiped_each_episode": curve_of(played_with(MemoryWipe.EACH_EPISODE)),
        "random": curve_of(random),
    }
    played = played_with(MemoryWipe.NEVER)
    env.close()
    return Adaptation(
        **vars(curve_of(played)),
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
