"""A run while it is being trained."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console

from limbshift.agents.actor import PolicyActor
from limbshift.agents.atomic_write import replacing
from limbshift.agents.controller import Controller, ControllerCard
from limbshift.agents.recurrent import RecurrentActorCritic
from limbshift.envs.family import TaskFamily
from limbshift.envs.robots.mjcf_robot import MjcfRobot
from limbshift.envs.trial_env import TrialEnv
from limbshift.experiments.configs import TrainConfig
from limbshift.experiments.figures.video import render_policy
from limbshift.experiments.runs.devices import choose_engine
from limbshift.experiments.runs.directory import CHECKPOINT, CONFIG, CONTROLLER, ROBOT, VIDEO, write_json
from limbshift.experiments.runs.interrupt import graceful_interrupt
from limbshift.experiments.runs.loggers import MetricsLogger, make_logger
from limbshift.experiments.runs.progress import TrainingProgress
from limbshift.experiments.runs.resume import as_json
from limbshift.meta.checkpoint import load_checkpoint, save_checkpoint
from limbshift.meta.evaluation.adaptation import play
from limbshift.meta.rl2.build import make_trainer
from limbshift.meta.rl2.trainer import Iteration, Trainer

HELDOUT_TASKS = 32
"""Tasks of a look at the held-out split during training."""
SAVE_SECONDS = 30.0
"""Training time between checkpoints."""


def budget_spent(config: TrainConfig, trainer: Trainer) -> float:
    """Share of the budget that is gone; of two limits the one that is nearer."""
    shares = []
    if config.budget_minutes is not None:
        shares.append(trainer.progress.seconds / 60 / config.budget_minutes)
    if config.steps is not None:
        shares.append(trainer.progress.steps / config.steps)
    return max(shares)


def trainer_of(config: TrainConfig, family: TaskFamily, device: torch.device) -> Trainer:
    """As configured."""
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
        gamma=config.gamma,
        initial_log_std=config.initial_log_std,
        shift_probability=config.shift_probability,
        ppo=config.ppo,
        device=device,
        engine=choose_engine(config.physics, device),
    )


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
        trainer = trainer_of(config, family, device)
        if config.resume:
            trainer.load_state_dict(load_checkpoint(run / CHECKPOINT))
        else:
            write_json(run / CONFIG, as_json(config, run))
            if isinstance(family.robot, MjcfRobot):
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
            "train/reward_scale": iteration.reward_scale,
            "speed/steps_per_second": steps_per_second,
            "speed/env_share": iteration.env_seconds / iteration.seconds,
            "speed/policy_share": iteration.policy_seconds / iteration.seconds,
            "speed/update_share": iteration.update_seconds / iteration.seconds,
        }
        for name in ("learning_rate", "grad_norm", "explained_variance"):
            if (value := getattr(iteration, name)) is not None:
                metrics[f"train/{name}"] = value
        metrics |= by_episode("train/return", iteration.episode_returns)
        metrics |= by_episode("train/return_with_restarts", iteration.returns_with_restarts)
        metrics |= {f"loss/{name}": value for name, value in iteration.losses.items()}
        self.logger.log(metrics, trainer.progress.steps)
        spent = budget_spent(self.config, trainer)
        progress.update(spent, trainer.progress.steps, iteration.episode_returns, steps_per_second)

    def _save(self) -> None:
        save_checkpoint(self.run / CHECKPOINT, self.trainer.state_dict())
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
            self.family.robot.name if isinstance(self.family.robot, MjcfRobot) else "",
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
            engine=self.trainer.env.task_env.engine,
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


def copy_policy(policy: RecurrentActorCritic) -> RecurrentActorCritic:
    """An independent copy on the CPU."""
    copy = RecurrentActorCritic(policy.spec)
    copy.load_state_dict(policy.state_dict())
    return copy


def by_episode(name: str, returns: list[float]) -> dict[str, float]:
    """One metric for each episode of the trial."""
    return {f"{name}_episode_{episode + 1}": value for episode, value in enumerate(returns)}
