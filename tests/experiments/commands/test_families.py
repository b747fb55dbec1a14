"""The list of task families, on the terminal and in the README."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from limbshift.envs.catalogue import families, make_family
from limbshift.experiments.cli import main
from limbshift.experiments.commands.families import catalogue
from limbshift.experiments.figures.robot_sheet import TILE
from tests.gl import needs_gl


def test_the_readme_lists_every_family() -> None:
    readme = (Path(__file__).parents[3] / "README.md").read_text()
    assert catalogue() in readme, "print it anew: limbshift families --markdown"


def test_the_list_is_printed_as_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["families", "--markdown"]) == 0
    assert capsys.readouterr().out == catalogue() + "\n"


@needs_gl
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
