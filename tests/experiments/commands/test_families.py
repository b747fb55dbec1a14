"""The list of task families, on the terminal and in the README."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from limbshift.envs.catalogue import families, make_family
from limbshift.envs.tasks.task_space import TaskSpace
from limbshift.experiments.cli import main
from limbshift.experiments.commands.families import (
    catalogue,
    families_table,
    parameter_row,
    parameters_table,
    print_family,
)
from limbshift.experiments.figures.robot_sheet import TILE
from tests.gl import needs_gl


def printed_in_80_columns(show: Callable[[Console], None]) -> str:
    file = StringIO()
    show(Console(file=file, width=80))
    return file.getvalue()


def test_the_readme_lists_every_family() -> None:
    readme = (Path(__file__).parents[3] / "README.md").read_text()
    assert catalogue() in readme, "print it anew: limbshift families --markdown"


def test_the_list_is_printed_as_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["families", "--markdown"]) == 0
    assert capsys.readouterr().out == catalogue() + "\n"


@pytest.mark.parametrize("name", families())
def test_names_are_whole_in_80_columns(name: str) -> None:
    for variant in make_family(name).variants:
        family = make_family(name, variant)
        printed = printed_in_80_columns(partial(print_family, family))
        assert "…" not in printed
        assert set(family.task_space.names) <= set(printed.split())
        assert max(len(line) for line in printed.splitlines()) <= 80


def test_a_name_that_is_too_long_is_folded() -> None:
    family = make_family("HalfCheetahDir")
    name = "the_very_long_name_of_a_parameter_of_a_robot_of_ones_own"
    family.parameters = (replace(family.parameters[0], name=name),)
    family.task_space = TaskSpace(family.parameters)
    words = printed_in_80_columns(partial(print_family, family)).split()
    assert name[:32] in words
    assert name[32:] in words


def test_a_family_tells_what_kind_its_parameters_are_and_how_videos_show_them() -> None:
    assert parameter_row(make_family("AntDir").parameters[0]) == (
        "heading",
        "-180 to 180 deg\nangle\nnominal 0",
        "-",
        "which way to run, from +x towards +y (an arrow in videos)",
    )
    assert parameter_row(make_family("QuadrupedMotors").parameters[0]) == (
        "motor_strength",
        "0.6 to 1.4\nlog scale\nnominal 1",
        "0.4 to 0.6\n1.4 to 1.8",
        "factor on the force of all motors",
    )
    (lost_leg,) = (each for each in make_family("QuadrupedBodies").parameters if each.name == "lost_leg")
    assert parameter_row(lost_leg)[:3] == ("lost_leg", "0\ncategory\nnominal 0", "1 to 4")


def test_the_list_is_whole_in_80_columns() -> None:
    printed = printed_in_80_columns(lambda console: console.print(families_table()))
    assert "…" not in printed
    assert set(families()) <= set(printed.split())


@needs_gl
def test_a_picture_is_a_png(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["families", "--picture", str(tmp_path / "x.txt")]) == 2
    assert capsys.readouterr().err.endswith("x.txt, expected a name that ends in .png\n")


def test_the_picture_shows_every_robot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "robots.png"
    assert main(["families", "--picture", str(path)]) == 0
    assert "robots.png" in capsys.readouterr().out.replace("\n", "")
    robots = {make_family(name).robot.name for name in families()}
    picture = np.asarray(Image.open(path).convert("L"))
    height = TILE[1] + 24
    assert picture.shape == (-(-len(robots) // 4) * height, 4 * TILE[0])
    for place in range(len(robots)):
        top, left = place // 4 * height, place % 4 * TILE[0]
        assert picture[top : top + TILE[1], left : left + TILE[0]].std() > 10, "a tile is empty"


def test_the_list_of_all_is_not_of_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["families", "HalfCheetahVel", "--markdown"]) == 2
    assert capsys.readouterr().err == "limbshift: markdown is of all families, expected no HalfCheetahVel beside it\n"


def test_a_family_without_parameters_is_printed() -> None:
    family = make_family("HalfCheetahDir")
    family.parameters, family.task_space = (), TaskSpace(())
    assert "parameter" in printed_in_80_columns(lambda console: console.print(parameters_table(family)))
