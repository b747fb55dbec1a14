"""A run while it is being trained."""

import shlex
from collections.abc import Callable
from contextlib import closing
from copy import deepcopy
from pathlib import Path
from typing import Any, Protocol

import torch
from rich.console import Console

from limbshift.agents.actor import PolicyActor
from limbshift.agents.controller import Controller
from limbshift.agents.controller_file import ControllerCard
from limbshift.envs.errors import InputError, RunFailure
from limbshift.envs.family import TaskFamily
from limbshift.envs.mjcf.robot import MjcfRobot
from limbshift.envs.tasks.task_space import VALIDATION
from limbshift.envs.trial_env import TrialEnv
from limbshift.experiments.configs import TrainConfig
from limbshift.experiments.films.video import render_policy
from limbshift.experiments.logs.logger import MetricsLogger
from limbshift.experiments.logs.make import make_logger
from limbshift.experiments.logs.metrics_file import JsonlLogger
from limbshift.experiments.logs.weights_and_biases import WandbRun
from limbshift.experiments.ranks.orders import Leader
from limbshift.experiments.runs.budget import Schedule, budget_spent, long_iteration
from limbshift.experiments.runs.directory import (
    CHECKPOINT,
    CONFIG,
    CONTROLLER,
    VIDEO,
    DiskError,
    has_checkpoint,
    telling_of_the_disk,
)
from limbshift.experiments.runs.interrupt import Interrupt, graceful_interrupt
from limbshift.experiments.runs.progress import TrainingProgress, by_episode, metrics_of
from limbshift.experiments.runs.resume import keep_settings, lasting_settings
from limbshift.meta.checkpoint import Checkpoints, save_checkpoint
from limbshift.meta.diverged_trial import trace_back
from limbshift.meta.evaluation.trials import play
from limbshift.meta.rl2.iteration import Iteration
from limbshift.meta.rl2.trainer import GradientError, Trainer
from limbshift.meta.rl2.trainer_state import check_like

LOOK_TASKS = 32
"""Tasks of a look during training, which chooses the best checkpoint: never held-out ones."""
SAVE_SECONDS = 30.0
"""Training time between checkpoints."""
MAX_DUMPS = 3
"""Diverged trials that a run keeps."""
UNSOUND_BATCH = "unsound-batch.pt"
"""What `Trainer.learn_again` takes, where training stopped for gradients that were not finite."""


class Publish(Protocol):
    """Hands what came of a training to a logger, and notes what it does."""

    def __call__(self, logger: MetricsLogger, *, note: Callable[[str], None]) -> None: ...


class Session:
    """A run while it is being trained; with `config.resume` it goes on from the directory's newest checkpoint.

    One that was killed before its first begins anew, with its settings.
    """

    def __init__(
        self, config: TrainConfig, family: TaskFamily, trainer: Trainer, *, run: Path, console: Console
    ) -> None:
        self.config = config
        self.family = family
        self.run = run
        self.console = console
        self.trainer = trainer
        self.leader = Leader(trainer)
        weights = sum(tensor.nbytes for tensor in trainer.policy.state_dict().values())
        max_bytes = 8 * weights + 64 * config.num_envs + 2**24  # twice what a state takes, and room for others' ranks
        self.checkpoints = Checkpoints(run / CHECKPOINT, lasting_settings(config), max_bytes=max_bytes)
        self.saves = Schedule(SAVE_SECONDS)
        self.looks = Schedule(60 * config.eval_minutes)
        self.videos = Schedule(60 * config.video_minutes)
        self.best: float | None = None
        """The highest return on validation tasks so far."""
        self.dumps = 0
        """How many diverged trials were kept."""
        self._warned = False
        self.saved_at = -1
        """The env steps of the last checkpoint."""
        self.leader.begin(run)
        if config.resume and has_checkpoint(run):
            self._load(self.checkpoints.load(self._check, self._tell))

    def train(self, teacher: Controller | None = None, publish: Publish | None = None) -> bool:
        """Trains until the budget is spent or the user interrupts; returns whether it is. The run keeps its teacher.

        publish: called at the end of the budget, where more than a file logs.
        """
        with graceful_interrupt() as interrupt:
            settings = keep_settings(self.run, self.config, self.family, teacher=teacher)
            resume_at = self.trainer.progress.steps if self.config.resume else None
            config = self.config
            asked = WandbRun(self.run.name, config.wandb, config.wandb_group, config.wandb_tags)
            self.logger = make_logger(self.run, config.log, asked, config=settings, resume_at=resume_at)
            with closing(self.logger), TrainingProgress(self.family.name, self.console) as progress:
                self._train(progress, interrupt, publish)
        return self.budget_spent >= 1

    def _train(self, progress: TrainingProgress, interrupt: Interrupt, publish: Publish | None) -> None:
        progress.note(self._about())
        while not (interrupt.requested or self.leader.asked_to_stop or progress.closed or self.budget_spent >= 1):
            self._iterate(progress)
        if interrupt.requested or self.leader.asked_to_stop:
            progress.note("Interrupted: saving.")
        if self.saved_at != self.trainer.progress.steps:
            self._save()
        self.leader.stop(self.budget_spent)
        interrupt.immediate = True
        if self.budget_spent < 1:
            progress.note(f"To go on: limbshift train --resume --run-dir {shlex.quote(str(self.run))}")
        elif not interrupt.requested:
            self._film(progress)
            if publish and not interrupt.requested and not isinstance(self.logger, JsonlLogger):
                publish(self.logger, note=progress.note)
        if self.config.log == "wandb" and not isinstance(self.logger, JsonlLogger):
            progress.note("Finishing the Weights & Biases run")

    def _about(self) -> str:
        """Returns what is trained, where, and from where it goes on."""
        device, done = self.trainer.policy.log_std.device, self.trainer.progress
        precision = "" if self.config.precision == "float32" else f" in {self.config.precision}"
        begin = f"going on after {done.steps:,} steps, {done.seconds / 60:.1f} min: " if done.steps else ""
        where = f"network on {device}{precision}, physics on {self.config.physics}, files in {self.run}"
        return f"Meta-training on {self.family.name}: {begin}{where}"

    def _iterate(self, progress: TrainingProgress) -> None:
        """Runs an iteration and what is due after it; a checkpoint comes after all that is logged at its step."""
        try:
            iteration = self.leader.iterate(self.budget_spent)
        except GradientError as error:
            save_checkpoint(self.run / UNSOUND_BATCH, error.batch, steps=self.trainer.progress.steps)
            raise RunFailure(f"{error}: {self._last_good()}, and the batch is in {self.run / UNSOUND_BATCH}") from error
        self._log(iteration, progress)
        if not self._warned and (warning := long_iteration(iteration, self.config, self.trainer.progress)):
            self._warned = True
            progress.note(warning)
        if self.trainer.divergence and self.dumps < MAX_DUMPS:
            self._keep_divergence(progress)
        now, finished = self.trainer.progress.seconds, self.budget_spent >= 1
        is_best = (self.looks.due(now) or finished) and self._look(progress)
        film = self.videos.due(now) and not finished  # the last one is made when all is saved
        if self.saves.due(now) or is_best or film:
            self._save(best=is_best)
        if film:
            self._film(progress)

    @property
    def budget_spent(self) -> float:
        """The share of the budget that is spent."""
        return budget_spent(self.config, self.trainer.progress)

    def _log(self, iteration: Iteration, progress: TrainingProgress) -> None:
        metrics, steps = metrics_of(iteration, self.trainer), self.trainer.progress.steps
        self.logger.log(metrics, steps)
        rate = metrics["speed/steps_per_second"]
        progress.update(self.budget_spent, steps, iteration.episode_returns, steps_per_second=rate)

    def state_dict(self) -> dict[str, Any]:
        """Returns all that a run needs to go on as if it had never been stopped."""
        return {**self.leader.state_dict(), "session": self._own_state()}

    def _own_state(self) -> dict[str, Any]:
        return {
            "saves": self.saves.last,
            "looks": self.looks.last,
            "videos": self.videos.last,
            "dumps": self.dumps,
            "best": [] if self.best is None else [torch.tensor(self.best, dtype=torch.float64)],
        }

    def _check(self, state: dict[str, Any]) -> None:
        """Raises InputError for a state that this run cannot go on from."""
        self.trainer.check({name: value for name, value in state.items() if name != "session"})
        if "session" in state:  # older checkpoints hold none
            own, found = self._own_state(), state["session"]
            looked = isinstance(found, dict) and isinstance(found.get("best"), list) and found["best"]
            best = [torch.zeros((), dtype=torch.float64)] if looked else []
            check_like(found, {**own, "best": best}, "session")

    def _load(self, state: dict[str, Any]) -> None:
        now = state["progress"][1]
        own = state.pop("session", {"saves": now, "looks": now, "videos": now, "dumps": 0, "best": []})
        self.leader.load_state_dict(state)
        self.saves.last, self.looks.last, self.videos.last = own["saves"], own["looks"], own["videos"]
        self.dumps = own["dumps"]
        self.best = float(own["best"][0]) if own["best"] else None
        self.saved_at = self.trainer.progress.steps

    def _save(self, *, best: bool = False) -> None:
        """Writes checkpoint and controller, neither of them unless it is sound."""
        if not (self.run / CONFIG).is_file():
            raise RunFailure(f"{self.run} was removed while training, expected the run's directory")
        state = self.state_dict()
        self.logger.flush()
        try:
            self._check(state)
            self.checkpoints.save(state, self.trainer.progress.steps, best=best)
            self._controller().save(self.run / CONTROLLER)
            self.saved_at = self.trainer.progress.steps
        except InputError as error:
            raise RunFailure(f"training has gone wrong: {error}; {self._last_good()}") from error
        except OSError as error:
            raise DiskError(f"{self.run} takes no checkpoint: {error.strerror}; {self._last_good()}") from error

    def _last_good(self) -> str:
        path = self.checkpoints.last_good()
        return f"the last good checkpoint is {path}" if path else "there is no checkpoint yet"

    def _controller(self) -> Controller:
        env, robot = self.trainer.env, self.family.robot
        card = ControllerCard(
            family=self.family.name,
            variant=self.family.variant,
            episodes_per_trial=env.episodes_per_trial,
            horizon=env.horizon,
            physics=self.config.physics,
            seed=self.config.seed,
            steps=self.trainer.progress.steps,
            minutes=self.trainer.progress.seconds / 60,
            robot=robot.name if isinstance(robot, MjcfRobot) else "",
        )
        policy, head = deepcopy((self.trainer.policy, self.trainer.ppo.known_task_head))
        low, high = robot.action_bounds()
        return Controller(policy, card, low, action_high=high, task_head=head).to("cpu")

    def _keep_divergence(self, progress: TrainingProgress) -> None:
        """Writes the first of the last iteration's trials whose simulation blew up."""
        divergence, env = self.trainer.divergence, self.trainer.env
        trial = trace_back(
            self.family,
            self._controller().card,
            divergence["actions"],
            task_index=divergence["task_index"],
            train_tasks=self.config.train_tasks,
            shift_probability=self.config.shift_probability,
            mirror=self.config.mirror,
            engine=env.task_env.engine,
        )
        self.dumps += 1
        path = self.run / f"diverged-{self.trainer.progress.steps}.safetensors"
        with telling_of_the_disk(str(path)):
            trial.save(path)
        own = ["--family-file", self.config.family_file] if self.config.family_file else []
        words = ["limbshift", "render", "--dump", str(path), *own]
        progress.note(f"A simulation diverged; to see it: {shlex.join(words)}")

    def _look(self, progress: TrainingProgress) -> bool:
        """Logs and tells the adaptation curve on validation tasks, by mean actions; returns whether it is the best."""
        if self.budget_spent >= 1:
            progress.note(f"Playing {LOOK_TASKS} validation tasks")
        env = TrialEnv(
            self.family,
            LOOK_TASKS,
            self.trainer.env.episodes_per_trial,
            horizon=self.trainer.env.horizon,
            split=VALIDATION,
            seed=self.config.seed,
            observe_task=self.config.observe_task,
            engine=self.trainer.env.task_env.engine,
        )
        returns = play(env, PolicyActor(self.trainer.policy, LOOK_TASKS)).reward.sum(axis=-1).mean(axis=0)
        env.close()
        self.logger.log(by_episode("validation/return", returns.tolist()), self.trainer.progress.steps)
        minutes, curve = self.trainer.progress.seconds / 60, ", ".join(f"{value:.1f}" for value in returns)
        progress.note(f"{minutes:.1f} min: validation return by episode {curve}")
        self.looks.last = self.trainer.progress.seconds
        before, mean = self.best, float(returns.mean())
        self.best = mean if before is None else max(before, mean)
        return self.best != before

    def _film(self, progress: TrainingProgress) -> None:
        progress.note(f"Making the video {self.run / VIDEO}")
        path, trainer = self.run / VIDEO, self.trainer
        try:
            made = render_policy(
                trainer.policy, self.family, trainer.env, path=path, seed=self.config.seed, note=progress.note
            )
        except (OSError, KeyboardInterrupt) as error:  # as where the disk is full: the run is worth more than its video
            progress.note(f"no video: {error.strerror if isinstance(error, OSError) else 'interrupted'}")
            return
        if made:
            self.logger.log_video("rollout", path, trainer.progress.steps)

    def _tell(self, text: str) -> None:
        self.console.print(text, highlight=False, soft_wrap=True)
