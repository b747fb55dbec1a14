"""The chart under each robot of a film: its reward over the trial, beside what it could be."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ImageDraw

from limbshift.experiments.films.pen import EMPTY, FAINT, INK, PAPER, Bytes, Pen

CHART_LINES = 4
"""Height of the chart, in lines of text."""
SMOOTH_STEPS = 20
"""Over which rewards are averaged in it."""
DASHED, DOTTED = (7, 5), (2, 4)
"""Pixels of a stroke, and of the gap after it: at what the best episode earns, and at what random actions do."""


@dataclass
class Score:
    """One simulation's trial so far; what is earned after the first fall of an episode's slot does not count."""

    returns: list[float] = field(default_factory=lambda: [0.0])
    """Of the slots so far; the last one is under way."""
    fell_at: int | None = None
    """The step of the slot's first fall."""
    began_at: int = 0
    """The step at which the slot's present episode began."""
    diverged: bool = False
    """Whether its last fall was the simulation's."""
    rewards: list[list[float]] = field(default_factory=lambda: [[]])
    """Of the steps that count, by slot."""
    measured: str = ""
    """What a person would measure now, in words; nothing before the slot's first step."""

    def begin_slot(self) -> None:
        self.returns.append(0.0)
        self.rewards.append([])
        self.fell_at, self.began_at, self.measured = None, 0, ""

    def add(self, step: int, reward: float, terminated: bool, *, diverged: bool) -> None:
        """Counts the outcome of a step of the slot; the first is number 1."""
        if self.fell_at is None:
            self.returns[-1] += reward
            self.rewards[-1].append(reward)
        if terminated:
            self.fell_at = step if self.fell_at is None else self.fell_at
            self.began_at, self.diverged = step, diverged


class Scale(NamedTuple):
    """What one robot's rewards are measured by."""

    random: float
    """Mean reward per step that counts of random actions on its task, in the trial's last episode."""
    best: float
    """That of the controller's best episode, the one that returns most."""
    adapted_at: int | None
    """The step of episode 1 from which on the controller is nearly as good as in the last, as evaluations tell it;
    None where it never is, has hardly learnt the task, or falls in either episode: then they compare unequal times."""
    ends: tuple[float, float]
    """The least and the largest of its curve, by `ends_of`."""


def smoothed(rewards: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns for each step of an episode the mean of the last few rewards, its own among them.

    >>> smoothed([0.0, 4.0, 2.0]).tolist()
    [0.0, 2.0, 2.0]
    """
    ends = np.arange(1, len(rewards) + 1)
    starts = np.maximum(ends - SMOOTH_STEPS, 0)
    sums = np.concatenate([np.zeros(1), np.cumsum(rewards)])
    means: NDArray[np.float64] = (sums[ends] - sums[starts]) / (ends - starts)
    return means


def ends_of(episodes: Iterable[Sequence[float] | NDArray[np.float64]]) -> tuple[float, float]:
    """Returns the least and the largest of episodes' curves and 0; their first steps aside, where few rewards jump."""
    means = [smoothed(rewards)[SMOOTH_STEPS // 2 :] for rewards in episodes]
    all_of = np.concatenate([np.zeros(1), *means])
    return float(all_of.min()), float(all_of.max())


class RewardChart:
    """Draws rewards per second over a trial, up to falls; each episode has a field and a curve of its own."""

    def __init__(
        self, width: int, pen: Pen, color: Bytes, *, trial: tuple[int, int], timestep: float, scales: Sequence[Scale]
    ) -> None:
        """width: of the chart, pixels. color: of the curve. trial: its episodes, and steps in each.

        timestep: of an action, s. scales: of the robots, if they are known.
        """
        self._episodes, self._horizon = trial
        self._width, self._pen, self._color = width, pen, color
        self._timestep, self._scales = timestep, scales
        self._height = CHART_LINES * pen.line - 6
        self._across = width / (self._episodes * self._horizon)
        """Pixels of a step."""

    def ends(self, scores: Sequence[Score]) -> tuple[float, float]:
        """Returns the least and the largest that charts show, the same in all: what was there so far, scales, and 0."""
        shown = [value for score in scores for value in ends_of(score.rewards)]
        shown += [value for scale in self._scales for value in (scale.random, scale.best, *scale.ends)]
        low, high = min(shown) / self._timestep, max(shown) / self._timestep
        return low, max(high, low + 1e-6)

    def draw(
        self,
        draw: ImageDraw.ImageDraw,
        corner: tuple[int, int],
        score: Score,
        *,
        number: int,
        ends: tuple[float, float],
    ) -> None:
        """Draws the chart of one robot, number so much, from its left and upper corner on."""
        (left, top), (low, high) = corner, ends

        def place(step: int, value: float) -> tuple[float, float]:
            share = (min(max(value / self._timestep, low), high) - low) / (high - low)
            below_words = self._height - 2 - self._pen.line
            return left + step * self._across, top + self._height - 2 - share * below_words

        for slot in range(self._episodes):
            start, end = (left + edge * self._horizon * self._across for edge in (slot, slot + 1))
            draw.rectangle((start, top, end - 3, top + self._height), EMPTY)
        draw.line([place(0, 0.0), place(self._episodes * self._horizon, 0.0)], PAPER)
        scale = self._scales[number] if self._scales else None
        if scale:
            self._draw_level(draw, place(0, scale.best), DASHED)
            self._draw_level(draw, place(0, scale.random), DOTTED)
        for slot, rewards in enumerate(score.rewards):
            if len(rewards) > 1:
                curve = enumerate(smoothed(rewards).tolist(), slot * self._horizon + 1)
                draw.line([place(step, value) for step, value in curve], self._color, width=2)
        most = f"{high:,.0f}" if high >= 100 else f"{high:.3g}"
        words = f"reward/s, up to {most}" if high > 1e-6 else "reward/s"
        right = left + self._width - round(self._pen.font.getlength(words)) - 6
        self._pen.write(draw, (right, top), words, color=FAINT)
        if scale and scale.adapted_at is not None and len(score.rewards[0]) >= scale.adapted_at:
            self._draw_mark(draw, corner, scale.adapted_at, right=right)

    def _draw_level(self, draw: ImageDraw.ImageDraw, start: tuple[float, float], pattern: tuple[int, int]) -> None:
        """Draws strokes over the whole width; pattern: the length of each, and of the gap after it."""
        (left, height), (stroke, gap) = start, pattern
        for offset in range(0, self._width - stroke, stroke + gap):
            draw.line([(left + offset, height), (left + offset + stroke - 1, height)], FAINT)

    def _draw_mark(self, draw: ImageDraw.ImageDraw, corner: tuple[int, int], step: int, *, right: int) -> None:
        """Marks the step of episode 1 from which on the controller is nearly as good as in the last.

        right: up to where words may stand above the curve.
        """
        left, top = corner
        x, bottom = left + step * self._across, top + self._height
        draw.line([(x, top + self._pen.line + 2), (x, bottom)], INK)
        words = f"adapted, {step * self._timestep:.1f} s"
        start = min(x - 3, right - self._pen.font.getlength(words) - self._pen.margin)
        self._pen.write(draw, (round(start), top), words, color=INK)
