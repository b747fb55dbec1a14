"""Charts as a PNG: what their legends name, and in which colours."""

from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from matplotlib.legend import Legend

from limbshift.experiments.commands.evaluate import evaluate
from limbshift.experiments.figures.adaptation_charts import by_episode, by_step
from limbshift.experiments.figures.chart import Chart, Series
from limbshift.experiments.figures.picture import save_picture


def chart(*names: str) -> Chart:
    return Chart("Title", "x", "y", tuple(Series(name, "#204060", [0.0, 1.0], [1.0, 2.0]) for name in names))


def legends(monkeypatch: pytest.MonkeyPatch, path: Path, *charts: Chart) -> list[list[str]]:
    """What is named above all charts, then above each."""
    kept, save = list[Figure](), Figure.savefig

    def savefig(figure: Figure, target: Path, **options: Any) -> None:
        kept.append(figure)
        save(figure, target, **options)

    monkeypatch.setattr(Figure, "savefig", savefig)
    save_picture(path, charts, "Heading")
    drawn: list[Legend | None] = [*kept[0].legends, *(panel.get_legend() for panel in kept[0].axes)]
    return [[text.get_text() for text in legend.get_texts()] if legend else [] for legend in drawn]


def test_names_that_panels_share_stand_above_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    charts = chart("one", "two"), chart("two")
    assert legends(monkeypatch, tmp_path / "a.png", *charts) == [["one", "two"], [], []]
    assert legends(monkeypatch, tmp_path / "b.png", charts[0]) == [["one", "two"], []]


def test_panels_that_share_no_name_have_legends_of_their_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told = legends(monkeypatch, tmp_path / "a.png", chart("one", "two"), chart("three"))
    assert told == [["one", "two"], ["three"]]


def test_no_colour_means_both_a_way_to_act_and_an_episode() -> None:
    result = {"own": evaluate("ReacherGoal", num_tasks=2, horizon=4)}
    ways, episodes = by_episode(result).names, by_step(result).names
    assert list(episodes) == ["episode 1", "episode 4"]
    assert not {*ways.values()} & {*episodes.values()}
    assert len({*episodes.values()}) == 2
