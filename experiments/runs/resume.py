"""What a resumed run keeps, and what it may change."""

import dataclasses
from dataclasses import asdict
from pathlib import Path
from typing import Any

from limbshift.experiments.configs import TrainConfig
from limbshift.experiments.runs.directory import (
    RunError,
)
from limbshift.meta.rl2.config import PPOConfig

CHANGEABLE = (
    "preset", "minutes", "steps", "run_dir", "robot", "resume", "device", "wandb", "eval_minutes", "video_minutes"
)  # fmt: skip
"""Settings that a resumed run may change."""


def resumed_config(config: TrainConfig, saved: dict[str, Any]) -> TrainConfig:
    """The saved settings with the budgets of now; a setting that contradicts the run is refused."""
    default = asdict(TrainConfig(family=config.family))
    given = asdict(config)
    for name, value in given.items():
        differs = value != saved[name] and (name == "family" or value != default[name])
        if name not in CHANGEABLE and differs:
            raise RunError(f"{name} is {value}, expected {saved[name]} as the run was begun with")
    kept = {name: value for name, value in saved.items() if name not in CHANGEABLE and name != "ppo"}
    return dataclasses.replace(config, **kept, ppo=PPOConfig(**saved["ppo"]))


def as_json(config: TrainConfig, run: Path) -> dict[str, Any]:
    """The configuration without paths that JSON could not hold."""
    paths = {name: str(path) if path else None for name, path in (("robot", config.robot), ("preset", config.preset))}
    return {**asdict(config), "run_dir": str(run), **paths}
