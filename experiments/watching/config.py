"""What a person may choose of a live page; the docstrings are the command line's help."""

from dataclasses import dataclass
from typing import Annotated

import tyro
from annotated_types import Ge, Le

from limbshift.envs.schema import Checked, Seed
from limbshift.experiments.configs import ControllerArgument


@dataclass(frozen=True)
class WatchConfig(Checked):
    """Watch a controller adapt on a live page in the browser, and change its robot under its feet."""

    controller: tyro.conf.Positional[ControllerArgument]
    """A run directory, a .safetensors file, the name of a shipped controller, or a run as wandb://ENTITY/PROJECT/RUN."""
    port: Annotated[int, Ge(0), Le(65535)] = 0
    """Where this machine alone serves the page; 0 for any port that is free."""
    split: str = "heldout"
    """Where tasks come from at first."""
    seed: Seed = 0
    """Of tasks and initial states."""
    family_file: str | None = None
    """FILE.py:Class of a family of your own."""
