"""A frame of a trial's video: a title, what the colours mean, and a tile for each task."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from limbshift.envs.family import TaskFamily
from limbshift.envs.rendering import GOAL, NEUTRAL, SWITCHED, Color, effect_color
from limbshift.envs.tasks.parameter import ModelEffect, TaskParameter
from limbshift.envs.trial_env import TrialEnv

Picture = NDArray[np.uint8]
Bytes = tuple[int, int, int]
TILE = (426, 320)
"""Width and height of a task's picture; three fill a page of 1280."""
BANNER_SECONDS = 0.8
"""For how long the start of an episode is announced."""
_PAPER, _EMPTY, _FAINT, _INK, _ALARM = (250, 250, 248), (222, 224, 226), (110, 116, 124), (30, 34, 40), (190, 30, 40)
_GAP = 4
"""Pixels between tiles."""


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

    def begin_slot(self) -> None:
        self.returns.append(0.0)
        self.fell_at, self.began_at = None, 0

    def add(self, step: int, reward: float, terminated: bool, *, diverged: bool) -> None:
        """Counts the outcome of a step of the slot; the first is number 1."""
        if self.fell_at is None:
            self.returns[-1] += reward
        if terminated:
            self.fell_at = step if self.fell_at is None else self.fell_at
            self.began_at, self.diverged = step, diverged


def task_lines(family: TaskFamily, task: Mapping[str, float]) -> list[str]:
    """Returns a task in words, such as "direction -1", "wiring + - + + - +", "mass: torso 1.2, bthigh 0.43"."""
    plain: list[str] = []
    groups: dict[str, list[tuple[str, float]]] = {}
    for parameter in family.parameters:
        value = task[parameter.name]
        if parameter.caption:
            groups.setdefault(parameter.caption.group, []).append((parameter.caption.part, value))
        else:
            plain.append(f"{_words(parameter)} {value:.2g} {parameter.unit}".rstrip())
    lines = [", ".join(plain)] if plain else []
    return lines + [_CAPTIONS[group](values) for group, values in groups.items()]


def _words(parameter: TaskParameter) -> str:
    return parameter.name.replace("_", " ")


def _masses(parts: list[tuple[str, float]]) -> str:
    return "mass: " + ", ".join(f"{part} {value:.2g}" for part, value in parts)


def _wiring(parts: list[tuple[str, float]]) -> str:
    return "wiring " + " ".join("+" if value > 0 else "-" for _, value in parts)


def _dead(parts: list[tuple[str, float]]) -> str:
    return "dead: " + (", ".join(part for part, value in parts if not value) or "none")


_CAPTIONS: Mapping[str, Callable[[list[tuple[str, float]]], str]] = {"mass": _masses, "wiring": _wiring, "dead": _dead}
"""How the values of a caption's group are written, from its parts and their values."""
_SWITCHED = {"wiring": "reversed", "dead": "dead"}
"""What the legend calls a part of the group whose value is not the nominal one."""


class Page:
    """A frame of the video: a title, what the colours mean, and a tile for each task.

    A tile is the task in words, the picture, a bar of the trial's episodes, and the scores.
    """

    def __init__(self, env: TrialEnv, tile: tuple[int, int], frame_rate: float) -> None:
        values = env.task_env.task_values()
        family = env.task_env.family
        self.tasks = [{name: float(column[sim]) for name, column in values.items()} for sim in range(env.num_envs)]
        self._episodes, self._horizon = env.episodes_per_trial, env.horizon
        self._banner_steps = max(1, min(round(BANNER_SECONDS * frame_rate), env.horizon // 4))
        self._tile = tile
        self._pen = _Pen(max(8, min(15, tile[0] // 28)))
        self._banner_pen = _Pen(max(10, tile[0] // 18))
        legend = _legend(env)
        captions = [self._pen.wrap(task_lines(family, task), tile[0] - self._pen.line) for task in self.tasks]
        head = (2 if legend else 1) * self._pen.line
        self._top = head + (max(len(caption) for caption in captions) + 1) * self._pen.line
        width = len(self.tasks) * (tile[0] + _GAP) - _GAP
        height = self._top + tile[1] + 3 * self._pen.line
        self.size = (width + width % 2, height + height % 2)  # yuv420p wants even numbers
        self._blank = Image.new("RGB", self.size, _PAPER)
        draw = ImageDraw.Draw(self._blank)
        self._pen.row(draw, (self._pen.margin, self._pen.margin), [_title(env, frame_rate)])
        self._pen.row(draw, (self._pen.margin, self._pen.margin + self._pen.line), legend)
        for number, caption in enumerate(captions):
            for row, text in enumerate(caption):
                place = (self._left(number) + self._pen.margin, head + self._pen.margin + row * self._pen.line)
                self._pen.write(draw, place, text, color=_INK)

    def draw(self, pictures: list[Picture], scores: list[Score], step: int) -> Picture:
        """Returns the (height, width, 3) frame after this many steps of a slot."""
        page = self._blank.copy()
        draw = ImageDraw.Draw(page)
        for number, (picture, score) in enumerate(zip(pictures, scores, strict=True)):
            left = self._left(number)
            page.paste(Image.fromarray(picture), (left, self._top))
            if step - score.began_at < self._banner_steps:
                self._draw_banner(draw, left, score)
            self._draw_bar(draw, left, len(score.returns) - 1, step=step)
            self._draw_score(draw, left, score, step=step)
        return np.asarray(page)

    def _left(self, number: int) -> int:
        return number * (self._tile[0] + _GAP)

    def _draw_banner(self, draw: ImageDraw.ImageDraw, left: int, score: Score) -> None:
        """Announces the episode that begins, and why, where it was not for time."""
        text = f"episode {len(score.returns)} of {self._episodes}"
        if score.began_at:
            text = "simulation diverged: starts again" if score.diverged else "fell: starts again"
        height = round(1.1 * self._banner_pen.line)
        box = (left, self._top, left + self._tile[0] - 1, self._top + height)
        draw.rectangle(box, _ALARM if score.began_at else _to_bytes(GOAL))
        place = (left + self._tile[0] // 2, self._top + height // 2)
        draw.text(place, text, _PAPER, self._banner_pen.font, anchor="mm")

    def _draw_bar(self, draw: ImageDraw.ImageDraw, left: int, episode: int, *, step: int) -> None:
        """Draws the trial's time line under the picture, a piece for each episode."""
        top = self._top + self._tile[1] + 3
        bottom = top + self._pen.margin
        for slot in range(self._episodes):
            start = left + slot * self._tile[0] // self._episodes
            end = left + (slot + 1) * self._tile[0] // self._episodes - 3
            draw.rectangle((start, top, end, bottom), _EMPTY)
            share = min(max((episode - slot) + step / self._horizon, 0.0), 1.0)
            if share:
                draw.rectangle((start, top, start + share * (end - start), bottom), _to_bytes(GOAL))

    def _draw_score(self, draw: ImageDraw.ImageDraw, left: int, score: Score, *, step: int) -> None:
        """Writes episode, step and return so far; then the returns of earlier episodes, as many as fit."""
        *earlier, present = score.returns
        now = f"episode {len(score.returns)} of {self._episodes}   step {step}/{self._horizon}   return {present:.1f}"
        place = (left + self._pen.margin, self._top + self._tile[1] + 3 * self._pen.margin)
        self._pen.write(draw, place, now, color=_INK if score.fell_at is None else _ALARM)
        fall = "" if score.fell_at is None else f"counted up to the fall at step {score.fell_at}   "
        notes = [f"episode {number}: {value:.1f}   " for number, value in enumerate(earlier, 1)]
        while notes and self._pen.font.getlength(fall + "".join(notes)) > self._tile[0]:
            del notes[0]
        self._pen.write(draw, (place[0], place[1] + self._pen.line), fall + "".join(notes), color=_FAINT)


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
    return f"{family.name}{variant}, {env.task_env.split} tasks{slowed}"


def _legend(env: TrialEnv) -> list[str | Color]:
    """Returns words and colours that say what the colours mean; the first parameter of each group stands for all."""
    family, physics = env.task_env.family, env.task_env.physics
    shown: dict[str, TaskParameter] = {}
    for parameter in family.parameters:
        if isinstance(parameter.effect, ModelEffect) and parameter.effect.shown_on(physics):
            shown.setdefault(parameter.caption.group if parameter.caption else _words(parameter), parameter)
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
