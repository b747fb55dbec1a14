"""The settings of each training of a comparison, with what the family and the package leave to be chosen."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from limbshift.envs.family import TaskFamily
from limbshift.experiments.comparison.config import CompareConfig
from limbshift.experiments.comparison.methods import METHODS
from limbshift.experiments.comparison.timed_training import HIDDEN
from limbshift.meta.maml.outer_loop import MAMLConfig
from limbshift.meta.rl2.config import PPOConfig

LOOKS = 8
"""At a policy while it is being trained."""
TASK_SEED = 0
"""Which held-out tasks; not the seed of training."""
NETWORKS: Mapping[str, Mapping[str, Any]] = {"hyper": {"head": "hyper"}, "transformer": {"cell": "transformer"}}
"""By method, what of its network is not as in all of ours."""


def training_settings(method: str, seed: int, config: CompareConfig, *, family: TaskFamily) -> dict[str, Any]:
    """Returns the settings of one training of a comparison, resolved."""
    about, budget = METHODS[method], METHODS[method].budget
    own: Mapping[str, Any] = NETWORKS.get(method, {})
    if method == "maml":
        own = {"maml": asdict(MAMLConfig(first_order=config.first_order))}
    return {
        "method": method,
        "seed": seed,
        "family": family.name,
        "variant": family.variant,
        "parameters": {
            each.name: [each.low, each.high, each.scale, each.choices, each.extrapolation] for each in family.parameters
        },
        "minutes": None if config.steps else budget * config.minutes,
        "steps": config.steps and round(config.steps * budget),
        "num_envs": config.num_envs,
        "episodes": config.episodes or family.episodes_per_trial,
        "horizon": config.horizon or family.horizon,
        "gamma": family.gamma,
        "initial_log_std": family.initial_log_std,
        "observe_task": about.observes_task,
        "hidden_size": HIDDEN,
        "cell": config.cell,
        "hide_reward": config.hide_reward,
        "train_tasks": config.train_tasks,
        "tasks": config.num_tasks,
        "task_seed": TASK_SEED,
        "looks": LOOKS,
        "ppo": asdict(PPOConfig()),
        **own,
    }
