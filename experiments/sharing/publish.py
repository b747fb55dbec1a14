"""What came of a training, evaluated, and handed to its logger: a table of tasks, and a folder to share."""

import shutil
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from limbshift.agents.controller import Controller
from limbshift.envs.family import TaskFamily
from limbshift.experiments.commands.config import EvaluateConfig
from limbshift.experiments.commands.measure import measure
from limbshift.experiments.logs.logger import MetricsLogger
from limbshift.experiments.runs.directory import CONTROLLER, ROBOT, VIDEO
from limbshift.experiments.sharing.card import CARD, SPLITS, card
from limbshift.experiments.sharing.record import Record, SplitRecord
from limbshift.experiments.sharing.record_file import RECORD, write_record
from limbshift.meta.evaluation.adaptation import Adaptation

NUM_TASKS = 64
"""Of each split."""


def publish(run: Path, family: TaskFamily, logger: MetricsLogger, *, how: str, note: Callable[[str], None]) -> None:
    """Evaluates a run's controller, and logs held-out tasks with its returns, and a folder to share; Ctrl-C ends it.

    how: the command that trained it.
    """
    note("Evaluating the controller: a table of tasks and a card for the log")
    controller = Controller.load(run / CONTROLLER)
    try:
        results = results_of(controller, family, NUM_TASKS)
    except KeyboardInterrupt:
        note("not evaluated: interrupted")
        return
    log_tasks(results["heldout"], logger, controller.card.steps)
    record = record_of(results, controller, how=how)
    with TemporaryDirectory(prefix="limbshift-share-") as folder:
        names = [name for name in (CONTROLLER, ROBOT, VIDEO) if (run / name).is_file()]
        for name in names:
            shutil.copyfile(run / name, Path(folder) / name)
        write_record(Path(folder) / RECORD, record)
        (Path(folder) / CARD).write_text(card(record, VIDEO if VIDEO in names else ""), encoding="utf-8")
        logger.log_controller(Path(folder), {"family": family.name, "return": record.heldout.returns.iqm[-1]})


def log_tasks(result: Adaptation, logger: MetricsLogger, step: int) -> None:
    """Logs a row for each held-out task: its parameters, returns by episode, and in how many of these it fell."""
    names = list(result.tasks[0])
    columns = [
        *names,
        *(f"return, episode {number}" for number in range(1, result.episodes + 1)),
        "episodes with a fall",
    ]
    rows = [
        [*(task[name] for name in names), *returns, float(sum(count > 0 for count in falls))]
        for task, returns, falls in zip(result.tasks, result.returns, result.falls, strict=True)
    ]
    logger.log_table("heldout/tasks", columns, rows, step=step)


def results_of(controller: Controller, family: TaskFamily, num_tasks: int) -> dict[str, Adaptation]:
    """Evaluates a controller on each split that is told of."""
    splits = [split for split in SPLITS if split in family.task_space.splits]
    return {split: measure(controller, family, EvaluateConfig(family.name, split, num_tasks)) for split in splits}


def record_of(results: Mapping[str, Adaptation], controller: Controller, *, how: str) -> Record:
    """Returns all that is known of a controller; how: the command that trained it."""
    about = controller.card
    return Record(
        family=about.family,
        variant=about.variant,
        robot=about.robot,
        episodes=about.episodes_per_trial,
        horizon=about.horizon,
        minutes=about.minutes,
        steps=about.steps,
        where="",
        how=how,
        words="",
        version=version("limbshift"),
        splits=tuple(SplitRecord.of(result) for result in results.values()),
    )
