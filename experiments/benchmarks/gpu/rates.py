"""The speed of a number of worlds: physics alone, with inference, with training; and the time that learning takes."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from limbshift.envs.family import TaskFamily
from limbshift.envs.physics import EngineName
from limbshift.envs.trial_env import TrialEnv
from limbshift.experiments.benchmarks.clock import now, shares_of, wait_for
from limbshift.experiments.benchmarks.config import BenchConfig
from limbshift.experiments.runs.devices import choose_device, choose_engine
from limbshift.meta.rl2.build import make_trainer
from limbshift.meta.rl2.trainer import Trainer

WARM_UP = 2
"""Steps, trials and iterations that are not counted: they compile and capture."""


@dataclass(frozen=True)
class Rates:
    """Env steps a second, each with what stands above it."""

    worlds: int
    physics: float
    """Of trials under random actions: physics, tasks, rewards and observations."""
    inference: float
    """Of trials that the network plays."""
    training: float
    """Of meta-training."""
    shares: dict[str, float]
    """Of the time of meta-training: physics, policy, update."""
    memory: float
    """GiB of the device that are taken; 0 on the CPU."""


def rates(physics: EngineName, family: TaskFamily, worlds: int, *, config: BenchConfig) -> Rates:
    """Measures a number of worlds; torch.OutOfMemoryError where the device has no room for them."""
    alone = physics_rate(physics, family, worlds, config=config)
    trainer = trainer_of(physics, family, worlds, config=config)
    device, steps = trainer.policy.log_std.device, trainer.steps_per_iteration
    inference = steps * per_second(trainer.experience.take, config.seconds, device)
    for _ in range(WARM_UP):
        trainer.iterate(0.0)
    iterations = [trainer.iterate(0.0)]
    while sum(iteration.seconds for iteration in iterations) < config.seconds:
        iterations.append(trainer.iterate(0.0))
    memory = memory_taken(device)
    trainer.env.close()
    training = len(iterations) * steps / sum(iteration.seconds for iteration in iterations)
    return Rates(worlds, alone, inference, training, shares_of(iterations), memory)


def physics_rate(physics: EngineName, family: TaskFamily, worlds: int, *, config: BenchConfig) -> float:
    """Returns the rate of trials under random actions, without a network."""
    engine = choose_engine(physics, choose_device(config.device))
    env = TrialEnv(family, worlds, config.episodes, horizon=config.horizon, engine=engine)
    action = 2 * torch.rand(worlds, env.task_env.action_dim, device=env.task_env.device) - 1
    env.reset()

    def step() -> None:
        if env.step(action).trial_over:
            env.reset()

    rate = worlds * per_second(step, config.seconds, env.task_env.device)
    env.close()
    return rate


def per_second(work: Callable[[], object], seconds: float, device: torch.device) -> float:
    """Returns how often the work is done in a second, when the device is done with it."""
    for _ in range(WARM_UP):
        work()
    start, count = now(device), 0
    while time.perf_counter() - start < seconds:
        work()
        count += 1
        if count % 10 == 0:  # the host must not run far ahead of the clock that it reads
            wait_for(device)
    return count / (now(device) - start)


def memory_taken(device: torch.device) -> float:
    """Returns GiB of a GPU that all processes hold; 0 on the CPU."""
    if device.type != "cuda":
        return 0.0
    free, whole = torch.cuda.mem_get_info(device)
    return float((whole - free) / 2**30)


@dataclass(frozen=True)
class Learning:
    """How a return was come to, or how far training came."""

    family: str
    physics: str
    worlds: int
    episodes: int
    horizon: int
    goal: float
    """Return of the last episode while exploring, mean over worlds."""
    best: float
    """The largest that was seen."""
    seconds: float
    steps: int

    @property
    def reached(self) -> bool:
        return self.best >= self.goal


def time_to_learn(physics: EngineName, family: TaskFamily, worlds: int, *, config: BenchConfig) -> Learning:
    """Trains until the goal is reached, or `config.minutes` are over."""
    trainer_of(physics, family, worlds, config=config).iterate(0.0)  # compiles
    trainer = trainer_of(physics, family, worlds, config=config)
    best, budget = -float("inf"), 60 * config.minutes
    while trainer.progress.seconds < budget and best < config.goal:
        best = max(best, trainer.iterate(trainer.progress.seconds / budget).episode_returns[-1])
    trainer.env.close()
    return Learning(
        family.name,
        physics,
        worlds,
        config.episodes,
        config.horizon,
        config.goal,
        best,
        trainer.progress.seconds,
        trainer.progress.steps,
    )


def trainer_of(physics: EngineName, family: TaskFamily, worlds: int, *, config: BenchConfig) -> Trainer:
    """Returns a trainer as `limbshift train` makes it."""
    device = choose_device(config.device)
    return make_trainer(
        family,
        num_envs=worlds,
        episodes=config.episodes,
        horizon=config.horizon,
        device=device,
        engine=choose_engine(physics, device),
    )


def gpu_name(device: torch.device) -> str | None:
    """Returns the device's name; None for the CPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else None


def described(learning: Learning) -> dict[str, Any]:
    """Returns what the JSON holds of it."""
    return {**vars(learning), "reached": learning.reached}
