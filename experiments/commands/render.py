"""Videos of a controller that adapts."""

from collections.abc import Callable
from contextlib import closing
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from numpy import float64
from numpy.typing import NDArray
from rich.console import Console

from limbshift.agents.actor import MemoryWipe, PolicyActor
from limbshift.agents.atomic_write import check_writable
from limbshift.agents.controller import Controller
from limbshift.agents.recurrent import RecurrentActorCritic
from limbshift.envs.errors import InputError
from limbshift.envs.family import TaskFamily
from limbshift.envs.physics import EngineName
from limbshift.envs.trial_env import TrialEnv
from limbshift.experiments.commands.config import CameraConfig, RenderConfig
from limbshift.experiments.configs import Device
from limbshift.experiments.films.rehearsal import Stage, rehearse
from limbshift.experiments.films.video import distinct_tasks, record_trials
from limbshift.experiments.runs.controllers import family_of_card, find_controller, load_with_family, same_robot
from limbshift.experiments.runs.devices import choose_device, choose_engine
from limbshift.experiments.runs.directory import CONTROLLER, VIDEO
from limbshift.experiments.runs.families import load_family
from limbshift.experiments.terminal import make_console
from limbshift.meta.diverged_trial import DivergedTrial
from limbshift.meta.evaluation.trials import Act, random_actor


def render(
    controller: str | Path | Controller,
    *,
    out: str | Path = RenderConfig.out,
    split: str = "heldout",
    num_tasks: int = 3,
    seed: int = 0,
    episodes: int | None = None,
    horizon: int | None = None,
    against: str = "",
    camera: CameraConfig = RenderConfig.camera,
    device: Device = "auto",
    physics: EngineName = "mujoco",
    family: TaskFamily | None = None,
) -> Path:
    """Writes a captioned video of whole trials on several tasks side by side, and returns its path.

    Args:
        controller: a run directory, a file, a shipped name, or a loaded controller.
        out: the .mp4 or .gif file.
        split: "train", "heldout", "validation" or "extrapolation".
        num_tasks: how many of its tasks, side by side; all, where it has fewer.
        seed: which tasks and initial states of the split.
        episodes, horizon: the trial's shape, by default as trained.
        against: what plays the same tasks below: "memory-off", "random" or another controller.
        camera: from where it is seen, as `CameraConfig(distance=3.0)`; by default as the robot has it.
        device, physics: where the network lives; "mujoco" or "warp", whichever it was trained on.
        family: the family, where it is one of the caller's own.

    Raises InputError for a value that cannot be used, RenderingError where there is no OpenGL or no ffmpeg.

    >>> import limbshift
    >>> path = limbshift.render("ReacherGoal", out="reacher.mp4", num_tasks=2)  # doctest: +SKIP
    """
    choose_engine(physics, choose_device(device))
    if not isinstance(out, str | Path):
        raise InputError(f"out is {out!r}, expected a path")
    config = RenderConfig(
        str(controller),
        split,
        num_tasks,
        seed=seed,
        episodes=episodes,
        horizon=horizon,
        against=against,
        camera=camera,
        out=Path(out),
        device=device,
        physics=physics,
    )
    check_writable(config.out)
    loaded, family = load_with_family(controller, family)
    film(loaded, family, config)
    return config.out


def film_of(controller: str, family: TaskFamily, otherwise: Path) -> Path:
    """Returns the film that lies beside a controller, as a run leaves it; where there is none a new one is made."""
    file = find_controller(controller)
    own = file.parent / VIDEO
    return own if own.is_file() and file.name == CONTROLLER else render(controller, out=otherwise, family=family)


def run_render(config: RenderConfig, console: Console | None = None) -> None:
    """Runs the command."""
    console = console or make_console()
    check_writable(config.out)
    if config.dump:
        console.print(film_divergence(config.dump, config), highlight=False, soft_wrap=True)
        return
    controller, family = load_with_family(config.controller, family_file=config.family_file)
    device, returns = choose_device(config.device), film(controller, family, config)
    for number, trial in enumerate(returns):
        row, task = divmod(number, len(returns) // (2 if config.against else 1))
        who = f"{config.against}, " if row else ""
        told = ", ".join(f"{value:.1f}" for value in trial)
        console.print(f"{who}task {task + 1}: return by episode {told}", highlight=False, soft_wrap=True)
    console.print(
        f"video in {config.out}; physics on {config.physics}, network on {device.type}", highlight=False, soft_wrap=True
    )


def film(controller: Controller, family: TaskFamily, config: RenderConfig) -> NDArray[float64]:
    """Writes the video, and returns the return of each robot's episodes: (robots, episodes)."""
    config = replace(config, num_tasks=distinct_tasks(family, config.split, config.num_tasks))
    device = choose_device(config.device)
    policy, rows = deepcopy(controller.policy).to(device), 2 if config.against else 1
    other = rival(config, policy, family) if config.against else None

    def staged() -> Stage:
        env = TrialEnv(
            family,
            config.num_tasks * rows,
            config.episodes or controller.card.episodes_per_trial,
            horizon=config.horizon or controller.card.horizon,
            split=config.split,
            seed=config.seed,
            observe_task=policy.spec.task_dim > 0,
            look=family.measured,
            engine=choose_engine(config.physics, device),
        )
        act: Act = PolicyActor(policy, config.num_tasks)
        if other:
            env.task_env.task_index[config.num_tasks :] = env.task_env.task_index[: config.num_tasks]
            act = halves(act, other.acting(env), config.num_tasks)
        return Stage(env, act)

    env, act = staged()
    with closing(env):
        labels = ("with its memory", other.name) if other else ()
        scales = rehearse(staged, config.seed, rows=rows)
        return record_trials(act, env, config.out, labels=labels, scales=scales, camera=config.camera.given)


def halves(one: Act, other: Act, count: int) -> Act:
    """Returns a way to act: the first so many robots in one way, the others in another."""
    return lambda obs: torch.cat([one(obs[:count]), other(obs[count:])])


class Rival(NamedTuple):
    """What a controller is shown against."""

    name: str
    acting: Callable[[TrialEnv], Act]
    """Returns how it acts in an env, with its memory fresh."""


def rival(config: RenderConfig, policy: RecurrentActorCritic, family: TaskFamily) -> Rival:
    """Returns what the controller is shown against."""
    count = config.num_tasks
    if config.against == "memory-off":
        return Rival("memory off", lambda env: PolicyActor(policy, count, MemoryWipe.EACH_STEP))
    if config.against == "random":
        return Rival("random actions", lambda env: random_actor(env, config.seed, (0, count)))
    other, _ = load_with_family(config.against, family)
    if other.card.robot and not same_robot(load_with_family(config.against)[1], family):
        raise InputError(f"{config.against} moves another robot than {config.controller}, expected the same")
    if other.policy.spec.trial_obs_dim != policy.spec.trial_obs_dim:
        raise InputError(f"{config.against} is shown other observations than {config.controller}, expected the same")
    name = f"{Path(config.against).stem}, without memory" if not other.policy.spec.memory else config.against
    others = other.policy.to(policy.log_std.device)
    return Rival(name, lambda env: PolicyActor(others, count))


def film_divergence(path: Path, config: RenderConfig) -> str:
    """Writes the video of a trial up to where its simulation diverged, on the simulator of then, and tells of it."""
    trial = DivergedTrial.load(path)
    card, actions = trial.card, trial.actions
    family = load_family(config.family_file, card.variant) if config.family_file else family_of_card(card, path)
    env = trial.env(family, choose_engine("warp" if card.physics == "warp" else "mujoco", choose_device(config.device)))
    steps = iter(actions.unsqueeze(1))
    try:
        record_trials(lambda obs: next(steps), env, config.out, num_steps=len(actions), camera=config.camera.given)
    finally:
        env.close()
    task = ", ".join(f"{name} {value:.4g}" for name, value in trial.task.items())
    return f"video in {config.out}: {family.name} diverges at step {len(actions)} of the trial; the task is {task}"
