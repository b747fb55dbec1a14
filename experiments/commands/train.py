"""Meta-trains a controller: the run from its configuration to its controller file."""

import dataclasses
import shlex
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial, wraps
from inspect import signature
from pathlib import Path
from typing import Any, Concatenate, NamedTuple, ParamSpec, TypeVar

from rich.console import Console

from limbshift.agents import ActionHead, RecurrentCell
from limbshift.envs.catalogue import families, make_family
from limbshift.envs.errors import InputError
from limbshift.envs.family import TaskFamily
from limbshift.envs.mjcf.fall_rule import FallLimit
from limbshift.envs.mjcf.families import MjcfFamily, about, check_stands
from limbshift.envs.mjcf.robot import MjcfRobot
from limbshift.envs.physics import EngineName
from limbshift.experiments.configs import Device, Log, TrainConfig, WandbMode
from limbshift.experiments.logs.logger import MetricsLogger
from limbshift.experiments.logs.make import check_log
from limbshift.experiments.ranks.cores import device_of
from limbshift.experiments.ranks.environment import started_ranks
from limbshift.experiments.ranks.joining import Joined, about_ranks, check_same, joined
from limbshift.experiments.ranks.launch import launch
from limbshift.experiments.ranks.orders import follow
from limbshift.experiments.runs.budget import name_spent_budget
from limbshift.experiments.runs.controllers import load_with_family
from limbshift.experiments.runs.devices import choose_device
from limbshift.experiments.runs.directory import make_directory, open_run, robot_file
from limbshift.experiments.runs.families import named_family
from limbshift.experiments.runs.resume import config_of
from limbshift.experiments.runs.session import Session
from limbshift.experiments.runs.trainers import about_pieces, resolved, teacher_of, trainer_of, training_command
from limbshift.experiments.sharing.publish import publish
from limbshift.experiments.terminal import make_console
from limbshift.meta.rl2.build import DEFAULT_PPO
from limbshift.meta.rl2.config import PPOConfig, Precision

OWN_DEFAULT = "Limbs"
"""The family of a robot of the user's own, unless another is named."""
P = ParamSpec("P")
R = TypeVar("R")


class TrainingOutcome(NamedTuple):
    """What came of a training."""

    run_dir: Path
    finished: bool
    """Whether the budget was reached; False where the user interrupted before."""


def with_given(function: Callable[Concatenate[Mapping[str, Any], P], R]) -> Callable[P, R]:
    """Passes, before all else, the keyword arguments that a caller wrote: a resumed run keeps the other settings."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return function(kwargs, *args, **kwargs)

    _, *declared = signature(function).parameters.values()
    call.__signature__ = signature(function).replace(parameters=declared)  # type: ignore[attr-defined]
    return call


@with_given
def train(
    given: Mapping[str, Any],
    family: str | TaskFamily = "",
    *,
    robot: str | Path | None = None,
    fall_height: FallLimit = None,
    fall_tilt: FallLimit = None,
    allow_outside: bool = False,
    family_file: str | None = None,
    variant: str = "default",
    minutes: float | None = None,
    steps: int | None = None,
    seed: int = 0,
    run_dir: str | Path | None = None,
    resume: bool = False,
    num_envs: int = 32,
    episodes: int | None = None,
    horizon: int | None = None,
    device: Device = "auto",
    physics: EngineName = "mujoco",
    ranks: int | None = None,
    scale_learning_rate: bool = False,
    threads: int | None = None,
    overlap: bool = False,
    precision: Precision = "float32",
    log: Log = "wandb",
    wandb: WandbMode = "auto",
    wandb_group: str = "",
    wandb_tags: tuple[str, ...] = (),
    no_memory: bool = False,
    observe_task: bool = False,
    teacher: str | Path | None = None,
    hide_reward: bool = False,
    train_tasks: int | None = None,
    shift_probability: float = 0.0,
    mirror: bool = False,
    gamma: float | None = None,
    initial_log_std: float | None = None,
    hidden_size: int = 128,
    cell: RecurrentCell = "lstm",
    head: ActionHead = "linear",
    belief_size: int | None = None,
    eval_minutes: float = 2.0,
    video_minutes: float = 10.0,
    ppo: PPOConfig = DEFAULT_PPO,
) -> Path:
    """Meta-trains a controller and returns the run directory. Ctrl-C saves, and then raises KeyboardInterrupt.

    Args:
        family: a task family's name, or a family of the caller's own as an object.
        robot: MJCF file of a robot of the caller's own; `family` is then Limbs (the default),
            Payload, Ground, Motors or Wiring.
        allow_outside: with robot, whether it may refer to files outside its directory.
        fall_height, fall_tilt: with robot, the share of its starting height and the degrees of tilt beyond
            which it has fallen; "none" for never.
        family_file: a family of the caller's own as "FILE.py:Class" or "module:Class".
        variant: variant of the family.
        minutes, steps: the budget, in minutes of training or env steps over all simulations; 10
            minutes where neither is given. With resume, the new total.
        seed: makes everything: weights, tasks, initial states, exploration.
        run_dir: where the run's files go; by default a new directory below runs/.
        resume: go on with the run in run_dir. What is not given stays as it was; what contradicts
            the run is refused, even where it equals a default.
        num_envs: trials side by side.
        episodes, horizon: episodes in a trial and steps in an episode; by default the family's.
        device, physics: where the network lives; "mujoco" or "warp".
        ranks: processes that learn as one, each from num_envs trials, on its share of this machine's
            cores; by default one, or as many as torchrun started. For a family that is named, or of a file.
        scale_learning_rate: multiply the learning rates by the square root of ranks.
        threads: CPU threads for simulation and learning, of all of a machine's ranks; by default as
            many as there are cores.
        overlap: whether the next trials are collected while the last are learnt from.
        precision: of the update: "float32", "bfloat16", or "auto", which asks the hardware.
        log: where metrics go beside metrics.jsonl: "wandb" or "tensorboard".
        wandb: Weights & Biases: "auto", "online", "offline" or "disabled".
        wandb_group, wandb_tags: of the W&B run.
        no_memory: train without recurrent state, previous action and reward.
        observe_task: show the policy its task: the oracle.
        teacher: a run directory or a file of a controller that sees its task, which is imitated in place of
            learning from rewards; the family is its own unless another is named.
        hide_reward: adapt from observations and actions alone.
        train_tasks: train on this many tasks, drawn once; by default on the family's own.
        shift_probability: share of trials whose task changes once, unannounced, at a random step.
        mirror: see half of the trials in a mirror, for robots that are alike on both sides.
        gamma, initial_log_std: discount, and logarithm of the standard deviation of an untrained
            policy's actions; by default the family's.
        hidden_size, cell: width of encoder and recurrent cell; "lstm", "gru" or "transformer".
        head: what reads actions: "linear" or "hyper", a hypernetwork.
        belief_size: width of a belief network, whose guess at its task the policy sees; 0 for none; by
            default the family's.
        eval_minutes, video_minutes: minutes of training between looks at held-out tasks, and videos.
        ppo: how the policy is improved.

    Raises InputError for a value that cannot be used.

    >>> import tempfile
    >>> import limbshift
    >>> from pathlib import Path
    >>> run = limbshift.train(
    ...     "HalfCheetahDir", steps=1, num_envs=4, horizon=5, hidden_size=8, wandb="disabled",
    ...     run_dir=Path(tempfile.mkdtemp()) / "run",
    ... )  # doctest: +ELLIPSIS
    Meta-training on HalfCheetahDir: network on ..., physics on mujoco, files in ...
    >>> limbshift.load_controller(run).card.steps  # one iteration of 4 trials of 2 episodes of 5 steps
    40
    """
    settings = {name: value for name, value in given.items() if name != "family"}
    paths = {"robot": robot, "run_dir": run_dir, "teacher": teacher}
    settings |= {name: Path(path) for name, path in paths.items() if path}
    if isinstance(family, str):
        return _run_dir(run_training(config_of(settings | ({"family": family} if family else {}))))
    if given.get("variant", family.variant) != family.variant:
        raise InputError(f"variant is {variant}, expected {family.variant} as the family that is given has")
    settings |= {"family": family.name, "variant": family.variant, "family_file": None}
    return _run_dir(run_training(config_of(settings), family))


def _run_dir(outcome: TrainingOutcome) -> Path:
    """Returns the directory; raises KeyboardInterrupt where the user interrupted, so that the caller's loop ends."""
    if not outcome.finished:
        raise KeyboardInterrupt(f"interrupted; saved in {outcome.run_dir}")
    return outcome.run_dir


def run_training(
    config: TrainConfig, family: TaskFamily | None = None, console: Console | None = None
) -> TrainingOutcome:
    """Runs the command: trains until the budget is spent or the user interrupts.

    config: complete; that of a run to resume is what `resumed_config` returns.
    """
    if (config.ranks or 1) > 1 and not started_ranks():
        return _launched(config, family)
    with joined(config) as rank:
        return _run_rank(config, family, rank=rank, console=console or make_console())


def _launched(config: TrainConfig, family: TaskFamily | None) -> TrainingOutcome:
    """Trains in processes of their own."""
    if family:
        raise InputError(f"ranks is {config.ranks} with a family given as an object, expected its name or family_file")
    run = config.run_dir or _new_directory(chosen_family(config))
    return TrainingOutcome(run, launch(config, run))


def _new_directory(family: TaskFamily) -> Path:
    return make_directory(Path("runs") / f"{family.name}-{datetime.now():%Y%m%d-%H%M%S}")


def _run_rank(config: TrainConfig, family: TaskFamily | None, *, rank: Joined, console: Console) -> TrainingOutcome:
    """Trains in this process, alone or as one of several ranks: the others follow rank 0, which keeps the run."""
    ranks, place = rank.ranks, rank.place
    if not config.robot and (config.fall_height, config.fall_tilt) != (None, None):
        raise InputError("fall_height and fall_tilt are for robots of one's own, expected robot beside them")
    family = family or chosen_family(config)
    check_log(config.log)
    if not config.resume:
        check_stands(family)
    teacher = teacher_of(config, family)  # before a directory is made
    device = device_of(choose_device(config.device), place)
    config = dataclasses.replace(resolved(config, family, device), ranks=ranks.size)
    check_same(ranks, config, family)
    family = family.with_train_tasks(config.train_tasks)
    new_trainer = partial(trainer_of, config, family, device, teacher=teacher, ranks=ranks, ranks_beside=place.total)
    if ranks.rank:
        return TrainingOutcome(*follow(new_trainer()))
    with open_run(config.run_dir or _new_directory(family), config.resume) as run:
        session = Session(config, family, new_trainer(), run=run, console=console)
        if session.budget_spent >= 1:
            text = f"Nothing to train in {run}: {name_spent_budget(config, session.trainer.progress)}."
            console.print(text, highlight=False, soft_wrap=True)
            session.leader.stop(session.budget_spent)
            return TrainingOutcome(run, finished=True)
        for line in (*about(family), *about_ranks(rank, config), *about_pieces(session.trainer)):
            console.print(line, highlight=False, soft_wrap=True)

        def end(logger: MetricsLogger, *, note: Callable[[str], None]) -> None:
            publish(run, family, logger, how=training_command(run, family), note=note)

        finished = session.train(teacher, end)
    if finished:
        own = f" --family-file {shlex.quote(config.family_file)}" if config.family_file else ""
        line = f"Trained: limbshift evaluate {shlex.quote(str(run))}{own} tells how it adapts"
        console.print(line, highlight=False, soft_wrap=True)
    return TrainingOutcome(run, finished)


def chosen_family(config: TrainConfig) -> TaskFamily:
    """Returns the family asked for, of the user's own file or robot where there is one."""
    if config.family_file:
        if config.robot:
            raise InputError(f"robot is {config.robot}, expected none beside family_file, whose class has its own")
        return named_family(config.family, config.family_file, config.variant)
    if config.teacher and not config.family:
        return _family_of_teacher(config, config.teacher)
    if not config.robot:
        if config.resume and config.family not in families():
            raise InputError(
                f"run {config.run_dir} trains on {config.family}, a family that does not come with limbshift: expected"
                f" its class as --family-file FILE.py:{config.family}, or as an object in Python"
            )
        return make_family(config.family, config.variant)
    if config.resume and config.run_dir:
        robot = MjcfRobot.load(robot_file(config.run_dir), config.robot.stem)
    else:
        robot = MjcfRobot.from_xml(
            config.robot,
            fall_height=config.fall_height,
            fall_tilt=config.fall_tilt,
            allow_outside=config.allow_outside,
        )
    return MjcfFamily(config.family or OWN_DEFAULT, robot)


def _family_of_teacher(config: TrainConfig, teacher: Path) -> TaskFamily:
    """Returns the family that a teacher was trained on, with its robot and its variant."""
    if config.robot:
        raise InputError(f"robot is {config.robot}, expected none beside a teacher, whose robot is the student's")
    family = load_with_family(teacher)[1]
    if config.variant not in ("default", family.variant):
        raise InputError(f"variant is {config.variant}, expected {family.variant} as the teacher's")
    return family
