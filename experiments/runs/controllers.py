"""Finds and loads controllers: in run directories, in files, and among those shipped with the package."""

import difflib
from pathlib import Path

from limbshift.agents.controller import Controller, ControllerError
from limbshift.envs.catalogue import make_family
from limbshift.envs.family import TaskFamily
from limbshift.envs.robots.mjcf_robot import MjcfFamily, MjcfRobot
from limbshift.experiments.runs.directory import CONTROLLER, ROBOT, robot_file

SHIPPED = Path(__file__).parents[1] / "controllers"


def shipped_names() -> list[str]:
    """Names of the controllers that come with the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.safetensors"))


def find_controller(name: str | Path) -> Path:
    """The file of a run directory, a path or a shipped name; a path that exists wins."""
    path = Path(name)
    if path.is_dir():
        return path / CONTROLLER
    if path.exists() or path.suffix or len(path.parts) > 1:
        return path
    names = shipped_names()
    if str(name) in names:
        return SHIPPED / f"{name}.safetensors"
    nearest = difflib.get_close_matches(str(name), names, n=1, cutoff=0.3)
    hint = f"did you mean {nearest[0]}?" if nearest else f"shipped are {', '.join(names) or 'none'}"
    raise ControllerError(
        f"unknown controller {str(name)!r}, expected a run directory, a file or a shipped name: {hint}"
    )


def load_controller(name: str | Path) -> Controller:
    """A controller by run directory, file or shipped name."""
    return Controller.load(find_controller(name))


def load_with_family(name: str | Path | Controller, family: TaskFamily | None = None) -> tuple[Controller, TaskFamily]:
    """A controller, and the family that it was trained on; one of the caller's own is given.

    A robot of the caller's own is the one beside the controller's file.
    """
    controller = name if isinstance(name, Controller) else Controller.load(find_controller(name))
    card = controller.card
    if family is None and card.robot:
        if isinstance(name, Controller) or not (kept := robot_file(find_controller(name).parent)).is_file():
            raise ControllerError(f"controller moves the robot {card.robot}, expected its {ROBOT} beside the file")
        family = MjcfFamily(card.family, MjcfRobot.load(kept, card.robot))
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
