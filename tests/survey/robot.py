"""One robot through all that is promised of robots of one's own: `python -m tests.survey.robot FILE` prints JSON."""

import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from limbshift.envs.errors import InputError, RunFailure
from limbshift.envs.mjcf.families import KINDS, MjcfFamily, check_stands
from limbshift.envs.mjcf.robot import MjcfRobot
from limbshift.envs.task_env import TaskEnv
from limbshift.meta.rl2.build import make_trainer
from tests.envs.film import HEIGHT, WIDTH, Film

SECONDS = 2.0
"""Of training on each family."""
STEPS = 50
"""Over which a parameter must show in the motion."""


def survey(path: Path) -> dict[str, Any]:
    """Returns what came of a robot: why it is refused, or the share of the frame that it fills and its families."""
    try:
        robot = MjcfRobot.from_xml(path, allow_outside=True)
    except (InputError, RunFailure) as error:
        return {"refused": str(error)}
    families: dict[str, Any] = {}
    for kind in KINDS:
        try:
            families[kind] = try_family(MjcfFamily(kind, robot))
        except (InputError, RunFailure) as error:
            families[kind] = {"refused": str(error)}
    return {"travels": robot.travels, "frame": filmed(robot), "families": families}


def try_family(family: MjcfFamily) -> dict[str, Any]:
    """Returns which parameters leave no trace in the motion, and what came of some training."""
    check_stands(family)
    without = inert_parameters(family)
    trainer = make_trainer(family, num_envs=8, horizon=50, hidden_size=32)
    begun, iterations = time.perf_counter(), [trainer.iterate(0.0)]
    while time.perf_counter() - begun < SECONDS:
        iterations.append(trainer.iterate(0.0))
    trainer.env.close()
    numbers = [value for each in iterations for value in (*each.episode_returns, *each.losses.values())]
    return {
        "parameters": len(family.parameters),
        "inert": without,
        "finite": all(map(math.isfinite, numbers)),
        "falls": min(1.0, iterations[0].terminations),
        "diverges": iterations[0].divergences > 0,
    }


def inert_parameters(family: MjcfFamily) -> list[str]:
    """Returns the parameters of which the motion is the same, bit for bit, at the end of the range as nominally.

    A robot that its strongest actions tear apart is moved by weaker ones: all that diverge stand at the same place.
    """
    ends = [parameter.low if parameter.nominal != parameter.low else parameter.high for parameter in family.parameters]
    tasks = [{}, *({parameter.name: end} for parameter, end in zip(family.parameters, ends, strict=True))]
    env = TaskEnv(family, len(tasks))
    for strength in (1.0, 0.1, 0.01, 1e-3, 1e-4):
        env.set_tasks(tasks, env.all_envs)
        if not moved(env, strength):
            break
    qpos = env.physics.state("qpos").clone()
    env.close()
    same = (qpos == qpos[:1]).all(dim=-1)[1:].tolist()
    return [parameter.name for parameter, inert in zip(family.parameters, same, strict=True) if inert]


def moved(env: TaskEnv, strength: float) -> bool:
    """Moves all by the same random actions from the same state; returns whether one diverged."""
    env.begin_episodes(env.all_envs)
    for name in ("qpos", "qvel"):
        live = env.physics.state(name)
        live.copy_(live[:1].expand_as(live).clone())
    env.physics.forward(env.all_envs)
    generator, diverged = torch.Generator().manual_seed(0), torch.zeros_like(env.all_envs)
    middle, half = (env.action_high + env.action_low) / 2, (env.action_high - env.action_low) / 2
    for _ in range(STEPS):
        share = strength * (2 * torch.rand(1, env.action_dim, generator=generator) - 1)
        diverged |= env.step((middle + half * share).expand(env.num_envs, -1)).diverged
    return bool(diverged.any())


def filmed(robot: MjcfRobot) -> float:
    """Returns the share of the frame that the robot fills as it starts, in the larger of width and height."""
    film = Film(robot)
    rows, columns = np.nonzero(film.seen())
    film.close()
    return max((np.ptp(places) + 1) / size for places, size in ((rows, HEIGHT), (columns, WIDTH))) if len(rows) else 0.0


if __name__ == "__main__":
    print(json.dumps(survey(Path(sys.argv[1]))))
