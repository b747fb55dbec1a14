"""A frame of a trial's video: a title, what the colours mean, and a tile for each task."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from limbshift.envs.rendering import GOAL, NEUTRAL, SWITCHED, Color, effect_color
from limbshift.envs.tasks.parameter import ModelEffect, TaskParameter
from limbshift.envs.trial_env import TrialEnv
from limbshift.experiments.figures.captions import task_lines, words

Picture = NDArray[np.uint8]
Bytes = tuple[int, int, int]
TILE = (426, 320)
"""Width and height of a task's picture; three fill a page of 1280."""
BANNER_SECONDS = 0.8
"""For how long the start of an episode is announced."""
_PAPER, _EMPTY, _FAINT, _INK, _ALARM = (250, 250, 248), (222, 224, 226), (110, 116, 124), (30, 34, 40), (190, 30, 40)
_GAP = 4
"""Pixels between tiles."""
CHART_LINES = 4
"""Height of the chart of rewards, in lines of text."""
SMOOTH_STEPS = 20
"""Over which rewards are averaged in it."""


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


_SWITCHED = {"wiring": "reversed", "dead": "dead"}
"""What the legend calls a part of the group whose value is not the nominal one."""


def grid(tiles: int) -> int:
    """Returns how many columns so many tiles stand in.

    >>> [grid(tiles) for tiles in (1, 3, 4, 6, 8)]
    [1, 3, 2, 3, 3]
    """
    return 2 if tiles == 4 else min(tiles, 3)


class Page:
    """A frame of the video: a title, what the colours mean, and a tile for each robot, in rows.

    A tile is the task in words, the picture, the reward over the trial, and the scores.
    """

    def __init__(self, env: TrialEnv, tile: tuple[int, int], frame_rate: float, *, labels: Sequence[str] = ()) -> None:
        """labels: what each row is of, where rows are of the same tasks; each robot's row begins with its label."""
        values = env.task_env.task_values()
        family = env.task_env.family
        self.tasks = [{name: float(column[sim]) for name, column in values.items()} for sim in range(env.num_envs)]
        self._episodes, self._horizon = env.episodes_per_trial, env.horizon
        self._timestep = family.robot.control_timestep
        self._banner_steps = max(1, min(round(BANNER_SECONDS * frame_rate), env.horizon // 4))
        self._tile = tile
        self._pen = _Pen(max(8, min(15, tile[0] // 28)))
        self._banner_pen = _Pen(max(10, tile[0] // 18))
        self._columns = env.num_envs // len(labels) if labels else grid(env.num_envs)
        legend = _legend(env)
        labelled = [[labels[number // self._columns]] if labels else [] for number in range(env.num_envs)]
        captions = [
            [*label, *self._pen.wrap(task_lines(family, task), tile[0] - self._pen.line)]
            for label, task in zip(labelled, self.tasks, strict=True)
        ]
        self._head = (2 if legend else 1) * self._pen.line + self._pen.margin
        self._caption = max(len(caption) for caption in captions) * self._pen.line + self._pen.margin
        self._row = self._caption + tile[1] + (CHART_LINES + 3) * self._pen.line
        """Height of a row of tiles."""
        width = self._columns * (tile[0] + _GAP) - _GAP
        height = self._head + -(-env.num_envs // self._columns) * self._row
        self.size = (width + width % 2, height + height % 2)  # yuv420p wants even numbers
        self._blank = Image.new("RGB", self.size, _PAPER)
        draw = ImageDraw.Draw(self._blank)
        self._pen.row(draw, (self._pen.margin, self._pen.margin), [_title(env, frame_rate)])
        self._pen.row(draw, (self._pen.margin, self._pen.margin + self._pen.line), legend)
        for number, caption in enumerate(captions):
            left, top = self._corner(number)
            for row, text in enumerate(caption):
                place = (left + self._pen.margin, top - self._caption + row * self._pen.line)
                self._pen.write(draw, place, text, color=_to_bytes(GOAL) if labels and row == 0 else _INK)

    def draw(self, pictures: list[Picture], scores: list[Score], step: int) -> Picture:
        """Returns the (height, width, 3) frame after this many steps of a slot."""
        page = self._blank.copy()
        draw = ImageDraw.Draw(page)
        ends = self._ends(scores)
        for number, (picture, score) in enumerate(zip(pictures, scores, strict=True)):
            corner = self._corner(number)
            page.paste(Image.fromarray(picture), corner)
            if step - score.began_at < self._banner_steps:
                self._draw_banner(draw, corner, score)
            self._draw_chart(draw, corner, score, ends=ends)
            self._draw_score(draw, corner, score, step=step)
        return np.asarray(page)

    def _corner(self, number: int) -> tuple[int, int]:
        """Returns where a tile's picture begins: left and top."""
        row, column = divmod(number, self._columns)
        return column * (self._tile[0] + _GAP), self._head + row * self._row + self._caption

    def _smoothed(self, score: Score) -> NDArray[np.float64]:
        """Returns rewards per second, each a mean of the steps before it."""
        rewards = np.array(score.rewards)
        window = min(SMOOTH_STEPS, max(len(rewards), 1))
        sums = np.cumsum(np.concatenate([np.zeros(1), rewards]))
        starts = np.maximum(np.arange(1, len(rewards) + 1) - window, 0)
        means: NDArray[np.float64] = (sums[1:] - sums[starts]) / (np.arange(1, len(rewards) + 1) - starts)
        return means / self._timestep

    def _ends(self, scores: list[Score]) -> tuple[float, float]:
        """Returns the least and the largest that charts show, the same in all: what was there so far, and 0."""
        all_of = np.concatenate([np.zeros(1), *(self._smoothed(score)[SMOOTH_STEPS // 2 :] for score in scores)])
        low, high = float(all_of.min()), float(all_of.max())
        return low, max(high, low + 1e-6)

    def _draw_banner(self, draw: ImageDraw.ImageDraw, corner: tuple[int, int], score: Score) -> None:
        """Announces the episode that begins, and why, where it was not for time."""
        text = f"episode {len(score.returns)} of {self._episodes}"
        if score.began_at:
            text = "simulation diverged: starts again" if score.diverged else "fell: starts again"
        height = round(1.1 * self._banner_pen.line)
        left, top = corner
        box = (left, top, left + self._tile[0] - 1, top + height)
        draw.rectangle(box, _ALARM if score.began_at else _to_bytes(GOAL))
        place = (left + self._tile[0] // 2, top + height // 2)
        draw.text(place, text, _PAPER, self._banner_pen.font, anchor="mm")

    def _draw_chart(
        self, draw: ImageDraw.ImageDraw, corner: tuple[int, int], score: Score, *, ends: tuple[float, float]
    ) -> None:
        """Draws the reward per second over the trial, under the picture; each episode has a field of its own."""
        left, top = corner[0], corner[1] + self._tile[1] + 3
        height, steps = CHART_LINES * self._pen.line - 6, self._episodes * self._horizon
        scale = self._tile[0] / steps
        for slot in range(self._episodes):
            start, end = (left + edge * self._horizon * scale for edge in (slot, slot + 1))
            draw.rectangle((start, top, end - 3, top + height), _EMPTY)
        low, high = ends
        curve = self._smoothed(score)

        def place(step: int, value: float) -> tuple[float, float]:
            share = (min(max(value, low), high) - low) / (high - low)
            return left + step * scale, top + height - 2 - share * (height - 2 - self._pen.line)  # words are above

        draw.line([place(0, 0.0), place(steps, 0.0)], _PAPER)
        if len(curve) > 1:
            draw.line([place(step + 1, value) for step, value in enumerate(curve.tolist())], _to_bytes(GOAL), width=2)
        self._pen.write(draw, (left + 3, top), f"reward/s, up to {high:.3g}", color=_FAINT)

    def _draw_score(self, draw: ImageDraw.ImageDraw, corner: tuple[int, int], score: Score, *, step: int) -> None:
        """Writes episode, time and return so far, and what is measured; then earlier returns, as many as fit."""
        *earlier, present = score.returns
        seconds = step * self._timestep
        now = f"episode {len(score.returns)} of {self._episodes}   {seconds:.1f} s   return {present:.1f}"
        left, top = corner[0] + self._pen.margin, corner[1] + self._tile[1] + CHART_LINES * self._pen.line
        color = _INK if score.fell_at is None else _ALARM
        self._pen.write(draw, (left, top), f"{now}   {score.measured}", color=color)
        fall = "" if score.fell_at is None else f"counted up to the fall at {score.fell_at * self._timestep:.1f} s   "
        notes = [f"episode {number}: {value:.1f}   " for number, value in enumerate(earlier, 1)]
        while notes and self._pen.font.getlength(fall + "".join(notes)) > self._tile[0]:
            del notes[0]
        self._pen.write(draw, (left, top + self._pen.line), fall + "".join(notes), color=_FAINT)


class _Pen:
    """Writes in one size."""

    def __init__(self, size: int) -> None:
        self.font = ImageFont.load_default(size)
        self.line = round(1.3 * size)
        """Height of a line, pixels."""
        self.margin = self.line // 3

    def write(self, draw: ImageDraw.ImageDraw, place: tuple[int, int], text: str, *, color: Bytes) -> None:
        draw.text(place, text, color, self.font)

    def row(self, draw: ImageDraw.ImageDraw, place: tuple[int, int], items: list[str | Color]) -> None:
        """Draws words and patches of colour, one after the other."""
        x, y = place
        for item in items:
            if isinstance(item, str):
                self.write(draw, (x, y), item, color=_FAINT)
                x += round(self.font.getlength(item))
            else:
                draw.rectangle((x, y + 2, x + self.line // 2, y + self.line - 4), _to_bytes(item))
                x += self.line // 2 + 1

    def wrap(self, lines: list[str], width: float) -> list[str]:
        """Returns the lines, broken at commas where they would be wider than this."""
        wrapped: list[str] = []
        for line in lines:
            first, *rest = line.split(", ")
            wrapped.append(first)
            for part in rest:
                longer = f"{wrapped[-1]}, {part}"
                if self.font.getlength(longer) <= width:
                    wrapped[-1] = longer
                else:
                    wrapped[-1] += ","
                    wrapped.append(part)
        return wrapped


def _title(env: TrialEnv, frame_rate: float) -> str:
    family = env.task_env.family
    variant = "" if family.variant == "default" else f" ({family.variant})"
    speed = frame_rate * env.task_env.robot.control_timestep
    slowed = f", slowed to {speed:.0%}" if speed < 0.99 else ""
    split = env.task_env.split.replace("heldout", "held-out")
    return f"{family.name}{variant}, {split} tasks{slowed}"


def _legend(env: TrialEnv) -> list[str | Color]:
    """Returns words and colours that say what the colours mean; the first parameter of each group stands for all."""
    family, physics = env.task_env.family, env.task_env.physics
    shown: dict[str, TaskParameter] = {}
    for parameter in family.parameters:
        if isinstance(parameter.effect, ModelEffect) and parameter.effect.shown_on(physics):
            shown.setdefault(parameter.caption.group if parameter.caption else words(parameter), parameter)
    legend: list[str | Color] = []
    for group, parameter in shown.items():
        if parameter.choices:
            legend += [NEUTRAL, " motor as designed   ", SWITCHED, f" {_SWITCHED.get(group, 'changed')}   "]
        else:
            spread = np.geomspace if parameter.scale == "log" else np.linspace
            legend.append(f"{group}: {parameter.low:.2g} ")
            legend += [effect_color(parameter, float(value)) for value in spread(parameter.low, parameter.high, 9)]
            legend.append(f" {parameter.high:.2g} {parameter.unit or 'times'}   ")
    if any(parameter.mark == "post" for parameter in family.parameters):
        legend += [GOAL, " moves at the target velocity"]
    return legend


def _to_bytes(color: Color) -> Bytes:
    red, green, blue = (round(255 * part) for part in color)
    return red, green, blue
