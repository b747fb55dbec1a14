"""Meta-trains a controller: the run from its configuration to its controller file."""

import dataclasses
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from agents.actor import PolicyActor
from agents.controller import Controller, ControllerCard
from agents.files import replacing
from agents.recurrent import PolicySpec, RecurrentActorCritic
from envs.errors import InputError
from envs.family import TaskFamily, make_family
from envs.own_robot import OwnFamily, OwnRobot
from envs.trial_env import TrialEnv
from experiments.configs import TrainConfig, choose_device, choose_engine
from experiments.interrupt import graceful_interrupt
from experiments.loggers import MetricsLogger, make_logger
from experiments.progress import TrainingProgress
from experiments.render import render_policy
from meta.adaptation import play
from meta.checkpoint import (
    CONFIG,
    CONTROLLER,
    ROBOT,
    VIDEO,
    RunError,
    load_checkpoint,
    open_run,
    read_json,
    save_checkpoint,
    write_json,
)
from meta.ppo import PPOConfig
from meta.trainer import Iteration, Trainer

HELDOUT_TASKS = 32
"""Tasks of a look at the held-out split during training."""
OWN_DEFAULT = "Limbs"
"""The family of a robot of the user's own, unless another is named."""
SAVE_SECONDS = 30.0
"""Training time between checkpoints."""
CHANGEABLE = (
    "preset", "minutes", "steps", "run_dir", "robot", "resume", "device", "wandb", "eval_minutes", "video_minutes"
)  # fmt: skip
"""Settings that a resumed run may change."""


def train(family: str | TaskFamily = "", **settings: Any) -> Path:
    """Meta-train a controller; settings are those of TrainConfig but preset. Returns the run directory.

    A family of the caller's own is given as an object.
    """
    if "preset" in settings:
        raise InputError("preset is for the command line, expected its settings as arguments")
    if isinstance(family, str):
        return run_training(TrainConfig(family=family, **settings))
    return run_training(TrainConfig(family=family.name, variant=family.variant, **settings), family)


def run_training(config: TrainConfig, family: TaskFamily | None = None, console: Console | None = None) -> Path:
    """The command: trains until the budget is spent or the person interrupts."""
    family = family or chosen_family(config)
    device = choose_device(config.device)
    config = dataclasses.replace(config, family=family.name, device="cuda" if device.type == "cuda" else "cpu")
    run_dir = config.run_dir or free_directory(Path("runs") / f"{family.name}-{datetime.now():%Y%m%d-%H%M%S}")
    with open_run(run_dir, config.resume) as run:
        if config.resume:
            config = resumed_config(config, read_json(run / CONFIG))
        family = family.with_train_tasks(config.train_tasks)
        session = Session.begin(config, family, device, run, console or Console())
        session.train()
    return run_dir


def chosen_family(config: TrainConfig) -> TaskFamily:
    """The family asked for, or that of the run to resume; with a robot of the user's own, over that robot."""
    run = config.run_dir if config.resume else None
    kept = read_json(run / CONFIG) if run and (run / CONFIG).is_file() else {}
    name = config.family or kept.get("family", OWN_DEFAULT if config.robot else "")
    if run and kept.get("robot"):
        return OwnFamily(name, OwnRobot.load(run / ROBOT, Path(kept["robot"]).stem))
    if config.robot:
        return OwnFamily(name, OwnRobot.from_xml(config.robot))
    return make_family(name, kept.get("variant", config.variant))


def free_directory(path: Path) -> Path:
    """The path, numbered if it is taken."""
    candidate, number = path, 2
    while candidate.exists():
        candidate = path.with_name(f"{path.name}-{number}")
        number += 1
    return candidate


def resumed_config(config: TrainConfig, saved: dict[str, Any]) -> TrainConfig:
    """The saved settings with the budgets of now; a setting that contradicts the run is refused."""
    default = asdict(TrainConfig(family=config.family))
    given = asdict(config)
    for name, value in given.items():
        differs = value != saved[name] and (name == "family" or value != default[name])
        if name not in CHANGEABLE and differs:
            raise RunError(f"{name} is {value}, expected {saved[name]} as the run was begun with")
    kept = {name: value for name, value in saved.items() if name not in CHANGEABLE and name != "ppo"}
    return dataclasses.replace(config, **kept, ppo=PPOConfig(**saved["ppo"]))


def as_json(config: TrainConfig, run: Path) -> dict[str, Any]:
    """The configuration without paths that JSON could not hold."""
    paths = {name: str(path) if path else None for name, path in (("robot", config.robot), ("preset", config.preset))}
    return {**asdict(config), "run_dir": str(run), **paths}


def budget_spent(config: TrainConfig, trainer: Trainer) -> float:
    """Share of the budget that is gone; of two limits the one that is nearer."""
    shares = []
    if config.budget_minutes is not None:
        shares.append(trainer.progress.seconds / 60 / config.budget_minutes)
    if config.steps is not None:
        shares.append(trainer.progress.steps / config.steps)
    return max(shares)


@dataclass
class Session:
    """A run while it is being trained."""

    config: TrainConfig
    family: TaskFamily
    run: Path
    trainer: Trainer
    logger: MetricsLogger
    console: Console

    @classmethod
    def begin(
        cls, config: TrainConfig, family: TaskFamily, device: torch.device, run: Path, console: Console
    ) -> "Session":
        """Set up, or take up where the run's checkpoint was written."""
        trainer = make_trainer(config, family, device)
        if config.resume:
            trainer.load_state_dict(load_checkpoint(run))
        else:
            write_json(run / CONFIG, as_json(config, run))
            if isinstance(family.robot, OwnRobot):
                with replacing(run / ROBOT) as temporary:
                    family.robot.save(temporary)
        logger = make_logger(run, config.wandb, as_json(config, run), run.name, config.resume)
        console.print(
            f"Meta-training on {family.name}: network on {device}, physics on {config.physics}, files in {run}",
            highlight=False,
            soft_wrap=True,
        )
        return cls(config, family, run, trainer, logger, console)

    def train(self) -> None:
        """Iterate until the budget is spent; look at held-out tasks, save and film on the way."""
        trainer, seconds = self.trainer, self.trainer.progress.seconds
        next_save, next_eval = seconds + SAVE_SECONDS, seconds + 60 * self.config.eval_minutes
        next_video = seconds + 60 * self.config.video_minutes
        with (
            closing(self.logger),
            graceful_interrupt() as interrupt,
            TrainingProgress(self.family.name, self.console) as progress,
        ):
            while (spent := budget_spent(self.config, trainer)) < 1 or not trainer.progress.iterations:
                iteration = trainer.iterate(spent)
                self._log(iteration, progress)
                seconds = trainer.progress.seconds
                if interrupt.requested:
                    progress.note("Interrupted: saving.")
                    break
                if seconds >= next_save:
                    self._save()
                    next_save = seconds + SAVE_SECONDS
                if seconds >= next_eval:
                    self._look_at_heldout(progress)
                    next_eval = seconds + 60 * self.config.eval_minutes
                if seconds >= next_video:
                    self._film(progress)
                    next_video = seconds + 60 * self.config.video_minutes
            self._save()
            self._look_at_heldout(progress)
            self._film(progress)

    def _log(self, iteration: Iteration, progress: TrainingProgress) -> None:
        trainer = self.trainer
        steps_per_second = trainer.collector.storage.reward.numel() / iteration.seconds
        metrics = {
            "train/minutes": trainer.progress.seconds / 60,
            "train/terminations_per_episode": iteration.terminations,
            "train/action_std": iteration.action_std,
            "speed/steps_per_second": steps_per_second,
            "speed/env_share": iteration.env_seconds / iteration.seconds,
            "speed/policy_share": iteration.policy_seconds / iteration.seconds,
            "speed/update_share": iteration.update_seconds / iteration.seconds,
        }
        metrics |= by_episode("train/return", iteration.episode_returns)
        metrics |= {f"loss/{name}": value for name, value in iteration.losses.items()}
        self.logger.log(metrics, trainer.progress.steps)
        spent = budget_spent(self.config, trainer)
        progress.update(spent, trainer.progress.steps, iteration.episode_returns, steps_per_second)

    def _save(self) -> None:
        save_checkpoint(self.run, self.trainer.state_dict())
        env = self.trainer.env
        card = ControllerCard(
            self.family.name,
            self.family.variant,
            env.episodes_per_trial,
            env.horizon,
            self.config.physics,
            self.config.seed,
            self.trainer.progress.steps,
            self.trainer.progress.seconds / 60,
            self.family.robot.name if isinstance(self.family.robot, OwnRobot) else "",
        )
        controller = Controller(copy_policy(self.trainer.policy), card, *self.family.robot.action_bounds())
        controller.save(self.run / CONTROLLER)

    def _look_at_heldout(self, progress: TrainingProgress) -> None:
        """The adaptation curve on held-out tasks, mean actions."""
        policy, shape = self.trainer.policy, (self.trainer.env.episodes_per_trial, self.trainer.env.horizon)
        env = TrialEnv(
            self.family,
            HELDOUT_TASKS,
            *shape,
            "heldout",
            self.config.seed,
            observe_task=self.config.observe_task,
            engine=self.trainer.env.tasks.engine,
        )
        returns = play(env, PolicyActor(policy, HELDOUT_TASKS)).reward.sum(axis=-1).mean(axis=0).tolist()
        env.close()
        self.logger.log(by_episode("heldout/return", returns), self.trainer.progress.steps)
        minutes = self.trainer.progress.seconds / 60
        curve = ", ".join(f"{value:.1f}" for value in returns)
        progress.note(f"{minutes:.1f} min: held-out return by episode {curve}")

    def _film(self, progress: TrainingProgress) -> None:
        path = self.run / VIDEO
        if render_policy(self.trainer.policy, self.family, self.trainer.env, path, self.config.seed, progress.note):
            self.logger.log_video("rollout", path, self.trainer.progress.steps)


def make_trainer(config: TrainConfig, family: TaskFamily, device: torch.device) -> Trainer:
    """Env, policy and learner as configured, all from the one seed."""
    env = TrialEnv(
        family,
        config.num_envs,
        config.episodes,
        config.horizon,
        seed=config.seed,
        observe_task=True,  # for the learner; the policy looks at it only where it is the oracle
        shift_probability=config.shift_probability,
        engine=choose_engine(config.physics, device),
    )
    spec = PolicySpec(
        env.tasks.obs_dim,
        env.tasks.action_dim,
        task_dim=len(family.parameters) if config.observe_task else 0,
        hidden_size=config.hidden_size,
        cell=config.cell,
        memory=not config.no_memory,
        sees_reward=not config.hide_reward,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        log_std = family.initial_log_std if config.initial_log_std is None else config.initial_log_std
        policy = RecurrentActorCritic(spec, log_std).to(device)
    gamma = family.gamma if config.gamma is None else config.gamma
    return Trainer(env, policy, config.ppo, gamma, config.seed)


def copy_policy(policy: RecurrentActorCritic) -> RecurrentActorCritic:
    """An independent copy on the CPU."""
    copy = RecurrentActorCritic(policy.spec)
    copy.load_state_dict(policy.state_dict())
    return copy


def by_episode(name: str, returns: list[float]) -> dict[str, float]:
    """One metric for each episode of the trial."""
    return {f"{name}_episode_{episode + 1}": value for episode, value in enumerate(returns)}
