"""The trainer of a run."""

import dataclasses
import math
import shlex
from functools import partial
from pathlib import Path

import torch

from limbshift.agents import chosen_belief_size
from limbshift.agents.controller import Controller
from limbshift.envs.errors import InputError
from limbshift.envs.family import TaskFamily
from limbshift.envs.mjcf.families import MjcfFamily
from limbshift.envs.mjcf.robot import MjcfRobot
from limbshift.experiments.configs import TrainConfig
from limbshift.experiments.runs.controllers import check_family, find_controller, load_controller
from limbshift.experiments.runs.devices import choose_engine, choose_threads
from limbshift.experiments.runs.directory import TEACHER, robot_file
from limbshift.experiments.runs.families import absolute_reference
from limbshift.experiments.runs.resume import BUDGET, flattened, read_config
from limbshift.meta.distillation.distiller import Distiller, check_shown
from limbshift.meta.ranks.alone import ALONE, Ranks
from limbshift.meta.rl2.build import make_trainer
from limbshift.meta.rl2.config import PPOConfig, with_own
from limbshift.meta.rl2.ppo import PPO
from limbshift.meta.rl2.precision import choose_precision
from limbshift.meta.rl2.trainer import Trainer

OF_THE_RUN = (
    *("run_dir", "resume", "device", "threads", "ranks", "eval_minutes", "video_minutes"),
    *("log", "wandb", "wandb_group", "wandb_tags"),
)
"""Settings that change nothing of what is learnt."""


def trainer_of(
    config: TrainConfig,
    family: TaskFamily,
    device: torch.device,
    *,
    teacher: Controller | None = None,
    ranks: Ranks = ALONE,
    ranks_beside: int = 1,
) -> Trainer:
    """Returns the trainer that the configuration describes.

    teacher: that is to be imitated. ranks_beside: how many ranks, this one among them, share the configuration's
    threads.
    """
    own_threads = max(1, config.threads // ranks_beside) if config.threads else None
    threads = choose_threads(own_threads, overlap=config.overlap)
    return make_trainer(
        family,
        num_envs=config.num_envs,
        episodes=config.episodes,
        horizon=config.horizon,
        seed=config.seed,
        memory=not config.no_memory,
        sees_reward=not config.hide_reward,
        observe_task=config.observe_task,
        hidden_size=config.hidden_size,
        cell=config.cell,
        head=config.head,
        belief_size=config.belief_size,
        gamma=config.gamma,
        initial_log_std=config.initial_log_std,
        shift_probability=config.shift_probability,
        mirror=config.mirror,
        ppo=scaled(config.ppo, ranks.size) if config.scale_learning_rate else config.ppo,
        overlap=config.overlap,
        precision=config.precision,
        num_threads=threads.learning,
        device=device,
        engine=choose_engine(config.physics, device, threads.simulating),
        ranks=ranks,
        learner=partial(Distiller, teacher=teacher.policy.to(device)) if teacher else PPO,
    )


def teacher_of(config: TrainConfig, family: TaskFamily) -> Controller | None:
    """Returns the controller that is to be imitated, if one is; a resumed run's is the one that it keeps."""
    if not config.teacher:
        return None
    kept = config.run_dir / TEACHER if config.resume and config.run_dir else config.teacher
    teacher = load_controller(kept)
    check_family(teacher, family)
    check_shown(teacher.policy)
    card = teacher.card
    if card.variant != family.variant:
        raise InputError(f"teacher was trained on variant {card.variant}, expected {family.variant} as the student's")
    if isinstance(family.robot, MjcfRobot) and card.robot:
        own = robot_file(find_controller(kept).parent)
        if own.is_file() and not family.robot.same_as(MjcfRobot.load(own, card.robot)):
            raise InputError(f"teacher moves the robot in {own}, expected the student's {family.robot.name}")
    return teacher


def resolved(config: TrainConfig, family: TaskFamily, device: torch.device) -> TrainConfig:
    """Returns the configuration with what it leaves to the family and to the machine."""
    if config.overlap and config.physics != "mujoco":
        raise InputError(f"overlap is of physics on mujoco, expected no --physics {config.physics} beside it")
    own_belief_size = 0 if config.teacher else family.belief_size  # who imitates is not told its task at first
    return dataclasses.replace(
        config,
        family=family.name,
        variant=family.variant,
        robot=config.robot or own_robot(family),
        family_file=absolute_reference(config.family_file) if config.family_file else None,
        device="cuda" if device.type == "cuda" else "cpu",
        precision="bfloat16" if choose_precision(config.precision, device) == torch.bfloat16 else "float32",
        episodes=config.episodes or family.episodes_per_trial,
        horizon=config.horizon or family.horizon,
        gamma=family.gamma if config.gamma is None else config.gamma,
        initial_log_std=family.initial_log_std if config.initial_log_std is None else config.initial_log_std,
        belief_size=chosen_belief_size(
            config.belief_size,
            own_belief_size,
            config.cell,
            memory=not config.no_memory,
            sees_task=config.observe_task,
        ),
        ppo=with_own(config.ppo, family),
    )


def own_robot(family: TaskFamily) -> Path | None:
    """Returns what names a robot of the user's own that a teacher brought along; the run keeps its files."""
    return Path(f"{family.robot.name}.xml") if isinstance(family, MjcfFamily) else None


def training_command(run: Path, family: TaskFamily) -> str:
    """Returns the command that trains as a run did, with what differs from the family's defaults."""
    config = read_config(run)
    defaults = flattened(vars(resolved(TrainConfig(family.name, variant=family.variant), family, torch.device("cpu"))))
    words = ["limbshift", "train", shlex.quote(family.name)]
    if family.variant != "default":
        words += ["--variant", shlex.quote(family.variant)]
    for name, value in flattened(vars(config)).items():
        usual = None if name in (*BUDGET, "robot") else defaults[name]
        if name not in OF_THE_RUN and value != usual:
            words += [f"--{name.replace('_', '-')}", *([] if value is True else [shlex.quote(f"{value}")])]
    return " ".join(words)


def about_pieces(trainer: Trainer) -> list[str]:
    """Returns a line where trials are learnt from whole, whatever length of pieces is set."""
    if not trainer.policy.spec.whole_trials:
        return []
    return ["A transformer learns from whole trials: --ppo.sequence-length is for other cells"]


def scaled(config: PPOConfig, num_ranks: int) -> PPOConfig:
    """Returns the settings for minibatches that many times larger: learning rates times the square root of that.

    Source: Krizhevsky, "One weird trick for parallelizing convolutional neural networks" (2014), section 3.1, for
    which Malladi et al., "On the SDEs and scaling rules for adaptive gradient algorithms" (2022), give the reason with
    Adam.

    >>> scaled(PPOConfig(learning_rate=1e-3, final_learning_rate=1e-4), 4).learning_rate
    0.002
    """
    factor = math.sqrt(num_ranks)
    return dataclasses.replace(
        config, learning_rate=factor * config.learning_rate, final_learning_rate=factor * config.final_learning_rate
    )
