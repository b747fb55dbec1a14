"""Measures how a controller adapts."""

from pathlib import Path

from limbshift.agents.atomic_write import check_writable
from limbshift.agents.controller import Controller
from limbshift.envs.errors import InputError
from limbshift.envs.family import TaskFamily
from limbshift.envs.physics import EngineName
from limbshift.experiments.commands.config import EvaluateConfig
from limbshift.experiments.commands.measure import measure
from limbshift.experiments.configs import Device
from limbshift.experiments.figures.adaptation_charts import by_episode, by_step
from limbshift.experiments.figures.tables import print_adaptation, tasks_phrase
from limbshift.experiments.runs.controllers import load_with_family
from limbshift.experiments.runs.directory import write_json
from limbshift.meta.evaluation.adaptation import Adaptation


def evaluate(
    controller: str | Path | Controller,
    *,
    split: str = "heldout",
    num_tasks: int = 64,
    episodes: int | None = None,
    horizon: int | None = None,
    seed: int = 0,
    sample: bool = False,
    shift_at: int | None = None,
    device: Device = "auto",
    physics: EngineName = "mujoco",
    family: TaskFamily | None = None,
) -> Adaptation:
    """Measures how a controller adapts: plays trials on a split's tasks, and its controls on the same.

    controller: a run directory, a .safetensors file, a shipped name, or a loaded controller.
    split: "train", "heldout", "validation" or "extrapolation". num_tasks: how many of its tasks, one trial on each.
    episodes, horizon: episodes in a trial and steps in an episode; by default as trained.
    sample: whether actions are sampled, rather than the mean taken.
    shift_at: the step of the trial before which its task changes; the first is 0.
    device: where the network runs. physics: "mujoco" or "warp", whichever the controller was trained on.
    family: the family, if it is the caller's own.

    Raises InputError (a ValueError) for a controller that cannot be found or a value that cannot be used.

    >>> result = evaluate("HalfCheetahDir", num_tasks=2, horizon=20)
    >>> [len(trial) for trial in result.returns], sorted(result.controls)
    ([2, 2], ['memory_off', 'memory_wiped_each_episode', 'random'])
    """
    config = EvaluateConfig(
        str(controller),
        split,
        num_tasks,
        episodes=episodes,
        horizon=horizon,
        seed=seed,
        sample=sample,
        shift_at=shift_at,
        device=device,
        physics=physics,
    )
    loaded, family = load_with_family(controller, family)
    return measure(loaded, family, config)


def run_evaluate(config: EvaluateConfig) -> None:
    """Runs the command."""
    if config.json and config.plot and config.json.absolute() == config.plot.absolute():
        raise InputError(f"json and plot are both {config.json}, expected two files")
    for path in (config.json, config.plot):
        if path:
            check_writable(path)
    controller, family = load_with_family(config.controller, family_file=config.family_file)
    result = measure(controller, family, config)
    print_adaptation(result)
    if config.json:
        write_json(config.json, result.as_json())
    if config.plot:
        draw(result, config.plot)


def draw(result: Adaptation, path: Path) -> None:
    """Writes a PNG: return by episode with intervals, and the reward at each step of the first and last episode."""
    from limbshift.experiments.figures.picture import save_picture  # brings matplotlib, which takes a second

    charts = [by_episode({"controller": result}), by_step({"controller": result})]
    save_picture(path, charts, f"{result.family}: {tasks_phrase(result)}")
