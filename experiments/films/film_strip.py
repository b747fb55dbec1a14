"""A strip of pictures that shows a family at a glance: moments of one trial, and several tasks at the same moment."""

from contextlib import closing

from PIL import Image, ImageDraw

from limbshift.agents.actor import PolicyActor
from limbshift.agents.controller import Controller
from limbshift.envs.family import TaskFamily
from limbshift.envs.rendering import TaskRenderer
from limbshift.envs.trial_env import TrialEnv
from limbshift.experiments.figures.captions import task_lines
from limbshift.experiments.films.pen import INK, PAPER, Pen
from limbshift.meta.evaluation.trials import random_actor

TILE = (224, 150)
"""Width and height of a picture."""
SECONDS = (0.0, 0.5, 1.0, 2.0)
"""Moments of episode 1, sooner where it is short; the last picture of the first row, and all of the second, are of the
middle of the last one."""
LATEST = 0.6
"""Share of episode 1 by which the last of them is."""
TASKS = len(SECONDS) + 1
SEED = 0
PEN = Pen(12)
GAP = 4
"""Pixels between pictures."""


def film_strip(family: TaskFamily, controller: Controller | None) -> Image.Image:
    """Returns held-out tasks, played by a controller of the family's or, where there is none, by random actions.

    Raises RenderingError where there is no GL.
    """
    shape = controller.card if controller else family
    episodes, horizon = shape.episodes_per_trial, shape.horizon
    env = TrialEnv(family, TASKS, episodes, horizon=horizon, split="heldout", seed=SEED)
    act = PolicyActor(controller.policy, TASKS) if controller else random_actor(env, SEED)
    timestep = family.robot.control_timestep
    sooner = min(1.0, LATEST * horizon * timestep / SECONDS[-1])
    moments = [round(sooner * seconds / timestep) for seconds in SECONDS]
    middle = (episodes - 1) * horizon + horizon // 2
    with closing(env), closing(TaskRenderer(family, *TILE)) as renderer:
        obs = env.reset()
        tasks = [env.task_env.task_of(sim) for sim in range(TASKS)]

        def picture(sim: int) -> Image.Image:
            return Image.fromarray(renderer.frame(env.task_env.physics, sim, tasks[sim]))

        upper = []
        for step in range(middle):
            if step in moments:
                upper.append(picture(0))
            obs = env.step(act(obs)).obs
        lower = [picture(sim) for sim in range(TASKS)]
    times = [*(f"{moment * timestep:.2g} s" for moment in moments), f"episode {episodes}"]
    return in_two_rows([*upper, lower[0], *lower], [*times, *(shortest(family, task) for task in tasks)])


def shortest(family: TaskFamily, task: dict[str, float]) -> str:
    """Returns as much of a task in words as fits under its picture."""
    text = ", ".join(task_lines(family, task))
    return PEN.wrap([text], TILE[0] - 2 * PEN.margin)[0].rstrip(",")


def in_two_rows(pictures: list[Image.Image], captions: list[str]) -> Image.Image:
    """Returns the pictures with what is written under each."""
    width, height = TILE[0] + GAP, TILE[1] + PEN.line + GAP
    sheet = Image.new("RGB", (TASKS * width - GAP, 2 * height), PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        row, column = divmod(number, TASKS)
        sheet.paste(picture, (column * width, row * height))
        PEN.write(draw, (column * width + PEN.margin, row * height + TILE[1]), caption, color=INK)
    return sheet
