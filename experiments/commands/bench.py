"""Speed on this machine, as ratios of things measured in one run."""

import time
from statistics import median
from typing import NamedTuple

import mujoco.batch
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from limbshift.envs.family import TaskFamily
from limbshift.envs.physics.mujoco_batch import MujocoPhysics
from limbshift.envs.trial_env import TrialEnv
from limbshift.experiments.commands.gpu_bench import run_gpu_bench, wait_for
from limbshift.experiments.configs import BenchConfig
from limbshift.experiments.runs.devices import choose_device, choose_engine
from limbshift.experiments.runs.families import named_family
from limbshift.experiments.terminal import make_console
from limbshift.meta.rl2.build import make_trainer
from limbshift.meta.threads import torch_threads

DEFAULT_FAMILY = "HalfCheetahDir"


class PhysicsRates(NamedTuple):
    """Medians over rounds in which both are measured in turn."""

    bare: float
    """Env steps a second of the simulator alone, from the same states with the same controls.

    For MuJoCo that is `mujoco.batch.Batch.step`; for MuJoCo Warp our replay of its captured steps.
    """
    env: float
    """Env steps a second of our trials, with their tasks, observations and rewards."""
    ratio: float
    """env / bare, round by round: the machine's speed drifts between rounds."""


class Shares(NamedTuple):
    """Parts of the time of meta-training."""

    physics: float
    policy: float
    update: float


def run_bench(config: BenchConfig, console: Console | None = None) -> None:
    """Runs the command."""
    console = console or make_console()
    family = named_family(config.family or ("" if config.family_file else DEFAULT_FAMILY), config.family_file)
    if config.gpu:
        run_gpu_bench(config, family, console=console)
        return
    rates = physics_rates(family, config)
    training, shares = training_rate(family, config)
    shape = f"{config.num_envs} trials of {config.episodes} x {config.horizon}"
    where = f"physics on {config.physics}, network on {choose_device(config.device).type}"
    console.print(f"{family.name}, {shape}, {where}: medians of {config.rounds} rounds", highlight=False)
    table = Table()
    table.add_column("")
    table.add_column("env steps/s", justify="right")
    table.add_row("bare Batch.step loop" if config.physics == "mujoco" else "bare MuJoCo Warp", f"{rates.bare:,.0f}")
    table.add_row("our env", f"{rates.env:,.0f}")
    table.add_row("meta-training, all in", f"{training:,.0f}")
    console.print(table)
    console.print(f"env / bare loop: {rates.ratio:.2f}", highlight=False)
    parts = ", ".join(f"{name} {share:.0%}" for name, share in shares._asdict().items())
    console.print(f"shares of meta-training: {parts}", highlight=False)


def physics_rates(family: TaskFamily, config: BenchConfig) -> PhysicsRates:
    """Measures the bare loop beside our env; a first round warms up."""
    engine = choose_engine(config.physics, choose_device(config.device))
    env = TrialEnv(family, config.num_envs, config.episodes, horizon=config.horizon, engine=engine)
    generator = torch.Generator().manual_seed(0)
    shape = (env.steps_per_trial, config.num_envs, env.task_env.action_dim)
    actions = 2 * torch.rand(shape, generator=generator).to(env.task_env.action_low) - 1
    bare_times, env_times = [], []
    with torch_threads(1):
        for _ in range(config.rounds + 1):
            bare_times.append(bare_seconds(env, actions))
            env_times.append(env_seconds(env, actions.float()))
    env.close()
    steps = env.steps_per_trial * config.num_envs
    ratios = [bare / ours for bare, ours in zip(bare_times[1:], env_times[1:], strict=True)]
    return PhysicsRates(steps / median(bare_times[1:]), steps / median(env_times[1:]), median(ratios))


def bare_seconds(env: TrialEnv, actions: Tensor) -> float:
    """Times the loop without us: the same initial states and controls, the same number of threads."""
    env.task_env.seed(0)
    env.reset()
    physics, substeps = env.task_env.physics, env.task_env.robot.frame_skip
    states = {name: physics.state(name) for name in ("qpos", "qvel")}
    actions = env.task_env.robot.controls(env.in_robot_units(actions))
    if isinstance(physics, MujocoPhysics):
        batch = mujoco.batch.Batch(physics.model, physics.num_sims, physics.num_threads)
        for name, state in states.items():
            batch.bind(name)[:] = state.numpy()
        control, controls = batch.bind("ctrl"), actions.numpy()
        start = time.perf_counter()
        for step in range(len(controls)):
            control[:] = controls[step]
            batch.step(nstep=substeps)
        return time.perf_counter() - start
    start = now(env)
    for action in actions:
        physics.state("ctrl").copy_(action)
        physics.step(substeps)
    return now(env) - start


def now(env: TrialEnv) -> float:
    """Returns seconds, when the env's device has come so far."""
    wait_for(env.task_env.device)
    return time.perf_counter()


def env_seconds(env: TrialEnv, actions: Tensor) -> float:
    """Times a trial of our env, without the drawing of its tasks."""
    env.task_env.seed(0)
    env.reset()
    start = now(env)
    for action in actions:
        env.step(action)
    return now(env) - start


def training_rate(family: TaskFamily, config: BenchConfig) -> tuple[float, Shares]:
    """Returns the median rate of meta-training's iterations, and where their time goes."""
    device = choose_device(config.device)
    trainer = make_trainer(
        family,
        num_envs=config.num_envs,
        episodes=config.episodes,
        horizon=config.horizon,
        device=device,
        engine=choose_engine(config.physics, device),
    )
    iterations = [trainer.iterate(0.0) for _ in range(config.rounds + 2)][2:]
    seconds = sum(iteration.seconds for iteration in iterations)
    shares = Shares(
        sum(iteration.env_seconds for iteration in iterations) / seconds,
        sum(iteration.policy_seconds for iteration in iterations) / seconds,
        sum(iteration.update_seconds for iteration in iterations) / seconds,
    )
    trainer.env.close()
    return trainer.collector.storage.reward.numel() / median(iteration.seconds for iteration in iterations), shares
