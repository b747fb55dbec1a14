"""What a person may choose of a report; the docstrings are the command line's help."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from limbshift.envs.errors import InputError
from limbshift.envs.schema import Checked, FilePath, Seed
from limbshift.experiments.configs import Flag, NumTasks


@dataclass(frozen=True)
class ReportConfig(Checked):
    """Write one web page that tells all of a controller, or of several of one family, and needs nothing beside it."""

    controllers: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="CONTROLLER")] = ()
    """One or more: run directories, .safetensors files, names of shipped controllers, or wandb://ENTITY/PROJECT/RUN."""
    out: FilePath = Path("report.html")
    """The page."""
    num_tasks: NumTasks = 64
    """Number of tasks of each split."""
    seed: Seed = 0
    """Seed of the tasks and initial states."""
    no_video: Flag = False
    """Leave videos out; by default that of each run directory, or a new one."""
    family_file: str | None = None
    """The family of your own that the controllers were trained on: FILE.py:Class or module:Class. Its code is run."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.controllers:
            raise InputError("CONTROLLER is missing: see limbshift report --help")
        if self.out.suffix != ".html":
            raise InputError(f"out is {self.out}, expected a name that ends in .html")
