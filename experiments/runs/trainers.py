"""The trainer of a run."""

import torch

from limbshift.envs.family import TaskFamily
from limbshift.experiments.configs import TrainConfig
from limbshift.experiments.runs.devices import choose_engine, choose_threads
from limbshift.meta.rl2.build import make_trainer
from limbshift.meta.rl2.trainer import Trainer


def trainer_of(config: TrainConfig, family: TaskFamily, device: torch.device) -> Trainer:
    """Returns the trainer that the configuration describes."""
    threads = choose_threads(config.threads, overlap=config.overlap)
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
        overlap=config.overlap,
        precision=config.precision,
        num_threads=threads.learning,
        device=device,
        engine=choose_engine(config.physics, device, threads.simulating),
    )
