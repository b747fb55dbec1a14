"""Presets: settings of training in a file, as `limbshift tune` writes, and `train --preset` and `compare` take them."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

from limbshift.envs.errors import InputError
from limbshift.envs.schema import shortened
from limbshift.experiments.configs import TrainConfig
from limbshift.experiments.runs.directory import read_json, write_json
from limbshift.meta.rl2.config import PPOConfig

FORMAT = "limbshift-preset-1"
OURS = "limbshift"
"""The method of presets that do not say for which they are."""
PERSONS_OWN = (
    *("family", "family_file", "robot", "teacher", "allow_outside", "preset", "run_dir", "resume"),
    *("log", "wandb", "wandb_group", "wandb_tags"),
)
"""What no file may choose: whose code is run, what is read from where, and what is written where."""
OPTIONS = (*(field.name for field in fields(TrainConfig)), *(f"ppo.{field.name}" for field in fields(PPOConfig)))
"""Of `limbshift train`, by name."""


class Preset(NamedTuple):
    """Settings, and where they come from."""

    method: str
    """Of a comparison, that they are for."""
    settings: Mapping[str, Any]
    """By the names of `limbshift train`'s options; their values are yet to be checked."""
    about: Mapping[str, Any]
    """What else the file says of them."""


def save_preset(path: Path, preset: Preset) -> None:
    """Replaces the file."""
    write_json(path, {"format": FORMAT, "method": preset.method, **preset.about, "settings": preset.settings})


def preset_arguments(path: Path) -> list[str]:
    """Returns the preset as arguments of `limbshift train`, whose parser checks them."""
    preset = read_preset(path)
    if preset.method != OURS:
        raise InputError(f"{path} is for {shortened(preset.method)}, expected settings of limbshift's own training")
    arguments = []
    for name, value in preset.settings.items():
        option = f"--{name.replace('_', '-')}"
        if value is not False:
            arguments += [option] if value is True else [f"{option}={value}"]
    return arguments


def read_preset(path: Path) -> Preset:
    """Reads a preset's file, in which nothing but settings of training may be set."""
    if not path.is_file():
        raise InputError(f"no preset at {path}, expected a file that `limbshift tune` wrote")
    content = read_json(path)
    if content.get("format") != FORMAT:
        found = shortened(content["format"]) if "format" in content else "a file without a format"
        raise InputError(f"{path} is {found}, expected {FORMAT}")
    if not isinstance(content.get("settings"), dict):
        raise InputError(f"{path} holds no settings, expected a preset's")
    for name in content["settings"]:
        if name not in OPTIONS:
            raise InputError(f"{path} sets {shortened(name)}, expected options of train such as ppo.learning_rate")
        if name in PERSONS_OWN:
            raise InputError(f"{path} sets {name}, expected settings of training alone")
    about = {name: value for name, value in content.items() if name not in ("format", "method", "settings")}
    return Preset(content.get("method", OURS), content["settings"], about)
