"""What a training is told, and the time of it, which is looked at on the way."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from operator import index
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from limbshift.agents import ActionHead, RecurrentCell
from limbshift.envs.errors import InputError
from limbshift.envs.family import TaskFamily
from limbshift.envs.schema import Checked, Name, Positive, Total, Weight, filled_rows, shortened
from limbshift.envs.trial_env import TrialEnv
from limbshift.meta.evaluation.trials import Act, play

if TYPE_CHECKING:
    from limbshift.meta.rl2.config import PPOConfig

MakeAct = Callable[[TrialEnv], Act]
"""A policy as it is now, ready for new trials of an env."""


Returns = Annotated[list[list[float]], filled_rows]
"""Trial x episode."""
CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "core": time.process_time}
"""What a budget of time is counted by, in seconds."""
LOOKS = 8
"""At a policy while it is being trained."""
TASK_SEED = 0
"""Which held-out tasks; not the seed of training."""
HIDDEN = 128
"""Width of layers and of the recurrent cell, in all methods, unless it was tuned."""


def usual_ppo(family: TaskFamily) -> "PPOConfig":
    from limbshift.meta.rl2.config import PPOConfig, with_own  # of a learner, without which results are read

    return with_own(PPOConfig(), family)


@dataclass(frozen=True)
class Setting:
    """What a training is told."""

    family: TaskFamily
    seed: int
    num_envs: int
    episodes: int
    horizon: int
    gamma: float
    initial_log_std: float
    ppo: "PPOConfig"
    hidden_size: int = HIDDEN
    cell: RecurrentCell = "lstm"
    head: ActionHead = "linear"
    belief_size: int = 0
    hide_reward: bool = False
    first_order: bool = False

    def tuned(self, options: Mapping[str, Any]) -> "Setting":
        """Returns the setting with these options, by the names that `limbshift train` has for them."""
        ppo, others = split_options(options)
        return replace(self, **others, ppo=replace(self.ppo, **ppo))


def split_options(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns PPO's options, by their names in `PPOConfig`, and the others.

    >>> split_options({"gamma": 0.9, "ppo.clip_coef": 0.1})
    ({'clip_coef': 0.1}, {'gamma': 0.9})
    """
    ppo = {name.removeprefix("ppo."): value for name, value in options.items() if name.startswith("ppo.")}
    return ppo, {name: value for name, value in options.items() if not name.startswith("ppo.")}


def usual_setting(
    family: TaskFamily,
    seed: int,
    *,
    num_envs: int,
    episodes: int | None = None,
    horizon: int | None = None,
    **others: Any,
) -> Setting:
    """Returns what is told unless something else is chosen: trials and rates are the family's own."""
    return Setting(
        family,
        seed,
        num_envs,
        episodes or family.episodes_per_trial,
        horizon or family.horizon,
        family.gamma,
        family.initial_log_std,
        usual_ppo(family),
        **others,
    )


@dataclass(frozen=True)
class Pace(Checked):
    """How fast a method trains on the processor whose minutes are counted: by env steps, on another one."""

    processor: Name
    steps_per_second: Positive


@dataclass(frozen=True)
class HeldoutCurvePoint(Checked):
    """What a policy returned on held-out tasks when training had taken so much."""

    seconds: Weight
    """Of training: looks are not counted."""
    steps: Total
    returns: Returns
    """Trial x episode."""


@dataclass
class TimedTraining:
    """Called after each iteration of a training: looks when it is time to, and says whether to go on."""

    env: TrialEnv
    """Of held-out tasks; each look plays the same."""
    seed: int
    seconds: float
    """The budget of training time."""
    num_looks: int
    looks: list[HeldoutCurvePoint] = field(default_factory=list)
    clock: Callable[[], float] = time.perf_counter
    steps: int | None = None
    """The budget of env steps, which takes the place of the one of time."""
    pace: Pace | None = None
    """By which the budget of time is one of env steps, whatever the clock says."""

    def __post_init__(self) -> None:
        if self.pace:
            self.steps = max(1, round(self.seconds * self.pace.steps_per_second))
        self._spent = 0.0
        self._steps = 0
        self._resumed = 0.0
        self._calls = 0

    def begin(self) -> None:
        """Starts the clock: what was set up before is not counted."""
        self._resumed = self.clock()

    def run(self, iterate: Callable[[float], object], steps: Callable[[], int], make_act: MakeAct) -> None:
        """Trains until the budget is spent: iterations, given the share that is, and the env steps so far."""
        self.begin()
        iterate(self.share)
        while self(steps(), make_act):
            iterate(self.share)

    @property
    def share(self) -> float:
        """Of the budget that is spent."""
        return self._elapsed() / self.seconds if self.steps is None else self._steps / self.steps

    def __call__(self, steps: int, make_act: MakeAct) -> bool:
        """Whether there is budget left after so many env steps; InputError where these are no count of them."""
        self._steps = self._checked(steps)
        self._spent = self._steps / self.pace.steps_per_second if self.pace else self._elapsed()
        self._calls += 1
        share = self._spent / self.seconds if self.steps is None else self._steps / self.steps
        if share >= 1 and self._calls == 1 and self.steps is None:
            raise InputError(
                f"minutes is {self.seconds / 60:g}, expected more than one iteration takes, {self._spent:.1f} s here"
            )
        if share * self.num_looks >= len(self.looks) + 1 or share >= 1:
            self.look(self._steps, make_act)
        self._resumed = self.clock()
        return share < 1

    def look(self, steps: int, make_act: MakeAct) -> None:
        """Keeps what the policy returns now."""
        self.looks.append(HeldoutCurvePoint(self._spent, steps, returns_on(self.env, self.seed, make_act).tolist()))

    def _checked(self, steps: int) -> int:
        """Returns the env steps so far, which must have come nearer to a budget of them."""
        least = self._steps + (self.steps is not None)
        try:
            found = index(steps)
        except TypeError:
            found = -1
        if found < least:
            counted = " where the budget is counted by them" if least > self._steps else ""
            raise InputError(
                f"env steps so far are {shortened(steps)}, expected a whole number, {least} at least{counted}"
            )
        return found

    def _elapsed(self) -> float:
        return self._spent + self.clock() - self._resumed


def rewards_on(env: TrialEnv, seed: int, act: Act) -> np.ndarray:
    """Returns (N, K, horizon): the rewards of the env's first trials, the same for every policy."""
    env.task_env.seed(seed)
    return play(env, act).reward


def returns_on(env: TrialEnv, seed: int, make_act: MakeAct) -> np.ndarray:
    """Returns (N, K): the returns of the env's first trials, to the thousandth."""
    returns: np.ndarray = rewards_on(env, seed, make_act(env)).sum(axis=-1).round(3)
    return returns
