"""The chart under each robot of a film, drawn without a simulation."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from limbshift.experiments.films.pen import EMPTY, FAINT, Bytes, Pen
from limbshift.experiments.films.video_chart import RewardChart, Scale, Score, ends_of

GREEN = (10, 150, 60)
HORIZON, TIMESTEP = 50, 0.05
WIDTH, HEIGHT = 400, 80
SCALE = Scale(random=1.0, best=8.0, adapted_at=None, ends=(0.0, 10.0))


def make_chart(*scales: Scale) -> RewardChart:
    """Two episodes, 4 pixels a step."""
    return RewardChart(WIDTH, Pen(15), GREEN, trial=(2, HORIZON), timestep=TIMESTEP, scales=scales)


def scored(*episodes: list[float], fall: int | None = None) -> Score:
    """What episodes earned, of which each falls after so many steps."""
    score = Score()
    for number, rewards in enumerate(episodes):
        if number:
            score.begin_slot()
        for step, reward in enumerate(rewards, 1):
            score.add(step, reward, step == fall, diverged=False)
    return score


def drawn(chart: RewardChart, score: Score) -> NDArray[np.uint8]:
    picture = Image.new("RGB", (WIDTH, HEIGHT), EMPTY)
    chart.draw(ImageDraw.Draw(picture), (0, 0), score, number=0, ends=chart.ends([score]))
    return np.asarray(picture)


def places(picture: NDArray[np.uint8], color: Bytes) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the pixels of this colour."""
    rows, columns = np.nonzero((picture == color).all(axis=-1))
    return rows, columns


def test_the_curve_ends_at_the_fall() -> None:
    picture = drawn(make_chart(SCALE), scored([5.0] * HORIZON, [5.0] * HORIZON, fall=20))
    columns = np.unique(places(picture, GREEN)[1])
    assert columns.min() >= 4  # the first step ends there
    assert np.diff(columns).max() == 4 * (HORIZON - 20) + 4  # and the last of the first episode at 80
    assert columns.max() == pytest.approx(4 * (HORIZON + 20), abs=1)


def test_each_episode_is_smoothed_by_itself() -> None:
    """Rewards of 10 in episode 1 are not seen in episode 2, which earns nothing."""
    rows, columns = places(drawn(make_chart(SCALE), scored([10.0] * HORIZON, [0.0] * 6)), GREEN)
    second = columns > 4 * HORIZON + 2
    assert rows[~second].max() + 30 < rows[second].min()


def test_the_scale_is_that_of_the_end_from_the_start() -> None:
    rewards = np.linspace(0.0, 20.0, HORIZON).tolist()
    chart = make_chart(SCALE._replace(ends=ends_of([rewards, rewards])))
    at_first, later = chart.ends([scored([])]), chart.ends([scored(rewards, rewards)])
    assert at_first == later
    assert at_first[1] > 15 / TIMESTEP


def test_levels_are_strokes_that_no_word_stands_beside() -> None:
    """Dashes at the best and dots at random actions, and nothing else below the words above the curve."""
    rows, columns = places(drawn(make_chart(SCALE), scored([])), FAINT)
    best, random = np.unique(rows[rows > Pen(15).line])
    assert best < random
    lengths = [np.bincount(columns[rows == level] // (WIDTH // 4))[1:].max() for level in (best, random)]
    assert lengths[0] > lengths[1] > 20


def test_when_it_has_adapted_is_told_once_it_has() -> None:
    ink = (30, 34, 40)
    chart, late = (make_chart(SCALE._replace(adapted_at=step)) for step in (20, 45))
    assert not len(places(drawn(chart, scored([5.0] * 19)), ink)[0])
    assert 4 * 20 in places(drawn(chart, scored([5.0] * 20)), ink)[1]
    rows, columns = places(drawn(late, scored([5.0] * 45)), ink)
    assert set(columns[rows > Pen(15).line]) == {4 * 45}  # the words are above the curve
