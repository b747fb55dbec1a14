"""How long it takes to learn: ours beside ours with other options, and beside RecurrentPPO."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from limbshift.agents.actor import PolicyActor
from limbshift.envs.family import TaskFamily
from limbshift.envs.trial_env import TrialEnv
from limbshift.experiments.benchmarks.config import BenchConfig
from limbshift.experiments.benchmarks.measure import Outcome
from limbshift.experiments.benchmarks.training import WHOLE_TRIALS, trainer_of
from limbshift.experiments.comparison.timed_training import MakeAct, TimedTraining, returns_on, usual_setting
from limbshift.meta.evaluation.trials import Act
from limbshift.meta.rl2.build import DEFAULT_PPO
from limbshift.meta.rl2.config import PPOConfig
from limbshift.meta.threads import torch_threads

TASKS = 64
"""Held-out tasks that a policy is looked at on."""
PER_STEPS = 100
"""Steps of an episode that the goals are returns of; those of longer or shorter ones are in proportion."""
Train = Callable[[TaskFamily, BenchConfig, TimedTraining], None]


@dataclass(kw_only=True)
class UntilReturn(TimedTraining):
    """Stops a training at its first policy that returns so much, by its mean actions; each look is off the clock."""

    goal: float
    reached: bool = False
    taken: float = 0.0
    """Seconds of training so far."""
    best: float = -float("inf")

    def __call__(self, steps: int, make_act: MakeAct) -> bool:
        goes_on = super().__call__(steps, make_act)
        self.taken = self.share * self.seconds
        self.best = max(self.best, float(returns_on(self.env, self.seed, make_act)[:, -1].mean()))
        self.reached = self.best >= self.goal
        self.begin()
        return goes_on and not self.reached


def overlapped_beside_plain(family: TaskFamily, config: BenchConfig, *, goal: float) -> Outcome:
    """Measures the time to a return of `train --overlap` beside that of `train --ppo.sequence-length None`."""
    return times_to_return(family, config, ours=train_overlapped, theirs=train_plain, goal=goal)


def ours_beside_recurrent_ppo(family: TaskFamily, config: BenchConfig, *, goal: float) -> Outcome:
    """Measures the time to a return of `train` beside that of sb3-contrib's RecurrentPPO."""
    return times_to_return(family, config, ours=train_ours, theirs=train_recurrent_ppo, goal=goal)


def times_to_return(family: TaskFamily, config: BenchConfig, *, ours: Train, theirs: Train, goal: float) -> Outcome:
    """Trains both once, one after the other, each until it is there or `config.minutes` are over.

    Where theirs is given up, the ratio is what it is at most; where ours is, there is none.
    """
    goal *= config.horizon / PER_STEPS
    own, other = (time_to_return(family, config, train, goal=goal) for train in (ours, theirs))
    notes = [
        f"{whose} was given up after {watch.taken:.0f} s, at a return of {watch.best:.0f} of {goal:g}"
        for whose, watch in (("ours", own), ("theirs, whose time is more than is told,", other))
        if not watch.reached
    ]
    ratios = (own.taken / other.taken,) if own.reached else ()
    details = {"goal": goal, "our_best": own.best, "their_best": other.best}
    return Outcome("s", own.taken, other.taken, ratios, tuple(notes), details)


def time_to_return(family: TaskFamily, config: BenchConfig, train: Train, *, goal: float) -> UntilReturn:
    """Trains until it is there, and returns what was seen."""
    heldout = TrialEnv(family, TASKS, config.episodes, horizon=config.horizon, split="heldout")
    watch = UntilReturn(heldout, 0, 60 * config.minutes, 0, goal=goal)
    train(family, config, watch)
    heldout.close()
    return watch


def train_plain(family: TaskFamily, config: BenchConfig, watch: TimedTraining) -> None:
    train_ours(family, config, watch, ppo=WHOLE_TRIALS)


def train_overlapped(family: TaskFamily, config: BenchConfig, watch: TimedTraining) -> None:
    train_ours(family, config, watch, overlap=True)


def train_ours(
    family: TaskFamily,
    config: BenchConfig,
    watch: TimedTraining,
    *,
    overlap: bool = False,
    ppo: PPOConfig = DEFAULT_PPO,
) -> None:
    """Trains as `limbshift train` does, on MuJoCo."""
    trainer = trainer_of(family, replace(config, physics="mujoco", device="cpu"), overlap=overlap, ppo=ppo)

    def make_act(env: TrialEnv) -> Act:
        return PolicyActor(trainer.policy, env.num_envs)

    watch.run(trainer.iterate, lambda: trainer.progress.steps, make_act)
    trainer.env.close()


def train_recurrent_ppo(family: TaskFamily, config: BenchConfig, watch: TimedTraining) -> None:
    """Trains it on one of PyTorch's threads, as where its speed is measured."""
    from limbshift.experiments.comparison import sb3_baselines  # an optional extra

    setting = usual_setting(family, 0, num_envs=config.num_envs, episodes=config.episodes, horizon=config.horizon)
    with torch_threads(1):
        sb3_baselines.train_recurrent_ppo(setting, watch)
