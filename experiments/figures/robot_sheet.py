"""A picture of every robot."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from limbshift.agents.atomic_write import replacing
from limbshift.envs.catalogue import families, make_family
from limbshift.envs.family import TaskFamily
from limbshift.envs.rendering import TaskRenderer
from limbshift.envs.task_env import TaskEnv

TILE = (320, 240)
"""Width and height of a robot's picture."""
COLUMNS = 4
SETTLING_STEPS = 15
"""Control steps without action before the picture is taken: robots start above the ground."""

_PAPER, _INK = (250, 250, 248), (30, 34, 40)
_LABEL = 24
"""Height of a robot's name under its picture."""


def save_contact_sheet(path: Path) -> None:
    """Writes a PNG of all registered families' robots, each named; raises RenderingError where there is no GL."""
    robots: dict[str, TaskFamily] = {}
    for name in families():
        family = make_family(name)
        robots.setdefault(family.robot.name, family)
    rows = -(-len(robots) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * TILE[0], rows * (TILE[1] + _LABEL)), _PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for place, (name, family) in enumerate(robots.items()):
        left, top = place % COLUMNS * TILE[0], place // COLUMNS * (TILE[1] + _LABEL)
        sheet.paste(portrait(family), (left, top))
        draw.text((left + TILE[0] // 2, top + TILE[1] + _LABEL // 2), name, _INK, font, anchor="mm")
    with replacing(path) as temporary:
        sheet.save(temporary)


def portrait(family: TaskFamily) -> Image.Image:
    """Renders the family's unmodified robot at rest."""
    env = TaskEnv(family, 1)
    env.set_tasks([{}], env.all_envs)
    env.begin_episodes(env.all_envs)
    for _ in range(SETTLING_STEPS):
        env.step(torch.zeros(1, env.action_dim))
    renderer = TaskRenderer(family, *TILE)
    try:
        shown = {parameter.name: parameter.nominal for parameter in family.parameters if not parameter.mark}
        frame = renderer.frame(env.physics, 0, shown)  # without the goals, which are marked where they are
    finally:
        renderer.close()
        env.close()
    return Image.fromarray(np.asarray(frame))
