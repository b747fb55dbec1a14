"""Makes a folder to share of a controller."""

import shutil
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from limbshift.agents.atomic_write import check_writable, replacing
from limbshift.envs.errors import InputError
from limbshift.envs.family import TaskFamily
from limbshift.experiments.commands.render import film_of
from limbshift.experiments.runs.controllers import find_controller, load_with_family
from limbshift.experiments.runs.directory import CONTROLLER, ROBOT, VIDEO, holds_run, robot_file
from limbshift.experiments.runs.trainers import training_command
from limbshift.experiments.sharing.card import CARD, card
from limbshift.experiments.sharing.config import ShareConfig
from limbshift.experiments.sharing.publish import record_of, results_of
from limbshift.experiments.sharing.record_file import RECORD, kept_record, write_record
from limbshift.experiments.terminal import make_console


def run_share(config: ShareConfig, console: Console | None = None) -> Path:
    """Runs the command and returns the folder."""
    console = console or make_console()
    controller, family = load_with_family(config.controller, family_file=config.family_file)
    check_folder(config.out)
    source = find_controller(config.controller)
    before = kept_record(source)
    how = config.how or (before.how if before else command_of(Path(config.controller), family))
    results = results_of(controller, family, config.num_tasks)
    record = replace(
        record_of(results, controller, how=how),
        where=config.where or (before.where if before else ""),
        words=config.words or (before.words if before else ""),
    )
    with TemporaryDirectory(prefix="limbshift-share-") as folder:  # nothing is begun before all is there
        film = film_of(config.controller, family, otherwise=Path(folder) / VIDEO) if config.video else None
        config.out.mkdir(parents=True, exist_ok=True)
        write_record(config.out / RECORD, record)  # by which a folder is known as one of these
        copy(source, config.out / CONTROLLER)
        if controller.card.robot:
            copy(robot_file(source.parent), config.out / ROBOT)
        if film:
            copy(film, config.out / VIDEO)
        if not (config.out / CONTROLLER).samefile(source):  # of what was shared here before nothing stays
            for name, kept in ((ROBOT, controller.card.robot), (VIDEO, film)):
                if not kept:
                    (config.out / name).unlink(missing_ok=True)
    with replacing(config.out / CARD) as temporary:
        temporary.write_text(card(record, VIDEO if config.video else ""), encoding="utf-8")
    console.print(f"folder to share in {config.out}", highlight=False, soft_wrap=True)
    return config.out


def check_folder(out: Path) -> None:
    """Raises InputError for a folder that holds what no `share` has put there."""
    found = sorted(path.name for path in out.iterdir()) if out.is_dir() else []
    others = [name for name in found if name not in (CARD, RECORD, CONTROLLER, ROBOT, VIDEO)]
    if others or (found and RECORD not in found):
        raise InputError(f"folder {out} holds {(others or found)[0]}, expected a new one, or one of an earlier share")
    check_writable(out / CARD)


def command_of(run: Path, family: TaskFamily) -> str:
    """Returns the command that made a run; empty for what is none."""
    return training_command(run, family) if holds_run(run) else ""


def copy(source: Path, target: Path) -> None:
    """Replaces a file by a copy of another; does nothing where they are one."""
    if source.exists() and target.exists() and source.samefile(target):
        return
    with replacing(target) as temporary:
        shutil.copyfile(source, temporary)
