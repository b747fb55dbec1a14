"""Ships the controller of a run: copies it into the package, and writes its card from what it does on each split."""

import shutil
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro

from limbshift.agents.atomic_write import replacing
from limbshift.agents.controller import ControllerCard
from limbshift.envs.family import TaskFamily
from limbshift.experiments.cli import answer
from limbshift.experiments.commands.evaluate import evaluate
from limbshift.experiments.commands.train import resolved
from limbshift.experiments.configs import TrainConfig
from limbshift.experiments.runs.controllers import SHIPPED, load_with_family
from limbshift.experiments.runs.directory import CONTROLLER
from limbshift.experiments.runs.resume import BUDGET, flattened, read_config
from limbshift.meta.evaluation.adaptation import Adaptation, AdaptationCurve

BEYOND = "extrapolation"
WIDTH = 120
OF_THE_RUN = ("run_dir", "resume", "device", "threads", "ranks", "wandb", "eval_minutes", "video_minutes")
"""Settings that change nothing of what is learnt."""


@dataclass(frozen=True)
class CardConfig:
    """Ship the controller of a run, with a card that is written from its evaluation."""

    run: Annotated[Path, tyro.conf.Positional]
    """Run directory."""
    where: str = "one CPU core"
    """What it was trained on."""
    words: str = ""
    """What is seen in its video, and what else should be known."""
    out: Path = SHIPPED
    """Directory that takes the controller and its card."""


def ship(config: CardConfig) -> Path:
    """Runs the command and returns the card's path."""
    controller, family = load_with_family(config.run)
    splits = [split for split in ("heldout", BEYOND) if split in family.task_space.splits]
    found = [evaluate(config.run, split=split) for split in splits]
    parts = [f"# {family.name}", _trained(controller.card, command(config.run, family), config.where)]
    parts += [part for result in found for part in _section(result)]
    path = config.out / f"{family.name}.md"
    with replacing(path) as temporary:
        temporary.write_text("\n\n".join([*parts, *([_filled(config.words)] if config.words else [])]) + "\n")
    shutil.copyfile(config.run / CONTROLLER, config.out / f"{family.name}.safetensors")
    return path


def command(run: Path, family: TaskFamily) -> str:
    """Returns the command that trains so, with what differs from the family's defaults."""
    config = read_config(run)
    defaults = flattened(vars(resolved(TrainConfig(family.name, variant=family.variant), family, torch.device("cpu"))))
    words = ["limbshift", "train", family.name]
    if family.variant != "default":
        words += ["--variant", family.variant]
    for name, value in flattened(vars(config)).items():
        if name not in OF_THE_RUN and value != (None if name in BUDGET else defaults[name]):
            words += [f"--{name.replace('_', '-')}", *([] if value is True else [f"{value}"])]
    return " ".join(words)


def _trained(card: ControllerCard, how: str, where: str) -> str:
    trial = f"{card.episodes_per_trial} x {card.horizon} steps"
    steps = f"{card.minutes:.0f} minutes ({card.steps / 1e6:.1f} M env steps)"
    return _filled(f"Meta-trained for {steps} on {where}, in trials of {trial}: `{how}`.")


def _section(result: Adaptation) -> list[str]:
    """Returns what is told of a split: a table for the held-out tasks, a sentence for those beyond training."""
    if result.split == BEYOND:
        returns = (
            f"it returns {_cell(result, -1)} in the last episode, random actions {_cell(result.controls['random'], -1)}"
        )
        return [_filled(f"Outside the training ranges (`--split {BEYOND}`) {returns}; it falls in {_falls(result)}.")]
    seen = "never trained on" if result.unseen else "the same that it was trained on"
    about = f"Return per episode on {result.num_tasks} held-out tasks, {seen}: interquartile mean, with its 95 %"
    columns = [result, *result.controls.values()]
    rows = ["| episode | controller | memory off | memory wiped each episode | random actions |"]
    rows += ["|---|---|---|---|---|"]
    rows += [f"| {k + 1} | {' | '.join(_cell(curve, k) for curve in columns)} |" for k in range(result.episodes)]
    time = result.adaptation_time_s
    sentences = [
        f"The mean over the worst tenth of the tasks is {_number(result.worst10[-1])} in the last episode.",
        f"It falls in {_falls(result)}.",
        "Episode 1 does not come within a tenth of the last."
        if time is None
        else f"It has adapted {time:.1f} s after the start, picking up speed included.",
    ]
    return [
        _filled(f"{about} bootstrap interval, as `limbshift evaluate {result.family}` prints it."),
        "\n".join(rows),
        _filled(" ".join(sentences)),
    ]


def _falls(result: Adaptation) -> str:
    share = float((np.array(result.falls) > 0).mean())
    return f"{share:.0%} of the episodes".replace("%", " %") if share else "none of the episodes"


def _cell(curve: AdaptationCurve, episode: int) -> str:
    interval = curve.ci95[episode]
    told = f" ({_number(interval[0])} to {_number(interval[1])})" if interval else ""
    return f"{_number(curve.iqm[episode])}{told}"


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}"


def _filled(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    sys.exit(answer(lambda: print(ship(tyro.cli(CardConfig)))))
