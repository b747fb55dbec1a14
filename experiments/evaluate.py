"""Measures how a controller adapts."""

from copy import deepcopy
from dataclasses import asdict
from pathlib import Path

from agents.controller import Controller, ControllerError
from agents.files import check_writable
from envs.family import TaskFamily, make_family
from envs.own_robot import OwnFamily, OwnRobot
from envs.physics import EngineName
from experiments.configs import Device, EvaluateConfig, choose_device, choose_engine, require_positive
from experiments.report import plot_adaptation, print_adaptation
from experiments.shipped import find_controller
from meta.adaptation import Adaptation, evaluate_adaptation
from meta.checkpoint import ROBOT, write_json


def load_with_family(name: str | Path | Controller, family: TaskFamily | None = None) -> tuple[Controller, TaskFamily]:
    """A controller, and the family that it was trained on; one of the caller's own is given.

    A robot of the caller's own is the compiled model beside the controller's file.
    """
    controller = name if isinstance(name, Controller) else Controller.load(find_controller(name))
    card = controller.card
    if family is None and card.robot:
        if isinstance(name, Controller) or not (model := find_controller(name).with_name(ROBOT)).is_file():
            raise ControllerError(f"controller moves the robot {card.robot}, expected its {ROBOT} beside the file")
        family = OwnFamily(card.family, OwnRobot.load(model, card.robot))
    return controller, check_family(controller, family or make_family(card.family, card.variant))


def check_family(controller: Controller, family: TaskFamily) -> TaskFamily:
    """The family, or a ControllerError where the controller was trained on another."""
    card, spec = controller.card, controller.policy.spec
    if family.name != card.family:
        raise ControllerError(f"controller was trained on {card.family}, expected one of {family.name}")
    motors = family.robot.model.nu
    if spec.action_dim != motors:
        raise ControllerError(f"controller moves {spec.action_dim} motors, expected {motors} as {family.name} has")
    return family


def evaluate(
    controller: str | Path | Controller,
    *,
    split: str = "heldout",
    tasks: int = 64,
    episodes: int | None = None,
    horizon: int | None = None,
    seed: int = 0,
    sample: bool = False,
    shift_at: int | None = None,
    device: Device = "auto",
    physics: EngineName = "mujoco",
    family: TaskFamily | None = None,
) -> Adaptation:
    """Trials of a controller on a split's tasks, and of its controls on the same.

    controller: a run directory, a file, a shipped name, or a loaded controller.
    episodes, horizon: the trial's shape, by default as trained.
    shift_at: the step of the trial before which its task changes.
    device, physics: where the network lives; "mujoco" or "warp", whichever it was trained on.
    family: the family, where it is one of the caller's own.
    """
    for name, value in (("tasks", tasks), ("episodes", episodes), ("horizon", horizon)):
        require_positive(name, value)
    loaded, family = load_with_family(controller, family)
    place = choose_device(device)
    return evaluate_adaptation(
        deepcopy(loaded.policy).to(place),
        family,
        split,
        tasks,
        episodes or loaded.card.episodes_per_trial,
        horizon or loaded.card.horizon,
        seed,
        sample,
        shift_at,
        choose_engine(physics, place),
    )


def run_evaluate(config: EvaluateConfig) -> None:
    """The command."""
    for path in (config.json, config.plot):
        if path:
            check_writable(path)
    result = evaluate(
        config.controller,
        split=config.split,
        tasks=config.tasks,
        episodes=config.episodes,
        horizon=config.horizon,
        seed=config.seed,
        sample=config.sample,
        shift_at=config.shift_at,
        device=config.device,
        physics=config.physics,
    )
    print_adaptation(result)
    if config.json:
        write_json(config.json, asdict(result))
    if config.plot:
        plot_adaptation(result, config.plot)
