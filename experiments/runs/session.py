"""A run while it is being trained."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from limbshift.experiments.runs.budget import budget_spent
from limbshift.experiments.runs.devices import choose_engine
from limbshift.experiments.runs.directory import CHECKPOINT, CONFIG, CONTROLLER, ROBOT, VIDEO, write_json
from limbshift.experiments.runs.interrupt import graceful_interrupt
from limbshift.experiments.runs.loggers import MetricsLogger, make_logger
from limbshift.experiments.runs.progress import TrainingProgress
from limbshift.experiments.runs.resume import as_json
from limbshift.meta.checkpoint import save_checkpoint
from limbshift.meta.evaluation.trials import play
from limbshift.meta.rl2.build import make_trainer
from limbshift.meta.rl2.trainer import Iteration, Trainer

HELDOUT_TASKS = 32
"""Tasks of a look at the held-out split during training."""
SAVE_SECONDS = 30.0
"""Training time between checkpoints."""


def trainer_of(config: TrainConfig, family: TaskFamily, device: torch.device) -> Trainer:
    """Returns the trainer that the configuration describes."""
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


class Schedule:
    """Tells when something is due that is done again and again after so many seconds of training."""

    def __init__(self, period: float, now: float) -> None:
        self._period = period
        self._next = now + period

    def due(self, now: float) -> bool:
        """Returns whether it is time; if so, the next time is a period from now."""
        if now < self._next:
            return False
        self._next = now + self._period
        return True


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
        cls,
        config: TrainConfig,
        family: TaskFamily,
        device: torch.device,
        *,
        run: Path,
        console: Console,
        state: dict[str, Any] | None = None,
    ) -> "Session":
        """Sets a run up; with `state`, the content of its checkpoint, it goes on from there."""
        trainer = trainer_of(config, family, device)
        if state is not None:
            trainer.load_state_dict(state)
        elif isinstance(family.robot, MjcfRobot):
            with replacing(run / ROBOT) as temporary:
                family.robot.save(temporary)
        write_json(run / CONFIG, as_json(config, run))
        logger = make_logger(run, config.wandb, as_json(config, run), name=run.name, resume=config.resume)
        console.print(
            f"Meta-training on {family.name}: network on {device}, physics on {config.physics}, files in {run}",
            highlight=False,
            soft_wrap=True,
        )
        return cls(config, family, run, trainer, logger, console)

    def train(self) -> bool:
        """Trains until the budget is spent or the user interrupts; returns whether the budget is spent."""
        with (
            closing(self.logger),
            graceful_interrupt() as interrupt,
            TrainingProgress(self.family.name, self.console) as progress,
        ):
            now = self.trainer.progress.seconds
            saves = Schedule(SAVE_SECONDS, now)
            looks = Schedule(60 * self.config.eval_minutes, now)
            videos = Schedule(60 * self.config.video_minutes, now)
            over = False
            while not over:
                self._log(self.trainer.iterate(self.budget_spent), progress)
                now = self.trainer.progress.seconds
                over = self.budget_spent >= 1 or interrupt.requested
                if interrupt.requested:
                    progress.note("Interrupted: saving.")
                if over or saves.due(now):
                    self._save()
                if over or looks.due(now):
                    self._look_at_heldout(progress)
                if over or videos.due(now):
                    self._film(progress)
        return self.budget_spent >= 1

    @property
    def budget_spent(self) -> float:
        """The share of the budget that is spent."""
        return budget_spent(self.config, self.trainer.progress)

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
        progress.update(
            self.budget_spent, trainer.progress.steps, iteration.episode_returns, steps_per_second=steps_per_second
        )

    def _save(self) -> None:
        save_checkpoint(self.run / CHECKPOINT, self.trainer.state_dict())
        env = self.trainer.env
        card = ControllerCard(
            family=self.family.name,
            variant=self.family.variant,
            episodes_per_trial=env.episodes_per_trial,
            horizon=env.horizon,
            physics=self.config.physics,
            seed=self.config.seed,
            steps=self.trainer.progress.steps,
            minutes=self.trainer.progress.seconds / 60,
            robot=self.family.robot.name if isinstance(self.family.robot, MjcfRobot) else "",
        )
        low, high = self.family.robot.action_bounds()
        controller = Controller(copy_policy(self.trainer.policy), card, low, action_high=high)
        controller.save(self.run / CONTROLLER)

    def _look_at_heldout(self, progress: TrainingProgress) -> None:
        """Logs and tells the adaptation curve on held-out tasks, by mean actions."""
        env = TrialEnv(
            self.family,
            HELDOUT_TASKS,
            self.trainer.env.episodes_per_trial,
            horizon=self.trainer.env.horizon,
            split="heldout",
            seed=self.config.seed,
            observe_task=self.config.observe_task,
            engine=self.trainer.env.task_env.engine,
        )
        returns = play(env, PolicyActor(self.trainer.policy, HELDOUT_TASKS)).reward.sum(axis=-1).mean(axis=0).tolist()
        env.close()
        self.logger.log(by_episode("heldout/return", returns), self.trainer.progress.steps)
        minutes = self.trainer.progress.seconds / 60
        curve = ", ".join(f"{value:.1f}" for value in returns)
        progress.note(f"{minutes:.1f} min: held-out return by episode {curve}")

    def _film(self, progress: TrainingProgress) -> None:
        progress.note(f"Making the video {self.run / VIDEO}")
        path = self.run / VIDEO
        if render_policy(
            self.trainer.policy, self.family, self.trainer.env, path=path, seed=self.config.seed, note=progress.note
        ):
            self.logger.log_video("rollout", path, self.trainer.progress.steps)


def copy_policy(policy: RecurrentActorCritic) -> RecurrentActorCritic:
    """Returns an independent copy on the CPU."""
    copy = RecurrentActorCritic(policy.spec)
    copy.load_state_dict(policy.state_dict())
    return copy


def by_episode(name: str, returns: list[float]) -> dict[str, float]:
    """Returns one metric for each episode of the trial."""
    return {f"{name}_episode_{episode + 1}": value for episode, value in enumerate(returns)}
