"""Finds and loads controllers: in run directories, in files, and among those shipped with the package."""

import difflib
from pathlib import Path

from limbshift.agents.controller import Controller
from limbshift.agents.controller_file import ControllerCard
from limbshift.envs.catalogue import families, make_family
from limbshift.envs.errors import ControllerError
from limbshift.envs.family import TaskFamily
from limbshift.envs.mjcf.families import KINDS, MjcfFamily
from limbshift.envs.mjcf.robot import MjcfRobot
from limbshift.experiments.logs.weights_and_biases import downloaded, is_address
from limbshift.experiments.runs.directory import CONTROLLER, ROBOT, robot_file
from limbshift.experiments.runs.families import load_family

SHIPPED = Path(__file__).parents[1] / "controllers"
"""Holds a folder for each, as `limbshift share` makes them."""


def shipped_names() -> list[str]:
    """Returns the names of the controllers that come with the package."""
    return sorted(path.parent.name for path in SHIPPED.glob(f"*/{CONTROLLER}"))


def find_controller(name: str | Path) -> Path:
    """Returns the file of a run directory, a path, a run of W&B's or a shipped name; a path that exists wins.

    Raises ControllerError where there is no such run, and no such shipped controller.
    """
    if not isinstance(name, str | Path):
        raise ControllerError(f"controller is {name!r}, expected a name, a path or a loaded one")
    if isinstance(name, str) and is_address(name):
        return downloaded(name) / CONTROLLER
    path = Path(name)
    if path.is_dir():
        if not (path / CONTROLLER).is_file():
            raise ControllerError(f"{path} holds no {CONTROLLER}, expected the directory of a run that has saved one")
        return path / CONTROLLER
    if path.exists() or path.suffix == ".safetensors":
        return path
    if (SHIPPED / name / CONTROLLER).is_file():
        return SHIPPED / name / CONTROLLER
    raise ControllerError(what_is_missing(str(name)))


def what_is_missing(name: str) -> str:
    """Says what a name that leads to no controller was probably meant to be."""
    if name in families():
        command = f"limbshift train {name} --run-dir runs/{name}"
        return f"{name} has no shipped controller: train one by `{command}`, and name runs/{name}"
    if "/" in name:
        return f"no run directory {name}, expected one that `limbshift train` made"
    nearest = difflib.get_close_matches(name, families(), n=1)
    expected = "expected a run directory, a .safetensors file or a shipped name"
    return f"unknown controller {name!r}: " + (f"did you mean {nearest[0]}?" if nearest else expected)


def load_controller(name: str | Path) -> Controller:
    """Returns a controller by run directory, file or shipped name. Nothing in the file is executed.

    Raises ControllerError where there is none.

    >>> import limbshift
    >>> controller = limbshift.load_controller("HalfCheetahDir")
    >>> controller.card.family, controller.card.episodes_per_trial, controller.card.horizon
    ('HalfCheetahDir', 2, 200)
    """
    return Controller.load(find_controller(name))


def load_with_family(
    name: str | Path | Controller, family: TaskFamily | None = None, family_file: str | None = None
) -> tuple[Controller, TaskFamily]:
    """Returns a controller and the family that it was trained on.

    A family of the user's own is given, or loaded from `family_file`, "FILE.py:Class". A robot of
    the user's own is the one beside the controller's file.
    """
    if family is not None and not isinstance(family, TaskFamily):
        raise ControllerError(f"family is {family!r}, expected an object of a TaskFamily")
    controller = name if isinstance(name, Controller) else Controller.load(find_controller(name))
    card = controller.card
    if family is None and family_file:
        family = load_family(family_file, card.variant)
    return controller, check_family(controller, family or family_of_card(card, name))


def family_of_card(card: ControllerCard, name: str | Path | Controller) -> TaskFamily:
    """Returns a family of the package's, or one over the user's own robot, whose model lies beside the controller."""
    if card.family not in (KINDS if card.robot else families()):
        raise ControllerError(
            f"controller was trained on {card.family}, a family that does not come with limbshift:"
            f" expected its class as --family-file FILE.py:{card.family}, or family={card.family}() in Python"
        )
    if not card.robot:
        return make_family(card.family, card.variant)
    if isinstance(name, Controller) or not (kept := robot_file(find_controller(name).parent)).is_file():
        raise ControllerError(f"controller moves the robot {card.robot}, expected its {ROBOT} beside the file")
    return MjcfFamily(card.family, MjcfRobot.load(kept, card.robot))


def same_robot(one: TaskFamily, other: TaskFamily) -> bool:
    """Returns whether two families move the same robot, where these are of the user's own."""
    if isinstance(one.robot, MjcfRobot) and isinstance(other.robot, MjcfRobot):
        return one.robot is other.robot or one.robot.same_as(other.robot)
    return True


def check_family(controller: Controller, family: TaskFamily) -> TaskFamily:
    """Returns the family; raises ControllerError where the controller was trained on another."""
    card, spec = controller.card, controller.policy.spec
    if family.name != card.family:
        raise ControllerError(f"controller was trained on {card.family}, expected one of {family.name}")
    motors = family.robot.model.nu
    if spec.action_dim != motors:
        raise ControllerError(f"controller moves {spec.action_dim} motors, expected {motors} as {family.name} has")
    task_dim = family.task_space.encoding_dim
    if spec.task_dim not in (0, task_dim):  # trained where headings and categories were single numbers
        raise ControllerError(f"controller is shown tasks as {spec.task_dim} numbers, expected {task_dim}")
    if controller.task_head is not None and controller.task_head.task_dim != task_dim:
        found = controller.task_head.task_dim
        raise ControllerError(f"controller tells its task by {found} numbers, expected {task_dim}")
    return family
