"""Measures how a controller adapts."""

from dataclasses import asdict
from pathlib import Path

from agents.controller import Controller, ControllerError
from agents.files import check_writable
from envs.family import TaskFamily, make_family
from experiments.configs import EvaluateConfig, require_positive
from experiments.report import plot_adaptation, print_adaptation
from experiments.shipped import load_controller
from meta.adaptation import Adaptation, evaluate_adaptation
from meta.checkpoint import write_json


def family_of(controller: Controller, family: TaskFamily | None = None) -> TaskFamily:
    """The family that a controller was trained on: by its name, or given where it is not registered."""
    card, spec = controller.card, controller.policy.spec
    if family is None:
        family = make_family(card.family, card.variant)
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
    family: TaskFamily | None = None,
) -> Adaptation:
    """Trials of a controller on a split's tasks, and of its controls on the same.

    controller: a run directory, a file, a shipped name, or a loaded controller.
    episodes, horizon: the trial's shape, by default as trained.
    family: the family, where it is one of the caller's own.
    """
    for name, value in (("tasks", tasks), ("episodes", episodes), ("horizon", horizon)):
        require_positive(name, value)
    loaded = controller if isinstance(controller, Controller) else load_controller(controller)
    return evaluate_adaptation(
        loaded.policy,
        family_of(loaded, family),
        split,
        tasks,
        episodes or loaded.card.episodes_per_trial,
        horizon or loaded.card.horizon,
        seed,
        sample,
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
    )
    print_adaptation(result)
    if config.json:
        write_json(config.json, asdict(result))
    if config.plot:
        plot_adaptation(result, config.plot)
