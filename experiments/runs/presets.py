"""Presets: settings of training in a file, as `limbshift tune` writes and `train --preset` takes them."""

from dataclasses import fields
from pathlib import Path
from typing import Any

from limbshift.envs.errors import InputError
from limbshift.envs.schema import shortened
from limbshift.experiments.configs import TrainConfig
from limbshift.experiments.runs.directory import read_json, write_json
from limbshift.meta.rl2.config import PPOConfig

FORMAT = "limbshift-preset-1"
PERSONS_OWN = ("family", "family_file", "robot", "teacher", "allow_outside", "preset", "run_dir", "resume", "wandb")
"""What no file may choose: whose code is run, what is read from where, and what is written where."""
OPTIONS = (*(field.name for field in fields(TrainConfig)), *(f"ppo.{field.name}" for field in fields(PPOConfig)))
"""Of `limbshift train`, by name."""


def save_preset(path: Path, settings: dict[str, Any], about: dict[str, Any]) -> None:
    """Replaces the file; settings are options of `limbshift train` by name, such as "ppo.learning_rate"."""
    write_json(path, {"format": FORMAT, **about, "settings": settings})


def preset_arguments(path: Path) -> list[str]:
    """Returns the preset as arguments of `limbshift train`, whose parser checks them."""
    if not path.is_file():
        raise InputError(f"no preset at {path}, expected a file that `limbshift tune` wrote")
    content = read_json(path)
    if content.get("format") != FORMAT:
        found = shortened(content["format"]) if "format" in content else "a file without a format"
        raise InputError(f"{path} is {found}, expected {FORMAT}")
    if not isinstance(content.get("settings"), dict):
        raise InputError(f"{path} holds no settings, expected a preset's")
    arguments = []
    for name, value in content["settings"].items():
        if name not in OPTIONS:
            raise InputError(f"{path} sets {shortened(name)}, expected options of train such as ppo.learning_rate")
        if name in PERSONS_OWN:
            raise InputError(f"{path} sets {name}, expected settings of training alone")
        option = f"--{name.replace('_', '-')}"
        if value is not False:
            arguments += [option] if value is True else [f"{option}={value}"]
    return arguments
