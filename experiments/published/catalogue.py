"""docs/catalogue.md: each family with a strip of pictures, its numbers and its controller's: `make catalogue`."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from limbshift.agents.atomic_write import check_writable, replacing
from limbshift.envs.catalogue import families, make_family
from limbshift.envs.family import TaskFamily
from limbshift.experiments.cli import answer, taken
from limbshift.experiments.commands.config import EvaluateConfig
from limbshift.experiments.commands.families import parameter_row, sizes, splits_text
from limbshift.experiments.configs import Flag
from limbshift.experiments.films.film_strip import film_strip
from limbshift.experiments.runs.controllers import SHIPPED, load_controller, shipped_names
from limbshift.experiments.sharing.record_file import RECORD, read_record
from limbshift.experiments.wording import filled, markdown_table, number, percent, with_interval

PICTURES = "catalogue"
"""Directory beside the page."""
QUALITY = 80
"""Of JPEG."""
INTRODUCTION = """\
Written by `make catalogue` from the families themselves and from the controllers that come with the package.
[Families](families.md) tells why they are as they are; `limbshift families FAMILY` prints what stands here.

The upper row of each strip is one trial on a task that was never trained on: four moments of the first episode, and the
middle of the last. The lower row is that same moment on five such tasks. Bodies are coloured by what changes in them:
blue is less than nominal, red more, orange a motor that is reversed or dead. Where nothing that changes is told so, the
robot has its own colours. Green marks what is asked for.
"""


@dataclass(frozen=True)
class CatalogueConfig:
    """Write docs/catalogue.md, and film a strip of each family."""

    page: Path = Path("docs/catalogue.md")
    """The page; its pictures go into a directory beside it."""
    words_only: Flag = False
    """Leave the pictures as they are."""


def write_catalogue(config: CatalogueConfig) -> Path:
    """Runs the command and returns the page's path."""
    check_writable(config.page)
    if not config.words_only:
        for name in families():
            save_strip(name, config.page.parent / PICTURES / f"{name}.jpg")
    with replacing(config.page) as temporary:
        temporary.write_text(catalogue())
    return config.page


def save_strip(name: str, path: Path) -> None:
    """Films a family's strip."""
    path.parent.mkdir(parents=True, exist_ok=True)
    strip = film_strip(make_family(name), load_controller(name) if name in shipped_names() else None)
    with replacing(path) as temporary:
        strip.save(temporary, "JPEG", quality=QUALITY, optimize=True)


def catalogue() -> str:
    """Returns the page: families in the order of their robots."""
    by_robot: dict[str, list[TaskFamily]] = {}
    for name in families():
        family = make_family(name)
        by_robot.setdefault(family.robot.name, []).append(family)
    links = [
        (robot, ", ".join(f"[{family.name}](#{family.name.lower()})" for family in own))
        for robot, own in by_robot.items()
    ]
    parts = ["# Catalogue", INTRODUCTION.rstrip(), markdown_table([("robot", "families"), *links])]
    parts += [part for own in by_robot.values() for family in own for part in section(family)]
    return "\n\n".join(parts) + "\n"


def section(family: TaskFamily) -> Iterator[str]:
    """Yields a family's heading, picture, numbers, and what its controller reaches."""
    obs_dim, action_dim = sizes(family)
    yield f"## {family.name}"
    yield filled(family.description)
    yield f"![{family.name}: moments of a trial, and five tasks]({PICTURES}/{family.name}.jpg)"
    yield filled(
        f"{family.robot.name}: {obs_dim} observations, {action_dim} actions. A trial is {family.episodes_per_trial} x"
        f" {family.horizon} steps of {family.robot.control_timestep:g} s. Variants: {', '.join(family.variants)}."
        f" Splits: {splits_text(family)}."
    )
    yield f"```text\n{filled('reward = ' + ' '.join((family.reward.__doc__ or '').split()))}\n```"
    rows = [[cell.replace("\n", ", ") for cell in parameter_row(parameter)] for parameter in family.parameters]
    yield markdown_table(
        [("parameter", "values", "extrapolation", "meaning"), *([f"`{name}`", *rest] for name, *rest in rows)]
    )
    yield filled(reached(family.name))


def reached(name: str) -> str:
    """Tells what the family's controller returns, where one comes with the package."""
    if name not in shipped_names():
        return f"No controller comes with the package, so the pictures are of random actions: `limbshift train {name}`."
    record = read_record(SHIPPED / name / RECORD)
    found = record.heldout
    adapted = "" if found.adaptation_time_s is None else f", adapted after {found.adaptation_time_s:.1f} s"
    tasks = "" if found.num_tasks == EvaluateConfig.num_tasks else f" --tasks {found.num_tasks}"
    returns = with_interval(found.returns, -1)
    return (
        f"`limbshift evaluate {name}{tasks}`: {returns} in the last episode on held-out tasks, random"
        f" actions {number(found.controls['random'].iqm[-1])}, falls {percent(found.falls)}{adapted}; trained for"
        f" {record.steps / 1e6:.1f} M steps. {record.words}"
    )


if __name__ == "__main__":
    COMMAND = "python -m limbshift.experiments.published.catalogue"
    sys.exit(answer(lambda: write_catalogue(taken(CatalogueConfig, sys.argv[1:], command=COMMAND))))
