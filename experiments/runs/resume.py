"""What a resumed run keeps, and what it may change."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limbshift.agents.atomic_write import replacing
from limbshift.envs.family import TaskFamily
from limbshift.envs.mjcf.robot import MjcfRobot
from limbshift.envs.schema import make
from limbshift.experiments.configs import TrainConfig
from limbshift.experiments.ranks.environment import started_ranks
from limbshift.experiments.runs.directory import (
    CONFIG,
    ROBOT,
    TEACHER,
    RunError,
    read_json,
    require_run,
    robot_file,
    write_json,
)
from limbshift.meta.rl2.config import PPOConfig

if TYPE_CHECKING:
    from limbshift.agents.controller import Controller

BUDGET = ("minutes", "steps")
"""What is given of these replaces the whole budget."""
CHANGEABLE = (
    *(*BUDGET, "device", "ranks", "threads", "precision", "eval_minutes", "video_minutes"),
    *("log", "wandb", "wandb_group", "wandb_tags"),
    *("family_file", "preset"),
)
"""Settings that a resumed run may change; a family's file and a preset may have been moved."""
PATHS = ("robot", "preset", "teacher")


def config_of(given: Mapping[str, Any]) -> TrainConfig:
    """Returns the configuration that these settings make; with resume, the saved one of the run as they change it."""
    return resumed_config(given) if given.get("resume") else TrainConfig(**given)


def resumed_config(given: Mapping[str, Any]) -> TrainConfig:
    """Returns the configuration of the run in `run_dir` with what may change of it.

    given: the settings that the caller gave, by name: those of PPO as "ppo.learning_rate", or all as "ppo".
    What is not given stays as it was saved. Raises RunError where there is no run, and where a
    setting that is given contradicts it.
    """
    if not given.get("run_dir"):
        raise RunError("run_dir is missing, expected the directory of the run to resume")
    run = Path(given["run_dir"])
    require_run(run)
    saved = read_config(run)
    if saved.family_file and "family_file" not in given:
        reference = f"--family-file {saved.family_file}"
        raise RunError(f"run {run} trains on a family of a file, whose code is run: expected it anew, as {reference}")
    begun_with = flattened(vars(saved))
    if given.get("robot") and robot_file(run).is_file():
        check_robot(given["robot"], run, allow_outside=saved.allow_outside)
        given = {**given, "robot": saved.robot}  # the same, wherever it lies now
    changes = {name: value for name, value in given.items() if name in CHANGEABLE}
    if started_ranks():
        changes.setdefault("ranks", None)  # as many as were started
    for name, value in flattened(given).items():
        if name not in (*CHANGEABLE, "run_dir", "resume") and not same(value, begun_with[name]):
            expected = "the default" if begun_with[name] is None else begun_with[name]
            raise RunError(f"{name} is {value}, expected {expected} as the run was begun with")
    if changes.keys() & set(BUDGET):
        changes = dict.fromkeys(BUDGET) | changes
    return dataclasses.replace(saved, **changes, run_dir=run, resume=True)


def check_robot(path: Path, run: Path, *, allow_outside: bool) -> None:
    """Raises RunError where the file that is given is not the robot that a run keeps."""
    if not MjcfRobot.from_xml(path, allow_outside=allow_outside).same_as(MjcfRobot.load(robot_file(run), path.stem)):
        raise RunError(f"robot {path} differs from the one that {run} was begun with, expected the same, or none")


def read_config(run: Path) -> TrainConfig:
    """Returns a run's configuration; an option that is newer than the run has its default.

    Raises RunError where the file is broken or holds a setting that does not exist.
    """
    return read_config_file(run / CONFIG)


def read_config_file(path: Path) -> TrainConfig:
    """Returns the configuration in a JSON file."""
    content = read_json(path)
    ppo = content.get("ppo", {})
    if isinstance(ppo, dict):  # a run that is older than pieces learns from whole trials
        ppo = {"sequence_length": None, **ppo}
    ppo = make(PPOConfig, ppo, f"ppo in {path}")
    return make(TrainConfig, {"belief_size": 0, **content, "ppo": ppo}, str(path))  # nor has it a belief network


def as_json(config: TrainConfig, run: Path) -> dict[str, Any]:
    """Returns the configuration as JSON can hold it."""
    paths = {name: str(path) for name in PATHS if (path := getattr(config, name))}
    return {**dataclasses.asdict(config), "run_dir": str(run), **paths}


def keep_settings(
    run: Path, config: TrainConfig, family: TaskFamily, *, teacher: "Controller | None"
) -> dict[str, Any]:
    """Writes what a run can be resumed with, the settings last: without them nothing was begun. Returns these."""
    if not config.resume:
        if isinstance(family.robot, MjcfRobot):
            with replacing(run / ROBOT) as temporary:
                family.robot.save(temporary)
        if teacher:
            teacher.save(run / TEACHER)
    settings = as_json(config, run)
    write_json(run / CONFIG, settings)
    return settings


def lasting_settings(config: TrainConfig) -> dict[str, str]:
    """Returns what a run was begun with and cannot change, by name: what its checkpoints are of."""
    own = flattened(vars(config))
    return {name: str(value) for name, value in own.items() if name not in (*CHANGEABLE, *PATHS, "run_dir", "resume")}


def flattened(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings with PPO's as "ppo.learning_rate" and so on."""
    ppo = {f"ppo.{name}": value for name, value in vars(settings["ppo"]).items()} if "ppo" in settings else {}
    return {name: value for name, value in settings.items() if name != "ppo"} | ppo


def same(one: object, other: object) -> bool:
    """Returns whether two values of a setting are the same; paths are, from wherever they start."""
    if isinstance(one, Path) and isinstance(other, Path):
        return one.absolute() == other.absolute()
    return one == other
