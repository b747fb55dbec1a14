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
from limbshift.experiments.runs.devices import choose_device, choose_engine, choose_threads
from limbshift.experiments.runs.families import named_family
from limbshift.experiments.terminal import make_console
from limbshift.meta.rl2.build import make_trainer
from limbshift.meta.rl2.config import PPOConfig
from limbshift.meta.rl2.trainer import Trainer
from limbshift.meta.threads import torch_threads

DEFAULT_FAMILY = "HalfCheetahDir"
PIECE = 50
"""Steps of the pieces that are learnt from where trials are overlapped."""


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


class TrainingRates(NamedTuple):
    """Medians over rounds in which both are measured in turn."""

    plain: float
    """Env steps a second of meta-training as `limbshift train` does it: trials are played, and then learnt from."""
    overlapped: float
    """The same with `--overlap --ppo.sequence-length 50`."""
    ratio: float
    """overlapped / plain, round by round."""
    shares: dict[str, float]
    """Parts of the time of the plain way: physics, policy, update."""


def run_bench(config: BenchConfig, console: Console | None = None) -> None:
    """Runs the command."""
    console = console or make_console()
    family = named_family(config.family or ("" if config.family_file else DEFAULT_FAMILY), config.family_file)
    if config.gpu:
        run_gpu_bench(config, family, console=console)
        return
    rates = physics_rates(family, config)
    training = training_rates(family, config)
    shape = f"{config.num_envs} trials of {config.episodes} x {config.horizon}"
    where = f"physics on {config.physics}, network on {choose_device(config.device).type}"
    console.print(f"{family.name}, {shape}, {where}: medians of {config.rounds} rounds", highlight=False)
    table = Table()
    table.add_column("")
    table.add_column("env steps/s", justify="right")
    table.add_row("bare Batch.step loop" if config.physics == "mujoco" else "bare MuJoCo Warp", f"{rates.bare:,.0f}")
    table.add_row("our env", f"{rates.env:,.0f}")
    table.add_row("meta-training, plainly", f"{training.plain:,.0f}")
    table.add_row("meta-training, overlapped", f"{training.overlapped:,.0f}")
    console.print(table)
    console.print(f"env / bare loop: {rates.ratio:.2f}", highlight=False)
    console.print(f"meta-training overlapped / plainly: {training.ratio:.2f}", highlight=False)
    parts = ", ".join(f"{name} {share:.0%}" for name, share in training.shares.items())
    console.print(f"shares of meta-training, plainly: {parts}", highlight=False)


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


def training_rates(family: TaskFamily, config: BenchConfig) -> TrainingRates:
    """Measures both ways of meta-training; two iterations of each warm up."""
    plain = trainer_of(family, config, overlap=False)
    overlapped = trainer_of(family, config, overlap=config.physics == "mujoco")
    rounds = [(plain.iterate(0.0), overlapped.iterate(0.0)) for _ in range(config.rounds + 2)][2:]
    seconds = [tuple(iteration.seconds for iteration in both) for both in rounds]
    total = sum(one for one, _ in seconds)
    shares = {
        "physics": sum(one.env_seconds for one, _ in rounds) / total,
        "policy": sum(one.policy_seconds for one, _ in rounds) / total,
        "update": sum(one.update_seconds for one, _ in rounds) / total,
    }
    for trainer in (plain, overlapped):
        trainer.env.close()
    steps = plain.steps_per_iteration
    return TrainingRates(
        steps / median(one for one, _ in seconds),
        steps / median(other for _, other in seconds),
        median(one / other for one, other in seconds),
        shares,
    )


def trainer_of(family: TaskFamily, config: BenchConfig, *, overlap: bool) -> Trainer:
    """Returns a trainer of the benchmark's size."""
    device, threads = choose_device(config.device), choose_threads(None, overlap=overlap)
    return make_trainer(
        family,
        num_envs=config.num_envs,
        episodes=config.episodes,
        horizon=config.horizon,
        ppo=PPOConfig(sequence_length=PIECE if overlap else None),
        overlap=overlap,
        num_threads=threads.learning,
        device=device,
        engine=choose_engine(config.physics, device, threads.simulating),
    )
