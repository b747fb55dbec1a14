"""How a policy adapts: trials on a split's tasks, beside controls that show what memory is worth."""

import math
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from limbshift.agents.actor import MemoryWipe
from limbshift.agents.recurrent import RecurrentActorCritic
from limbshift.envs.errors import InputError
from limbshift.envs.family import TaskFamily
from limbshift.envs.physics.engine import CPU, Engine
from limbshift.envs.task_step import Measure
from limbshift.envs.trial_env import TrialEnv
from limbshift.meta.evaluation.adaptation_time import ADAPTATION_TIME, steps_to_adapt
from limbshift.meta.evaluation.shifts import Shift, shift_costs
from limbshift.meta.evaluation.statistics import Summary, summarise
from limbshift.meta.evaluation.trials import (
    POLICY,
    Played,
    TrialSums,
    first_tasks,
    play_each_way,
    play_policy,
    tasks_of,
)

MAX_AT_ONCE = 1024
"""Tasks that are played side by side; more follow one another, so that memory does not grow with their number."""


@dataclass(frozen=True)
class Measurement:
    """What a person would measure: of each trial's episodes, over the steps up to a fall."""

    quantity: str
    """Such as speed, or distance from a place."""
    unit: str
    mean: list[list[float]]
    """Trial x episode."""
    miss: list[list[float]] | None
    """Trial x episode: mean distance from what the task asks for; None where more is better."""
    at_end: list[list[float]]
    """Trial x episode: at the last step that counts."""
    near: float | None
    """What counts as there, at most so far from what is asked."""

    @classmethod
    def of(cls, measure: Measure, measured: np.ndarray) -> "Measurement":
        """Takes (N, K, 3), as `TrialSums` has it."""
        mean, miss, at_end = (part.tolist() for part in np.moveaxis(measured, -1, 0))
        asked = not np.isnan(measured[..., 1]).any()
        return cls(measure.quantity, measure.unit, mean, miss if asked else None, at_end, measure.near)


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
    measured: Measurement | None
    """None for families of which nothing but the reward is measured."""

    def __repr__(self) -> str:
        return f"<AdaptationCurve: {self.in_words()}>"

    def in_words(self) -> str:
        """Returns the return by episode and the time to adapt, in a few words."""
        returns = ", ".join(f"{value:.4g}" for value in self.iqm)
        time = self.adaptation_time_s
        adapted = "not adapted within episode 1" if time is None else f"adapted within {time:.2f} s"
        return f"return by episode {returns} (IQM of {len(self.returns)} tasks), {adapted}"


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

    @property
    def distinct_tasks(self) -> int:
        """How many different tasks the trials had: fewer than trials where a split has few."""
        return len({tuple(task.values()) for task in self.tasks})

    def as_json(self) -> dict[str, Any]:
        """Returns the fields, with the definition of what is measured beside them."""
        return {**asdict(self), "definitions": {"adaptation_time_s": ADAPTATION_TIME}}


def lies_above(one: Summary, other: Summary) -> bool:
    """Returns whether one interval lies above the other; False where there is none."""
    return one.ci95 is not None and other.ci95 is not None and one.ci95[0] > other.ci95[1]


def shift_result(played: Mapping[str, Played], unchanged: TrialSums, at_step: int, *, control_timestep: float) -> Shift:
    """Returns what is reported of a change of task, of trials that ended on the new ones and of those without it."""
    changed, random = played[POLICY], played["random"].sums
    without, with_it, steps = shift_costs(changed.sums, unchanged, random=random, at_step=at_step)
    return Shift(at_step, without, with_it, None if steps is None else steps * control_timestep, changed.tasks)


def check_changes(env: TrialEnv) -> None:
    """Raises InputError where a change of task leaves all of the env's tasks as they are; they change."""
    before = tasks_of(env)
    env.task_env.shift_tasks(env.task_env.all_envs)
    if tasks_of(env) == before:
        name, split = env.task_env.family.name, env.task_env.split
        raise InputError(f"shift is of {name}'s {split} tasks, which cannot change, expected a split whose tasks can")


def adaptation_curve(
    played: TrialSums,
    *,
    random: TrialSums,
    memory_off: TrialSums,
    control_timestep: float,
    seed: int,
    measure: Measure | None = None,
) -> AdaptationCurve:
    """Returns what is reported of trials, beside those of random actions and of the controller without memory.

    measure: what was measured; None for nothing.
    """
    returns = played.returns
    summaries = summarise(returns, seed)
    floors = [summarise(other.returns[:, -1:], seed)[0] for other in (random, memory_off)]
    learnt = all(lies_above(summaries[-1], floor) for floor in floors)
    steps = steps_to_adapt(played.curve, random.curve) if learnt else None
    return AdaptationCurve(
        returns=returns.tolist(),
        falls=played.falls.tolist(),
        iqm=[summary.iqm for summary in summaries],
        mean=[summary.mean for summary in summaries],
        worst10=[summary.worst10 for summary in summaries],
        ci95=[summary.ci95 for summary in summaries],
        adaptation_time_s=None if steps is None else steps * control_timestep,
        mean_reward_per_step=played.curve.tolist(),
        measured=None if measure is None or played.measured is None else Measurement.of(measure, played.measured),
    )


def adaptation_curves(
    played: Mapping[str, TrialSums], *, control_timestep: float, seed: int, measure: Measure | None = None
) -> dict[str, AdaptationCurve]:
    """Returns what is reported of each way to act, as `play_each_way` names them."""
    random, memory_off = played["random"], played["memory_off"]
    return {
        way: adaptation_curve(
            trials,
            random=random,
            memory_off=memory_off,
            control_timestep=control_timestep,
            seed=seed,
            measure=measure,
        )
        for way, trials in played.items()
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
    """Evaluates a policy, by mean actions unless `sample`, on a split's first tasks, which change at step shift_at.

    >>> from limbshift.agents.recurrent import PolicySpec
    >>> from limbshift.envs.catalogue import make_family
    >>> policy = RecurrentActorCritic(PolicySpec(obs_dim=8, action_dim=2, hidden_size=8))
    >>> result = evaluate_adaptation(
    ...     policy, make_family("ReacherGoal"), "heldout", num_tasks=4, episodes=2, horizon=5, seed=0
    ... )
    >>> len(result.returns), list(result.controls)
    (4, ['memory_off', 'memory_wiped_each_episode', 'random'])
    """
    make_env = partial(
        TrialEnv,
        family,
        math.ceil(num_tasks / math.ceil(num_tasks / MAX_AT_ONCE)),
        episodes,
        horizon=horizon,
        split=split,
        seed=seed,
        observe_task=policy.spec.task_dim > 0,
        look=family.measured,
        engine=engine,
    )
    timestep = family.robot.control_timestep
    with closing(make_env(shift_at=shift_at)) as env:
        tasks = first_tasks(env, num_tasks, seed)
        if shift_at is not None:
            check_changes(env)
        played = play_each_way(policy, env, num_tasks=num_tasks, seed=seed, sample=sample)
    sums = {way: each.sums for way, each in played.items()}
    curves = adaptation_curves(sums, control_timestep=timestep, seed=seed, measure=family.measure)
    shift = None
    if shift_at is not None:
        with closing(make_env()) as env:
            unchanged = play_policy(policy, env, MemoryWipe.NEVER, num_tasks=num_tasks, seed=seed, sample=sample).sums
        shift = shift_result(played, unchanged, shift_at, control_timestep=timestep)
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
        tasks=tasks,
        controls=curves,
        shift=shift,
    )
