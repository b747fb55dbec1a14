"""What a comparison may be told."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from limbshift.agents import RecurrentCell
from limbshift.experiments.configs import require_positive


@dataclass(frozen=True)
class CompareConfig:
    """Train several methods on one family for the same time, and compare them on the same unseen tasks."""

    family: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="FAMILY")]
    """Task family."""
    out: Path
    """Directory of the results; an interrupted comparison in it goes on."""
    methods: tuple[str, ...] = ("limbshift", "no-memory", "oracle", "ppo", "recurrent-ppo")
    """Any of limbshift, rl2, no-memory, oracle, ceiling, maml, ppo, sac, recurrent-ppo and finetune. Random actions are
    always added; scores need oracle."""
    variant: str = "default"
    """Variant of the family."""
    minutes: float = 2.0
    """Training of each method and seed."""
    seeds: int = 2
    """How often each is trained."""
    num_envs: int = 64
    """Trials, or robots, side by side."""
    episodes: int | None = None
    """Episodes in a trial; by default the family's."""
    horizon: int | None = None
    """Steps in an episode; by default the family's."""
    tasks: int = 64
    """Held-out tasks, the same for all."""
    train_tasks: int | None = None
    """Tasks to train on; by default the family's own. Fewer show how training overfits to them."""
    cell: RecurrentCell = "lstm"
    """What remembers in rl2 and its oracles."""
    hide_reward: bool = False
    """Keep the reward from rl2 and its oracles."""
    first_order: bool = False
    """Let maml take its gradient steps on a task for constants: cheaper, and blind to how its start shapes them."""

    def __post_init__(self) -> None:
        for name in ("minutes", "seeds", "num_envs", "episodes", "horizon", "tasks", "train_tasks"):
            require_positive(name, getattr(self, name))
