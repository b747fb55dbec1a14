"""docs/catalogue.md: that it tells what is so, and shows every family."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from limbshift.envs.catalogue import families, make_family
from limbshift.experiments.films.film_strip import GAP, PEN, TASKS, TILE, film_strip
from limbshift.experiments.published.catalogue import CatalogueConfig, catalogue, write_catalogue
from tests.gl import needs_gl

DOCS = Path(__file__).parents[3] / "docs"


def test_the_page_in_the_repository_is_what_would_be_written() -> None:
    assert (DOCS / "catalogue.md").read_text() == catalogue(), "make catalogue"


def test_every_family_has_a_strip() -> None:
    assert sorted(path.stem for path in (DOCS / "catalogue").iterdir()) == sorted(families())
    for path in (DOCS / "catalogue").iterdir():
        with Image.open(path) as strip:
            assert strip.size == (TASKS * (TILE[0] + GAP) - GAP, 2 * (TILE[1] + PEN.line + GAP)), path.name


def test_words_alone_leave_the_pictures(tmp_path: Path) -> None:
    assert write_catalogue(CatalogueConfig(tmp_path / "page.md", words_only=True)).read_text() == catalogue()
    assert [path.name for path in tmp_path.iterdir()] == ["page.md"]


@needs_gl
def test_a_strip_shows_a_trial_above_and_tasks_below(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last picture above is of the moment, and the robot, of the first below; no two others are alike."""
    monkeypatch.setattr("limbshift.experiments.films.film_strip.SECONDS", (0.0, 0.1, 0.2, 0.3))
    family = make_family("HalfCheetahVel")
    family.horizon, family.episodes_per_trial = 20, 1
    strip = np.asarray(film_strip(family, None))
    height = TILE[1] + PEN.line + GAP
    pictures = [
        strip[row * height : row * height + TILE[1], column * (TILE[0] + GAP) :][:, : TILE[0]]
        for row in range(2)
        for column in range(TASKS)
    ]
    assert (pictures[4] == pictures[5]).all()
    others = [*pictures[:5], *pictures[6:]]
    assert all((one != other).any() for place, one in enumerate(others) for other in others[:place])
