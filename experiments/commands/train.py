"""Meta-trains a controller: the run from its configuration to its controller file."""

import dataclasses
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from limbshift.envs.catalogue import make_family
from limbshift.envs.errors import InputError
from limbshift.envs.family import TaskFamily
from limbshift.envs.robots.mjcf_robot import MjcfFamily, MjcfRobot
from limbshift.experiments.configs import TrainConfig
from limbshift.experiments.runs.devices import choose_device
from limbshift.experiments.runs.directory import (
    CONFIG,
    free_directory,
    open_run,
    read_json,
    robot_file,
)
from limbshift.experiments.runs.resume import resumed_config
from limbshift.experiments.runs.session import Session

OWN_DEFAULT = "Limbs"
"""The family of a robot of the user's own, unless another is named."""


def train(family: str | TaskFamily = "", **settings: Any) -> Path:
    """Meta-train a controller; settings are those of TrainConfig but preset. Returns the run directory.

    A family of the caller's own is given as an object.
    """
    if "preset" in settings:
        raise InputError("preset is for the command line, expected its settings as arguments")
    if isinstance(family, str):
        return run_training(TrainConfig(family=family, **settings))
    return run_training(TrainConfig(family=family.name, variant=family.variant, **settings), family)


def run_training(config: TrainConfig, family: TaskFamily | None = None, console: Console | None = None) -> Path:
    """The command: trains until the budget is spent or the person interrupts."""
    family = family or chosen_family(config)
    device = choose_device(config.device)
    config = dataclasses.replace(config, family=family.name, device="cuda" if device.type == "cuda" else "cpu")
    run_dir = config.run_dir or free_directory(Path("runs") / f"{family.name}-{datetime.now():%Y%m%d-%H%M%S}")
    with open_run(run_dir, config.resume) as run:
        if config.resume:
            config = resumed_config(config, read_json(run / CONFIG))
        family = family.with_train_tasks(config.train_tasks)
        session = Session.begin(config, family, device, run, console or Console())
        session.train()
    return run_dir


def chosen_family(config: TrainConfig) -> TaskFamily:
    """The family asked for, or that of the run to resume; with a robot of the user's own, over that robot."""
    run = config.run_dir if config.resume else None
    kept = read_json(run / CONFIG) if run and (run / CONFIG).is_file() else {}
    name = config.family or kept.get("family", OWN_DEFAULT if config.robot else "")
    if run and kept.get("robot"):
        return MjcfFamily(name, MjcfRobot.load(robot_file(run), Path(kept["robot"]).stem))
    if config.robot:
        return MjcfFamily(name, MjcfRobot.from_xml(config.robot))
    return make_family(name, kept.get("variant", config.variant))
