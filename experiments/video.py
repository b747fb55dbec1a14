"""Videos of whole trials on several tasks, side by side."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from agents.files import replacing
from envs.family import TaskFamily
from envs.rendering import TaskRenderer
from envs.trial_env import TrialEnv

Picture = NDArray[np.uint8]
"""(height, width, 3)"""

TILE_WIDTH, TILE_HEIGHT = 426, 320
CAPTION_HEIGHT = 66
MARGIN = 10
FONT_SIZE = 15
TASK_LINES = 2
BACKGROUND, TEXT, FAINT, ACCENT = (24, 27, 33), (240, 240, 240), (165, 172, 184), (255, 180, 70)
FLASH_STEPS = 20
"""How long a new episode is announced in colour."""


class Frames(Protocol):
    """Takes the frames of a video in order."""

    def __call__(self, frame: Picture) -> None: ...


def record_trials(act: Callable[[Tensor], Tensor], env: TrialEnv, path: Path) -> NDArray[np.float64]:
    """Play one trial in each of the env's simulations into an mp4, in real time.

    act maps trial observations (N, trial_obs_dim) to actions (N, A). Returns (N, episodes) returns,
    which count up to the first fall of a slot. Raises RenderingError where OpenGL does not work.
    """
    fps = 1 / env.tasks.robot.control_timestep
    size = (TILE_WIDTH * env.num_envs, TILE_HEIGHT + CAPTION_HEIGHT)
    renderer = TaskRenderer(env.tasks.family, TILE_WIDTH, TILE_HEIGHT)
    try:
        with replacing(path) as temporary, mp4(temporary, size, fps) as write:
            return _play(act, env, renderer, write)
    finally:
        renderer.close()


@contextmanager
def mp4(path: Path, size: tuple[int, int], fps: float) -> Iterator[Frames]:
    """Takes (height, width, 3) frames of size (width, height), both even, into an H.264 file."""
    writer = imageio_ffmpeg.write_frames(
        str(path), size, fps=fps, codec="libx264", macro_block_size=2, output_params=["-movflags", "+faststart"]
    )
    writer.send(None)
    try:
        yield writer.send
    finally:
        writer.close()


def _play(act: Callable[[Tensor], Tensor], env: TrialEnv, renderer: TaskRenderer, write: Frames) -> NDArray[np.float64]:
    obs = env.reset()
    values = env.tasks.task_values()
    tasks = [{name: float(value[i]) for name, value in values.items()} for i in range(env.num_envs)]
    returns = np.zeros((env.num_envs, env.episodes_per_trial))
    fell = np.zeros(env.num_envs, dtype=bool)
    for step in range(env.steps_per_trial):
        episode, place = divmod(step, env.horizon)
        if place == 0:
            fell[:] = False
        tiles = []
        for sim, task in enumerate(tasks):
            picture = renderer.frame(env.tasks.physics, sim, task)
            progress = f"episode {episode + 1} of {env.episodes_per_trial}   step {place + 1:3d}"
            fate = "   fell" if fell[sim] else ""
            score = f"return {returns[sim, episode]:7.1f}{fate}"
            caption = _caption(task_text(env.tasks.family, task), progress, score, flash=place < FLASH_STEPS)
            tiles.append(np.concatenate([caption, picture]))
        write(np.ascontiguousarray(np.concatenate(tiles, axis=1)))
        obs, reward, terminated, _, _ = env.step(act(obs))
        returns[:, episode] += np.where(fell, 0.0, reward.cpu().numpy())
        fell |= terminated.cpu().numpy()
    return returns


def task_text(family: TaskFamily, task: Mapping[str, float]) -> str:
    """A task in few words: "direction -1", "wiring +-++-+", "masses torso 0.6, bthigh 1.9, ..."."""
    texts, signs, factors = [], "", []
    for parameter in family.parameters:
        value = task[parameter.name]
        short, _, kind = parameter.name.rpartition("_")
        if kind == "sign":
            signs += "+" if value > 0 else "-"
        elif kind == "mass":
            factors.append(f"{short} {value:.2g}")
        else:
            unit = f" {parameter.unit}" if parameter.unit else ""
            texts.append(f"{parameter.name.replace('_', ' ')} {value:.2g}{unit}")
    if signs:
        texts.append(f"wiring {signs}")
    if factors:
        texts.append("masses " + ", ".join(factors))
    return ", ".join(texts)


def _caption(task: str, progress: str, score: str, flash: bool) -> Picture:
    """(CAPTION_HEIGHT, TILE_WIDTH, 3) the task above, the episode and the return below."""
    strip = Image.new("RGB", (TILE_WIDTH, CAPTION_HEIGHT), BACKGROUND)
    draw = ImageDraw.Draw(strip)
    font, small = ImageFont.load_default(FONT_SIZE), ImageFont.load_default(FONT_SIZE - 3)
    width = TILE_WIDTH - 2 * MARGIN
    if draw.textlength(task, font) <= width:
        draw.text((MARGIN, 8), task, TEXT, font)
    else:
        for row, line in enumerate(_wrap(task, draw, small, width)[:TASK_LINES]):
            draw.text((MARGIN, 4 + 16 * row), line, TEXT, small)
    bottom = CAPTION_HEIGHT - FONT_SIZE - 9
    draw.text((MARGIN, bottom), progress, ACCENT if flash else FAINT, font)
    draw.text((TILE_WIDTH - MARGIN - draw.textlength(score, font), bottom), score, TEXT, font)
    return np.asarray(strip)


def _wrap(
    text: str, draw: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float
) -> list[str]:
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if draw.textlength(longer, font) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
