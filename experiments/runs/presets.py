"""Presets: settings of training in a file, as `limbshift tune` writes and `train --preset` takes them."""

from pathlib import Path
from typing import Any

from limbshift.envs.errors import InputError
from limbshift.experiments.runs.directory import read_json, write_json

FORMAT = "limbshift-preset-1"


def save_preset(path: Path, settings: dict[str, Any], about: dict[str, Any]) -> None:
    """Replaces the file; settings are options of `limbshift train` by name, such as "ppo.learning_rate"."""
    write_json(path, {"format": FORMAT, **about, "settings": settings})


def preset_arguments(path: Path) -> list[str]:
    """Returns the preset as arguments of `limbshift train`, whose parser checks them."""
    if not path.is_file():
        raise InputError(f"no preset at {path}, expected a file that `limbshift tune` wrote")
    content = read_json(path)
    if content.get("format") != FORMAT:
        raise InputError(f"{path} is {content.get('format', 'a file without a format')}, expected {FORMAT}")
    if not isinstance(content.get("settings"), dict):
        raise InputError(f"{path} holds no settings, expected a preset's")
    arguments = []
    for name, value in content["settings"].items():
        option = f"--{name.replace('_', '-')}"
        if value is not False:
            arguments += [option] if value is True else [option, str(value)]
    return arguments
