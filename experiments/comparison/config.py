"""What a comparison, or a search for settings, may be told; the docstrings are the command line's help."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from annotated_types import MinLen

from limbshift.agents import RecurrentCell
from limbshift.envs.errors import InputError
from limbshift.envs.schema import ANY_SEQUENCE, Checked, Count, FilePath, Positive, Seed, Steps
from limbshift.experiments.comparison.methods import METHODS
from limbshift.experiments.configs import Algorithm, FamilyArgument, Flag, NumTasks, require_family
from limbshift.experiments.jobs.job import Engine
from limbshift.experiments.jobs.own_files import Files, flat_reference, merged
from limbshift.experiments.runs.own_code import files_of, place_of

Methods = Annotated[tuple[str, ...], ANY_SEQUENCE, MinLen(1)]
EXPECTED = "one that `limbshift families` lists, or --family-file"


@dataclass(frozen=True)
class CompareConfig(Checked):
    """Train several methods on one family for the same time, and compare them on the same unseen tasks."""

    family: FamilyArgument = ""
    """Task family."""
    out: FilePath = field(kw_only=True)
    """Directory of the results; an interrupted comparison in it is continued."""
    family_file: str | None = None
    """A task family of your own: FILE.py:Class or module:Class. Its code is run."""
    methods: Methods = ("limbshift", "no-memory", "oracle", "ppo", "recurrent-ppo")
    """Any of limbshift, rl2, hyper, transformer, belief, no-memory, oracle, ceiling, rma, maml, ppo, sac,
    recurrent-ppo and finetune. Random actions are always added; scores need oracle."""
    method_files: Annotated[tuple[str, ...], ANY_SEQUENCE] = ()
    """Methods of your own beside them: FILE.py:function or module:function, each a function of a setting and a timed
    training. Their code is run."""
    variant: str = "default"
    """Variant of the family."""
    minutes: Positive = 2.0
    """Minutes of training for each method and seed."""
    steps: Steps | None = None
    """Train each method and seed for so many env steps instead, which gives the same on machines of any speed."""
    clock: Literal["wall", "core"] = "wall"
    """What minutes are counted by: the clock on the wall, or what the training's process computes, on one core, so that
    other work on it takes nothing away. What other processes do for it is not in that."""
    seeds: Count = 2
    """Number of training seeds for each method; fewer than three give no intervals."""
    num_envs: Count = 32
    """Number of trials, or robots, that run in parallel."""
    episodes: Count | None = None
    """Episodes in a trial; by default the family's."""
    horizon: Count | None = None
    """Steps in an episode; by default the family's."""
    num_tasks: NumTasks = 64
    """Number of held-out tasks, the same for all methods."""
    train_tasks: Count | None = None
    """Train on only this many tasks, which shows overfitting; by default on all of the family's."""
    cell: RecurrentCell = "lstm"
    """Recurrent cell of limbshift, rl2, hyper and the oracles."""
    hide_reward: Flag = False
    """Hide the reward from limbshift, rl2, hyper, transformer, belief and the oracles."""
    first_order: Flag = False
    """Use first-order MAML: cheaper, without second derivatives."""
    presets: Annotated[tuple[FilePath, ...], ANY_SEQUENCE] = ()
    """Settings that `limbshift tune` found, each for the method that it tuned; ours are for rl2 and the oracles too,
    and those of ppo for finetune."""
    engine: Engine = "local"
    """Where trainings run: local, one after another; or ray, side by side on the machines of a Ray cluster, each on one
    core (pip install '.[cluster]')."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_family(self.family, self.family_file, EXPECTED)


@dataclass(frozen=True)
class TuneConfig(Checked):
    """Search for good training settings on a family, and write the best as a preset for `train --preset`."""

    family: FamilyArgument = ""
    """Task family."""
    family_file: str | None = None
    """A task family of your own: FILE.py:Class or module:Class. Its code is run."""
    minutes: Positive = 60.0
    """Start no further training after this time; allow for eight trainings at least."""
    trial_minutes: Positive = 2.0
    """Minutes of training with each of the settings; losers are given up early."""
    trial_steps: Steps | None = None
    """Train with each of the settings for so many env steps instead."""
    algorithms: Annotated[tuple[Algorithm, ...], ANY_SEQUENCE, MinLen(1)] = ("lstm",)
    """Any of lstm, gru, hyper, transformer and no-memory, among which the search also chooses; or one of the rivals ppo
    and recurrent-ppo, whose preset `compare --presets` takes. Hyper is an LSTM whose state makes the weights that read
    actions."""
    variant: str = "default"
    """Variant of the family."""
    seed: Seed = 0
    """Seed of the search, and of everything in each training."""
    num_envs: Count = 32
    """Number of trials that run in parallel."""
    episodes: Count | None = None
    """Episodes in a trial; by default the family's."""
    horizon: Count | None = None
    """Steps in an episode; by default the family's."""
    num_tasks: NumTasks = 64
    """Number of validation tasks that settings are judged on; held-out tasks stay unseen."""
    out: FilePath = Path("preset.json")
    """Preset file of the best settings so far; rewritten after each training."""
    wandb_sweep: FilePath | None = None
    """Train nothing: write the same search as a sweep for Weights & Biases to this YAML file, for `wandb sweep`."""
    engine: Engine = "local"
    """Where trainings run: local, one after another; or ray, side by side on the machines of a Ray cluster, each on one
    core (pip install '.[cluster]')."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_family(self.family, self.family_file, EXPECTED)
        rivals = {name for name in self.algorithms if name in METHODS and METHODS[name].tuned_as == name}
        if rivals and len(self.algorithms) > 1:
            raise InputError(f"algorithms are {', '.join(self.algorithms)}, expected {min(rivals)} to be tuned alone")


Config = TypeVar("Config", CompareConfig, TuneConfig)


def portable(config: Config) -> tuple[Config, Files]:
    """Returns the configuration as its engine's machines can take it, and the files that they need of the user's own
    family and methods.

    Raises InputError where two of these have files of one name, of which either might get the other's.
    """
    methods: tuple[str, ...] = config.method_files if isinstance(config, CompareConfig) else ()
    family: tuple[str, ...] = (config.family_file,) if config.family_file else ()
    files = merged(files_of(place_of(reference)) for reference in (*family, *methods))
    if config.engine == "local":
        return config, {}
    own: dict[str, Any] = {"family_file": flat_reference(*family)} if family else {}
    own |= {"method_files": tuple(map(flat_reference, methods))} if methods else {}
    return replace(config, **own), files
