"""Meta-training beside itself with other options, on fewer cores, and beside Stable-Baselines3's RecurrentPPO."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial

from limbshift.envs.family import TaskFamily
from limbshift.envs.physics.cores import available_cores
from limbshift.envs.trial_env import TrialEnv
from limbshift.experiments.benchmarks.clock import shares_of
from limbshift.experiments.benchmarks.config import BenchConfig
from limbshift.experiments.benchmarks.measure import Outcome, rates_of
from limbshift.experiments.comparison.timed_training import MakeAct, TimedTraining, usual_setting
from limbshift.experiments.ranks.cores import keeping_to
from limbshift.experiments.runs.devices import choose_device, choose_engine, choose_threads
from limbshift.meta.ranks.alone import ALONE, Ranks
from limbshift.meta.rl2.build import DEFAULT_PPO, make_trainer
from limbshift.meta.rl2.config import PPOConfig
from limbshift.meta.rl2.iteration import Iteration
from limbshift.meta.rl2.trainer import Trainer
from limbshift.meta.threads import torch_threads

WHOLE_TRIALS = PPOConfig(sequence_length=None)
"""How `train` learnt before it cut trials into pieces."""
WARM_UP = 2
"""Iterations that are not counted: the first learns nothing, and the second makes the optimiser's state."""
CORES = 2
"""That one core is compared with."""
UNLIMITED = 1e9
"""Seconds that no training takes."""


def overlapped_beside_plain(family: TaskFamily, config: BenchConfig) -> Outcome:
    """Measures `train --overlap` beside `train --ppo.sequence-length None`."""
    overlap = config.physics == "mujoco"  # trials of MuJoCo Warp are never collected ahead
    ours, theirs = trainer_of(family, config, overlap=overlap), trainer_of(family, config, ppo=WHOLE_TRIALS)
    rounds = iterations_in_turn(ours, theirs, config.rounds)
    shares = shares_of([other for _, other in rounds])
    parts = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
    return replace(
        rates_of_iterations(rounds, ours.steps_per_iteration),
        notes=(f"shares of the time of meta-training in turn, by whole trials: {parts}",),
        details={f"plain_share_{name}": share for name, share in shares.items()},
    )


def cores_beside_one(family: TaskFamily, config: BenchConfig, *, overlap: bool) -> Outcome:
    """Measures the same training on two cores and on one."""
    available = available_cores()
    two, one = (partial(keeping_to, available[:count]) for count in (CORES, 1))
    with two():
        ours = trainer_of(family, config, overlap=overlap)
    with one():
        theirs = trainer_of(family, config, overlap=overlap)
    rounds = iterations_in_turn(ours, theirs, config.rounds, where=(two, one))
    return rates_of_iterations(rounds, ours.steps_per_iteration)


def ours_beside_recurrent_ppo(family: TaskFamily, config: BenchConfig) -> Outcome:
    """Measures our training beside sb3-contrib's, with trials, sizes, epochs and minibatches alike.

    Its network computes on one thread: in operations as small as its own, more of them wait for each other.
    """
    from limbshift.experiments.comparison.sb3_baselines import train_recurrent_ppo  # an optional extra

    trainer = trainer_of(family, config)
    ours: list[float] = []
    heldout = TrialEnv(family, 1, config.episodes, horizon=config.horizon, split="heldout")
    laps = Laps(
        heldout,
        0,
        UNLIMITED,
        0,
        meanwhile=lambda: ours.append(trainer.iterate(0.0).seconds),
        most=config.rounds + WARM_UP,
    )
    setting = usual_setting(family, 0, num_envs=config.num_envs, episodes=config.episodes, horizon=config.horizon)
    with torch_threads(1):
        train_recurrent_ppo(setting, laps)
    for env in (heldout, trainer.env):
        env.close()
    rounds = list(zip(ours, laps.seconds_of_each, strict=True))[WARM_UP:]
    return rates_of(rounds, trainer.steps_per_iteration)


@dataclass(kw_only=True)
class Laps(TimedTraining):
    """Lets others train for so many iterations, and does something else after each, off their clock."""

    meanwhile: Callable[[], None]
    most: int
    seconds_of_each: list[float] = field(default_factory=list)

    def __call__(self, steps: int, make_act: MakeAct) -> bool:
        super().__call__(steps, make_act)
        self.seconds_of_each.append(self.share * self.seconds - sum(self.seconds_of_each))
        self.meanwhile()
        self.begin()
        return len(self.seconds_of_each) < self.most


Rounds = Sequence[tuple[Iteration, Iteration]]
"""An iteration of ours, and one of theirs, for each round."""


def iterations_in_turn(
    ours: Trainer,
    theirs: Trainer,
    rounds: int,
    *,
    where: tuple[Callable[[], AbstractContextManager[None]], ...] = (nullcontext, nullcontext),
) -> Rounds:
    """Returns what both took in each round, and closes their envs; where: contexts that each iterates in."""
    found = []
    for _ in range(rounds + WARM_UP):
        with where[0]():
            own = ours.iterate(0.0)
        with where[1]():
            found.append((own, theirs.iterate(0.0)))
    for trainer in (ours, theirs):
        trainer.env.close()
    return found[WARM_UP:]


def rates_of_iterations(rounds: Rounds, steps: int) -> Outcome:
    """Returns env steps a second."""
    return rates_of([(own.seconds, other.seconds) for own, other in rounds], steps)


def trainer_of(
    family: TaskFamily,
    config: BenchConfig,
    *,
    overlap: bool = False,
    ppo: PPOConfig = DEFAULT_PPO,
    ranks: Ranks = ALONE,
) -> Trainer:
    """Returns a trainer of the benchmark's size, on the cores that this thread may use now."""
    device, threads = choose_device(config.device), choose_threads(None, overlap=overlap)
    return make_trainer(
        family,
        num_envs=config.num_envs,
        episodes=config.episodes,
        horizon=config.horizon,
        ppo=ppo,
        overlap=overlap,
        num_threads=threads.learning,
        device=device,
        engine=choose_engine(config.physics, device, threads.simulating),
        ranks=ranks,
    )
