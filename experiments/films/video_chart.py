"""The chart under each robot of a film: its reward over the trial, beside what it could be."""

from collections.abc import Callable, Sequence
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
DASH = 6
"""Pixels of a dash, and of the gap after it."""


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
    rewards: list[float] = field(default_factory=list)
    """Of all steps so far."""
    measured: str = ""
    """What a person would measure now, in words."""

    def begin_slot(self) -> None:
        self.returns.append(0.0)
        self.fell_at, self.began_at = None, 0

    def add(self, step: int, reward: float, terminated: bool, *, diverged: bool) -> None:
        """Counts the outcome of a step of the slot; the first is number 1."""
        self.rewards.append(reward)
        if self.fell_at is None:
            self.returns[-1] += reward
        if terminated:
            self.fell_at = step if self.fell_at is None else self.fell_at
            self.began_at, self.diverged = step, diverged


class Scale(NamedTuple):
    """What one robot's rewards are measured by."""

    random: float
    """Mean reward per step of random actions on its task, in the trial's last episode."""
    best: float
    """That of the controller's best episode."""
    adapted_at: int | None
    """The step of episode 1 from which on the controller is nearly as good as in the last, as evaluations tell it;
    None where it never is, or has hardly learnt the task."""


class RewardChart:
    """Draws rewards per second over a trial; each episode has a field of its own."""

    def __init__(
        self, width: int, pen: Pen, color: Bytes, *, trial: tuple[int, int], timestep: float, scales: Sequence[Scale]
    ) -> None:
        """width: of the chart, pixels. color: of the curve. trial: its episodes, and steps in each.

        timestep: of an action, s. scales: of the robots, if they are known.
        """
        self._episodes, self._horizon = trial
        self._width, self._pen, self._color = width, pen, color
        self._timestep, self._scales = timestep, scales

    def ends(self, scores: Sequence[Score]) -> tuple[float, float]:
        """Returns the least and the largest that charts show, the same in all: what was there so far, scales, and 0."""
        rates = [self._smoothed(score)[SMOOTH_STEPS // 2 :] for score in scores]
        levels = [level / self._timestep for scale in self._scales for level in (scale.random, scale.best)]
        all_of = np.concatenate([np.zeros(1), np.array(levels), *rates])
        low, high = float(all_of.min()), float(all_of.max())
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
        left, top = corner
        height, steps = CHART_LINES * self._pen.line - 6, self._episodes * self._horizon
        across = self._width / steps
        for slot in range(self._episodes):
            start, end = (left + edge * self._horizon * across for edge in (slot, slot + 1))
            draw.rectangle((start, top, end - 3, top + height), EMPTY)
        low, high = ends
        curve = self._smoothed(score)

        def place(step: int, value: float) -> tuple[float, float]:
            share = (min(max(value, low), high) - low) / (high - low)
            return left + step * across, top + height - 2 - share * (height - 2 - self._pen.line)  # words are above

        draw.line([place(0, 0.0), place(steps, 0.0)], PAPER)
        if self._scales:
            self._draw_scale(draw, corner, self._scales[number], bottom=top + height, seen=len(curve), place=place)
        if len(curve) > 1:
            draw.line([place(step + 1, value) for step, value in enumerate(curve.tolist())], self._color, width=2)
        most = f"{high:,.0f}" if high >= 100 else f"{high:.3g}"
        words = f"reward/s, up to {most}" if high > 1e-6 else "reward/s"
        self._pen.write(draw, (left + 3, top), words, color=FAINT)

    def _draw_scale(
        self,
        draw: ImageDraw.ImageDraw,
        corner: tuple[int, int],
        scale: Scale,
        *,
        bottom: int,
        seen: int,
        place: Callable[[int, float], tuple[float, float]],
    ) -> None:
        """Draws dashes at what random actions and the best episode bring, and a mark where it has adapted."""
        left, top = corner
        for level, words in ((scale.random, "random"), (scale.best, "best")):
            height = place(0, level / self._timestep)[1]
            for start in range(left, left + self._width - DASH, 2 * DASH):
                draw.line([(start, height), (start + DASH, height)], FAINT)
            apart = place(0, scale.random / self._timestep)[1] - place(0, scale.best / self._timestep)[1]
            if words == "best" or apart > self._pen.line:
                right = left + self._width - self._pen.font.getlength(words) - 6
                self._pen.write(draw, (round(right), round(height - self._pen.line)), words, color=FAINT)
        if scale.adapted_at is not None and seen >= scale.adapted_at:
            x = place(scale.adapted_at, 0.0)[0]
            draw.line([(x, top + self._pen.line), (x, bottom)], INK)
            seconds = scale.adapted_at * self._timestep
            self._pen.write(draw, (round(x) + 3, bottom - self._pen.line), f"adapted, {seconds:.1f} s", color=INK)

    def _smoothed(self, score: Score) -> NDArray[np.float64]:
        """Returns rewards per second, each a mean of the steps before it."""
        rewards = np.array(score.rewards)
        window = min(SMOOTH_STEPS, max(len(rewards), 1))
        sums = np.cumsum(np.concatenate([np.zeros(1), rewards]))
        starts = np.maximum(np.arange(1, len(rewards) + 1) - window, 0)
        means: NDArray[np.float64] = (sums[1:] - sums[starts]) / (np.arange(1, len(rewards) + 1) - starts)
        return means / self._timestep
