"""Evaluates a controller as a configuration asks."""

from copy import deepcopy

from limbshift.agents.controller import Controller
from limbshift.envs.family import TaskFamily
from limbshift.experiments.commands.config import EvaluateConfig
from limbshift.experiments.runs.devices import choose_device, choose_engine
from limbshift.meta.evaluation.adaptation import Adaptation, evaluate_adaptation


def measure(controller: Controller, family: TaskFamily, config: EvaluateConfig) -> Adaptation:
    """Returns what came of the trials that the configuration asks for."""
    device = choose_device(config.device)
    return evaluate_adaptation(
        deepcopy(controller.policy).to(device),
        family,
        config.split,
        num_tasks=config.num_tasks,
        episodes=config.episodes or controller.card.episodes_per_trial,
        horizon=config.horizon or controller.card.horizon,
        seed=config.seed,
        sample=config.sample,
        shift_at=config.shift_at,
        engine=choose_engine(config.physics, device),
    )
