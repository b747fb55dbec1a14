"""What a person may choose of controllers that are shared; the docstrings are the command line's help."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from limbshift.envs.schema import Checked, FilePath
from limbshift.experiments.configs import ControllerArgument, Flag, NumTasks, check_text


@dataclass(frozen=True)
class ShareConfig(Checked):
    """Make a folder to share of a controller: its file, what it returns on each split, a model card, and a video.

    `hf upload REPOSITORY DIRECTORY` is then all that sharing it takes.
    """

    controller: tyro.conf.Positional[ControllerArgument]
    """A run directory, a .safetensors file, the name of a shipped controller, or a run as wandb://ENTITY/PROJECT/RUN."""
    out: FilePath = Path("controller")
    """The folder; a new or empty one, or one of an earlier `share`, which is replaced."""
    num_tasks: NumTasks = 64
    """Number of tasks of each split."""
    words: str = ""
    """What a reader should know beside the figures: how it moves, where it fails."""
    where: str = ""
    """What it was trained on, such as "one core of an AMD EPYC"."""
    how: str = ""
    """The command that trained it; by default that of the run directory."""
    family_file: str | None = None
    """The family of your own that the controller was trained on: FILE.py:Class or module:Class. Its code is run."""
    video: bool = True
    """Whether a video goes in too: that of the run directory where it has one, else a new one."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("words", "where", "how"):
            check_text(getattr(self, name), name)


@dataclass(frozen=True)
class ControllersConfig(Checked):
    """List the controllers that come with limbshift: what they return, how often they fall, how they were trained."""

    markdown: Flag = False
    """Print the list as a Markdown table, as in the README."""
