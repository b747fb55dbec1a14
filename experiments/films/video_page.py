"""A frame of a trial's video: a title, what the colours mean, and a tile for each task."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from limbshift.envs.rendering import GOAL, NEUTRAL, SWITCHED, Color, effect_color
from limbshift.envs.tasks.parameter import ModelEffect, TaskParameter
from limbshift.envs.trial_env import TrialEnv
from limbshift.experiments.figures.captions import task_lines, words
from limbshift.experiments.films.pen import ALARM, FAINT, INK, PAPER, Pen, to_bytes
from limbshift.experiments.films.video_chart import CHART_LINES, RewardChart, Scale, Score

Picture = NDArray[np.uint8]
TILE = (426, 320)
"""Width and height of a task's picture; three fill a page of 1280."""
LEVELS = "dashed: what its best episode earns, dotted: random actions"
BANNER_SECONDS = 0.8
"""For how long the start of an episode is announced."""
_GAP = 4
"""Pixels between tiles."""


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

    def __init__(
        self,
        env: TrialEnv,
        tile: tuple[int, int],
        frame_rate: float,
        *,
        labels: Sequence[str] = (),
        scales: Sequence[Scale] = (),
    ) -> None:
        """labels: what each row is of, where rows are of the same tasks; each robot's row begins with its label.

        scales: by which the robots' rewards are measured, if they are known.
        """
        family = env.task_env.family
        self.tasks = [env.task_env.task_of(sim) for sim in range(env.num_envs)]
        self._episodes = env.episodes_per_trial
        self._timestep = family.robot.control_timestep
        self._banner_steps = max(1, min(round(BANNER_SECONDS * frame_rate), env.horizon // 4))
        self._tile = tile
        self._pen = Pen(max(8, min(15, tile[0] // 28)))
        self._banner_pen = Pen(max(10, tile[0] // 18))
        self._chart = RewardChart(
            tile[0],
            self._pen,
            to_bytes(GOAL),
            trial=(env.episodes_per_trial, env.horizon),
            timestep=self._timestep,
            scales=scales,
        )
        self._columns = env.num_envs // len(labels) if labels else grid(env.num_envs)
        width = self._columns * (tile[0] + _GAP) - _GAP
        heading = self._heading(env, frame_rate, width=width, levels=bool(scales))
        labelled = [[labels[number // self._columns]] if labels else [] for number in range(env.num_envs)]
        captions = [
            [*label, *self._pen.wrap(task_lines(family, task), tile[0] - self._pen.line)]
            for label, task in zip(labelled, self.tasks, strict=True)
        ]
        self._head = len(heading) * self._pen.line + self._pen.margin
        self._caption = max(len(caption) for caption in captions) * self._pen.line + self._pen.margin
        self._row = self._caption + tile[1] + (CHART_LINES + 3) * self._pen.line
        """Height of a row of tiles."""
        height = self._head + -(-env.num_envs // self._columns) * self._row
        self.size = (width + width % 2, height + height % 2)  # yuv420p wants even numbers
        self._blank = Image.new("RGB", self.size, PAPER)
        draw = ImageDraw.Draw(self._blank)
        for row, items in enumerate(heading):
            self._pen.row(draw, (self._pen.margin, self._pen.margin + row * self._pen.line), items)
        for number, caption in enumerate(captions):
            left, top = self._corner(number)
            for row, text in enumerate(caption):
                place = (left + self._pen.margin, top - self._caption + row * self._pen.line)
                self._pen.write(draw, place, text, color=to_bytes(GOAL) if labels and row == 0 else INK)

    def draw(self, pictures: list[Picture], scores: list[Score], step: int) -> Picture:
        """Returns the (height, width, 3) frame after this many steps of a slot."""
        page = self._blank.copy()
        draw = ImageDraw.Draw(page)
        ends = self._chart.ends(scores)
        for number, (picture, score) in enumerate(zip(pictures, scores, strict=True)):
            corner = self._corner(number)
            page.paste(Image.fromarray(picture), corner)
            if step - score.began_at < self._banner_steps:
                self._draw_banner(draw, corner, score)
            place = (corner[0], corner[1] + self._tile[1] + 3)
            self._chart.draw(draw, place, score, number=number, ends=ends)
            self._draw_score(draw, corner, score, step=step)
        return np.asarray(page)

    def _heading(self, env: TrialEnv, frame_rate: float, *, width: int, levels: bool) -> list[list[str | Color]]:
        """Returns the rows above the tiles: a title, what the levels in charts are, and what the colours mean."""
        title = _title(env, frame_rate)
        words = f"{title}   {LEVELS}" if levels else title
        fits = self._pen.font.getlength(words) <= width
        rows: list[list[str | Color]] = [[words]] if fits else [[title], [LEVELS]]
        return [row for row in (*rows, _legend(env)) if row]

    def _corner(self, number: int) -> tuple[int, int]:
        """Returns where a tile's picture begins: left and top."""
        row, column = divmod(number, self._columns)
        return column * (self._tile[0] + _GAP), self._head + row * self._row + self._caption

    def _draw_banner(self, draw: ImageDraw.ImageDraw, corner: tuple[int, int], score: Score) -> None:
        """Announces the episode that begins, and why, where it was not for time."""
        text = f"episode {len(score.returns)} of {self._episodes}"
        if score.began_at:
            text = "simulation diverged: starts again" if score.diverged else "fell: starts again"
        height = round(1.1 * self._banner_pen.line)
        left, top = corner
        box = (left, top, left + self._tile[0] - 1, top + height)
        draw.rectangle(box, ALARM if score.began_at else to_bytes(GOAL))
        place = (left + self._tile[0] // 2, top + height // 2)
        draw.text(place, text, PAPER, self._banner_pen.font, anchor="mm")

    def _draw_score(self, draw: ImageDraw.ImageDraw, corner: tuple[int, int], score: Score, *, step: int) -> None:
        """Writes episode, time and return so far, and what is measured; then earlier returns, as many as fit."""
        *earlier, present = score.returns
        seconds = step * self._timestep
        now = f"episode {len(score.returns)} of {self._episodes}   {seconds:.1f} s   return {present:.1f}"
        left, top = corner[0] + self._pen.margin, corner[1] + self._tile[1] + CHART_LINES * self._pen.line
        color = INK if score.fell_at is None else ALARM
        self._pen.write(draw, (left, top), f"{now}   {score.measured}", color=color)
        fall = "" if score.fell_at is None else f"counted up to the fall at {score.fell_at * self._timestep:.1f} s   "
        notes = [f"episode {number}: {value:.1f}   " for number, value in enumerate(earlier, 1)]
        while notes and self._pen.font.getlength(fall + "".join(notes)) > self._tile[0]:
            del notes[0]
        self._pen.write(draw, (left, top + self._pen.line), fall + "".join(notes), color=FAINT)


def _title(env: TrialEnv, frame_rate: float) -> str:
    family = env.task_env.family
    speed = frame_rate * env.task_env.robot.control_timestep
    slowed = f", slowed to {speed:.0%}" if speed < 0.99 else ""
    split = env.task_env.split.replace("heldout", "held-out")
    return f"{family.title}, {split} tasks{slowed}"


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
