"""Meta-reinforcement learning on robots whose limbs, motors and goals change from task to task.

Importing this makes `limbshift/<Family>-v0` known to `gym.make` and `gym.make_vec`. The other names are
imported when they are first asked for, so that the import itself takes a fraction of a second.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from limbshift.envs.catalogue import families, register_envs
from limbshift.envs.catalogue import make_family as family

if TYPE_CHECKING:
    from limbshift.envs.adapters.make import make_rsl_rl, make_sb3, make_trials
    from limbshift.experiments.commands.evaluate import evaluate
    from limbshift.experiments.commands.export import export
    from limbshift.experiments.commands.render import render
    from limbshift.experiments.commands.train import train
    from limbshift.experiments.runs.controllers import load_controller

__all__ = [
    "evaluate",
    "export",
    "families",
    "family",
    "load_controller",
    "make_rsl_rl",
    "make_sb3",
    "make_trials",
    "render",
    "train",
]

_LATER = {
    "evaluate": "limbshift.experiments.commands.evaluate",
    "export": "limbshift.experiments.commands.export",
    "load_controller": "limbshift.experiments.runs.controllers",
    "make_rsl_rl": "limbshift.envs.adapters.make",
    "make_sb3": "limbshift.envs.adapters.make",
    "make_trials": "limbshift.envs.adapters.make",
    "render": "limbshift.experiments.commands.render",
    "train": "limbshift.experiments.commands.train",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'limbshift' has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)


def __dir__() -> list[str]:
    return __all__


register_envs()
