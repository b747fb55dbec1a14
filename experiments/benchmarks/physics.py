"""Trials beside the simulator that they run on."""

import time

import mujoco.batch
import torch
from torch import Tensor

from limbshift.envs.family import TaskFamily
from limbshift.envs.physics.mujoco_batch import MujocoPhysics
from limbshift.envs.trial_env import TrialEnv
from limbshift.experiments.benchmarks.clock import now
from limbshift.experiments.benchmarks.config import BenchConfig
from limbshift.experiments.benchmarks.measure import Outcome, rates_in_turn
from limbshift.experiments.runs.devices import choose_device, choose_engine
from limbshift.meta.threads import torch_threads


def trials_beside_bare_physics(family: TaskFamily, config: BenchConfig) -> Outcome:
    """Measures trials, with their tasks, observations and rewards, beside the simulator's own steps.

    For MuJoCo those are `mujoco.batch.Batch.step`; for MuJoCo Warp our replay of its captured steps.
    """
    env = trials_of(family, config)
    actions = random_actions(env)
    with torch_threads(1):
        outcome = rates_in_turn(
            lambda: trial_seconds(env, actions),
            lambda: bare_seconds(env, actions),
            steps=env.steps_per_trial * env.num_envs,
            rounds=config.rounds,
        )
    env.close()
    return outcome


def trials_of(family: TaskFamily, config: BenchConfig) -> TrialEnv:
    """Returns trials of the benchmark's size, on its simulator."""
    engine = choose_engine(config.physics, choose_device(config.device))
    return TrialEnv(family, config.num_envs, config.episodes, horizon=config.horizon, engine=engine)


def random_actions(env: TrialEnv) -> Tensor:
    """Returns (T, N, A) actions spread over [-1, 1], the same at every call, where the env runs and in its dtype."""
    shape = (env.steps_per_trial, env.num_envs, env.task_env.action_dim)
    return (2 * torch.rand(shape, generator=torch.Generator().manual_seed(0)) - 1).to(env.task_env.action_low)


def trial_seconds(env: TrialEnv, actions: Tensor) -> float:
    """Times a trial under (T, N, A) actions, without the drawing of its tasks; the same trial at every call."""
    acted = actions.float()
    env.task_env.seed(0)
    env.reset()
    start = now(env.task_env.device)
    for action in acted:
        env.step(action)
    return now(env.task_env.device) - start


def bare_seconds(env: TrialEnv, actions: Tensor) -> float:
    """Times the same without us: the same bodies, initial states, controls and number of threads."""
    env.task_env.seed(0)
    env.reset()
    physics, substeps = env.task_env.physics, env.task_env.robot.frame_skip
    controls = env.task_env.robot.controls(env.task_env.tensor(env.in_robot_units(actions)))
    if isinstance(physics, MujocoPhysics):
        return batch_seconds(physics, env.task_env.family.model_fields, controls, substeps=substeps)
    start = now(physics.device)
    for control in controls:
        physics.state("ctrl").copy_(control)
        physics.step(substeps)
    return now(physics.device) - start


def batch_seconds(physics: MujocoPhysics, fields: tuple[str, ...], controls: Tensor, *, substeps: int) -> float:
    """Times a bare `Batch` of the same robots, fields of the model that differ among them included."""
    batch = mujoco.batch.Batch(physics.model, physics.num_sims, physics.num_threads)
    for name in fields:
        batch.expand(name)[:] = physics.model_field(name).numpy()
    if fields:
        batch.set_const()
    for name in ("qpos", "qvel"):
        batch.bind(name)[:] = physics.state(name).numpy()
    given, written = controls.numpy(), batch.bind("ctrl")
    start = time.perf_counter()
    for control in given:
        written[:] = control
        batch.step(nstep=substeps)
    return time.perf_counter() - start
