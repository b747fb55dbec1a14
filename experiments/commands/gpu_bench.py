"""Speed of both simulators over numbers of worlds, and the time that learning takes: for a machine with a GPU."""

import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from rich.console import Console
from rich.table import Table

from limbshift.envs.catalogue import make_family
from limbshift.envs.errors import InputError
from limbshift.envs.family import TaskFamily
from limbshift.envs.physics import EngineName
from limbshift.envs.trial_env import TrialEnv
from limbshift.experiments.configs import BenchConfig
from limbshift.experiments.runs.devices import choose_device, choose_engine
from limbshift.meta.rl2.build import make_trainer
from limbshift.meta.rl2.trainer import Trainer

PHYSICS: tuple[EngineName, ...] = ("mujoco", "warp")
LEARNED = "HalfCheetahDir"
"""The family of which learning is timed."""
LEARNING_WORLDS: dict[EngineName, int] = {"mujoco": 64, "warp": 1024}
"""How many it is learnt with, where so many are measured: a GPU's simulator is slow with few."""
WARM_UP = 2
"""Iterations and steps that are not counted: they compile and capture."""


class TrainingRate(NamedTuple):
    """Of meta-training with physics, network and update as configured."""

    steps_per_second: float
    physics: float
    """Share of the time, as the others."""
    policy: float
    update: float
    memory: float
    """GiB of the device that are taken; 0 on the CPU."""


def run_gpu_bench(config: BenchConfig, family: TaskFamily, *, console: Console) -> None:
    """Prints a table for each simulator, and how long learning takes on each."""
    if config.device == "auto" and not torch.cuda.is_available():
        raise InputError(
            "bench --gpu found no CUDA device, expected one, or --device cpu with small --worlds to try it"
        )
    device = choose_device(config.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "the CPU, which says nothing of a GPU"
    console.print(f"{family.name}, trials of {config.episodes} x {config.horizon}, network on {name}", highlight=False)
    for physics in PHYSICS:
        console.print(speed_table(physics, family, config, device=device))
    for physics in PHYSICS:
        console.print(learning_sentence(physics, config, device), highlight=False)


def speed_table(physics: EngineName, family: TaskFamily, config: BenchConfig, *, device: torch.device) -> Table:
    """Returns a table with a row for each number of worlds."""
    table = Table(title=f"physics on {physics}", title_justify="left")
    for column in ("worlds", "env steps/s", "training steps/s", "physics", "policy", "update", "device memory, GiB"):
        table.add_column(column, justify="right")
    for worlds in config.worlds:
        table.add_row(f"{worlds:,}", *speed_cells(physics, worlds, family, config=config, device=device))
    return table


def speed_cells(
    physics: EngineName, worlds: int, family: TaskFamily, *, config: BenchConfig, device: torch.device
) -> list[str]:
    """Returns what a row says; where the device's memory is too small, that alone."""
    try:
        env_rate = env_steps_per_second(physics, worlds, family, config=config, device=device)
        rate = training_rate(physics, worlds, family, config=config, device=device)
    except torch.OutOfMemoryError:
        return ["out of memory"]
    shares = [f"{share:.0%}" for share in (rate.physics, rate.policy, rate.update)]
    return [f"{env_rate:,.0f}", f"{rate.steps_per_second:,.0f}", *shares, f"{rate.memory:.1f}"]


def env_steps_per_second(
    physics: EngineName, worlds: int, family: TaskFamily, *, config: BenchConfig, device: torch.device
) -> float:
    """Returns the rate of trials under random actions, without a network."""
    env = TrialEnv(family, worlds, config.episodes, horizon=config.horizon, engine=choose_engine(physics, device))
    action = 2 * torch.rand(worlds, env.task_env.action_dim, device=env.task_env.device) - 1
    env.reset()

    def step() -> None:
        if env.step(action).trial_over:
            env.reset()

    rate = worlds * per_second(step, config.seconds, env.task_env.device)
    env.close()
    return rate


def per_second(work: Callable[[], None], seconds: float, device: torch.device) -> float:
    """Returns how often the work is done in a second, when the device is done with it."""
    for _ in range(WARM_UP):
        work()
    wait_for(device)
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        work()
        count += 1
        if count % 10 == 0:  # the host must not run far ahead of the clock that it reads
            wait_for(device)
    wait_for(device)
    return count / (time.perf_counter() - start)


def training_rate(
    physics: EngineName, worlds: int, family: TaskFamily, *, config: BenchConfig, device: torch.device
) -> TrainingRate:
    """Returns the rate over as many iterations as the time allows, at least one."""
    trainer = bench_trainer(physics, worlds, family, config=config, device=device)
    for _ in range(WARM_UP):
        trainer.iterate(0.0)
    iterations = [trainer.iterate(0.0)]
    while sum(iteration.seconds for iteration in iterations) < config.seconds:
        iterations.append(trainer.iterate(0.0))
    total = sum(iteration.seconds for iteration in iterations)
    memory = 0.0
    if device.type == "cuda":
        free, whole = torch.cuda.mem_get_info(device)
        memory = (whole - free) / 2**30
    trainer.env.close()
    return TrainingRate(
        len(iterations) * trainer.steps_per_iteration / total,
        sum(iteration.env_seconds for iteration in iterations) / total,
        sum(iteration.policy_seconds for iteration in iterations) / total,
        sum(iteration.update_seconds for iteration in iterations) / total,
        memory,
    )


def learning_sentence(physics: EngineName, config: BenchConfig, device: torch.device) -> str:
    """Says how long it takes to learn the direction family, with the number of worlds that suits the simulator."""
    family, worlds = make_family(LEARNED), min(LEARNING_WORLDS[physics], max(config.worlds))
    bench_trainer(physics, worlds, family, config=config, device=device).iterate(0.0)  # compiles
    trainer = bench_trainer(physics, worlds, family, config=config, device=device)
    best = -float("inf")
    while trainer.progress.seconds < 60 * config.minutes and best < config.goal:
        best = max(best, trainer.iterate(trainer.progress.seconds / (60 * config.minutes)).episode_returns[-1])
    trainer.env.close()
    spent = f"{trainer.progress.seconds:.1f} s, {trainer.progress.steps:,} steps of {worlds} worlds"
    if best < config.goal:
        return f"{family.name} on {physics}: return {best:.0f} of {config.goal:g} after {spent}"
    return f"{family.name} on {physics}: return {config.goal:g} after {spent}"


def bench_trainer(
    physics: EngineName, worlds: int, family: TaskFamily, *, config: BenchConfig, device: torch.device
) -> Trainer:
    """Returns a trainer as `limbshift train` makes it."""
    return make_trainer(
        family,
        num_envs=worlds,
        episodes=config.episodes,
        horizon=config.horizon,
        device=device,
        engine=choose_engine(physics, device),
    )


def wait_for(device: torch.device) -> None:
    """Waits until a GPU has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
