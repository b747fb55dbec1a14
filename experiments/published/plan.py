"""What docs/results.md tells of: which comparisons, and which trainings of our own."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console

from limbshift.agents.atomic_write import replacing
from limbshift.envs.catalogue import families
from limbshift.envs.schema import Checked, make
from limbshift.experiments.commands.evaluate import evaluate
from limbshift.experiments.commands.train import run_training
from limbshift.experiments.comparison.compare import check_comparison, is_missing, job_of, open_comparison
from limbshift.experiments.comparison.config import CompareConfig
from limbshift.experiments.comparison.provenance import provenance_of
from limbshift.experiments.comparison.timed_training import Returns
from limbshift.experiments.comparison.training_run import TrainingRun, run_file
from limbshift.experiments.jobs.job import Engine, Job
from limbshift.experiments.jobs.own_files import Files
from limbshift.experiments.runs.directory import CONFIG, RunError, holds_run, read_json, write_json
from limbshift.experiments.runs.resume import config_of
from limbshift.experiments.terminal import make_console
from limbshift.meta.evaluation.statistics import interquartile_mean

PRESETS = Path(__file__).with_name("presets")
"""What `limbshift tune` found, by family and method."""
RETURNS = "returns.json"
"""In the run directory of a training that is over: what its controller returns on held-out tasks."""


class Comparison(NamedTuple):
    """Methods on a family, some with more seeds than others."""

    family: str
    budget: Mapping[str, Any]
    """Of each method and seed: `minutes` of one core, or `steps` of env."""
    seeds: Mapping[str, int]
    """By method."""
    train_tasks: int | None = None
    variant: str = "default"
    tuned: Sequence[str] = ()
    """Methods whose settings are a search's; the others, but for those that share them, have the default ones."""

    @property
    def name(self) -> str:
        """The family's, with what sets it apart from other comparisons on it."""
        apart = [self.variant] * (self.variant != "default") + ["tuned"] * bool(self.tuned)
        return f"{self.family} ({', '.join(apart)})" if apart else self.family

    @property
    def training(self) -> str:
        """How long each training is, in words."""
        minutes, steps = self.budget.get("minutes"), self.budget.get("steps")
        return f"{steps / 1e6:g} M env steps" if steps else f"{minutes:g} minutes"

    @property
    def presets(self) -> tuple[Path, ...]:
        """What the searches found."""
        return tuple(PRESETS / f"{self.family}-{method}.json" for method in self.tuned)

    def directory(self, out: Path) -> Path:
        parts = [self.family]
        parts += [] if self.variant == "default" else [self.variant]
        parts += [] if self.train_tasks is None else [f"{self.train_tasks}-tasks"]
        parts += ["tuned"] if self.tuned else []
        return out / "-".join(parts)

    def runs(self) -> list[tuple[str, int]]:
        """Returns methods and seeds: random actions first, by which the rest is measured, then seed by seed, so that
        half of them too are a comparison.
        """
        seeds = range(max(self.seeds.values()))
        return [("random", 0), *((name, seed) for seed in seeds for name, count in self.seeds.items() if seed < count)]

    def files(self, out: Path) -> list[Path]:
        """Returns the files of all runs, complete or to be."""
        return [run_file(self.directory(out), method, seed) for method, seed in self.runs()]

    def begun(self, out: Path) -> bool:
        """Returns whether there is anything to tell."""
        return self.files(out)[0].is_file()

    def jobs(self, out: Path, console: Console | None = None) -> list[tuple[int, Job[TrainingRun]]]:
        """Returns seed and job of each run that is missing."""
        config = CompareConfig(
            self.family,
            out=self.directory(out),
            methods=tuple(self.seeds),
            **self.budget,
            variant=self.variant,
            train_tasks=self.train_tasks,
            presets=self.presets,
            clock="core",
        )
        asked = check_comparison(config)
        timer = open_comparison(asked)
        console = console or make_console()
        missing = [run for run in self.runs() if is_missing(*run, config.out)]
        name = config.out.name
        return [
            (seed, job_of(method, seed, asked, timer=timer, console=console, comparison=name))
            for method, seed in missing
        ]


@dataclass(frozen=True)
class Kept(Checked):
    """What a training of ours came to, in its file."""

    returns: Returns
    """On held-out tasks."""
    provenance: dict[str, Any]


class Found(NamedTuple):
    """What trials of 2 x 200 steps return."""

    iqm: float
    """Interquartile mean of an episode, mean of both."""
    mean_total: float
    """Of both episodes, the mean over tasks."""


class Milestone(NamedTuple):
    """What trials of 2 x 200 steps are to return after so many env steps of training."""

    family: str
    steps: int
    goal: float
    """Of `Found.iqm`, on held-out tasks."""

    def directory(self, out: Path) -> Path:
        return out / f"{self.family}-{self.steps / 1e6:g}M-steps"

    def found(self, out: Path) -> Found | None:
        """Returns what it gave; None as long as it is not trained."""
        path = self.directory(out) / RETURNS
        if not path.is_file():
            return None
        returns = np.array(make(Kept, read_json(path), str(path)).returns)
        if returns.shape[1] != 2:
            raise RunError(f"{path} holds returns of {returns.shape[1]} episodes, expected 2")
        iqm = np.mean([interquartile_mean(episode) for episode in returns.T])
        return Found(float(iqm), float(returns.sum(axis=1).mean()))

    def jobs(self, out: Path, engine: Engine = "local") -> list[Job[Files]]:
        """Returns the training, unless it is over. Elsewhere it goes on with what this machine has of it."""
        run = self.directory(out)
        if (run / RETURNS).is_file():
            return []
        work = partial(train_here, self, run) if engine == "local" else partial(train_elsewhere, self, files_in(run))
        return [Job(run.name, work, partial(write_files, run))]


def train_here(milestone: Milestone, run: Path) -> Files:
    """Trains in the run's own directory: nothing is left to be kept."""
    train_to(milestone, run)
    return {}


def train_elsewhere(milestone: Milestone, begun: Files) -> Files:
    """Trains in a directory of this machine's, and returns its files."""
    with TemporaryDirectory(prefix="limbshift-") as folder:
        run = Path(folder) / "run"
        write_files(run, begun)
        train_to(milestone, run)
        return files_in(run)


def files_in(run: Path) -> Files:
    """Returns the files of a run's directory; hidden ones are half-written."""
    return {path.name: path.read_bytes() for path in sorted(run.glob("[!.]*")) if path.is_file()}


def write_files(run: Path, files: Files) -> None:
    """Writes files into a run's directory."""
    for name, content in files.items():
        run.mkdir(parents=True, exist_ok=True)
        with replacing(run / name) as temporary:
            temporary.write_bytes(content)


def train_to(milestone: Milestone, run: Path) -> None:
    """Trains, or goes on where that was interrupted, and keeps what comes of it.

    Raises KeyboardInterrupt where the training is interrupted: its checkpoint is saved, but nothing is recorded.
    """
    if (run / RETURNS).is_file():
        return
    settings = {"steps": milestone.steps, "episodes": 2, "horizon": 200, "run_dir": run, "wandb": "disabled"}
    resume = holds_run(run)
    outcome = run_training(config_of({"family": milestone.family, **settings, "resume": resume}))
    if not outcome.finished:
        raise KeyboardInterrupt
    provenance = asdict(provenance_of(read_json(run / CONFIG)))
    write_json(run / RETURNS, asdict(Kept(evaluate(run).returns, provenance)), indent=None)


METHODS = ("limbshift", "no-memory", "oracle", "ppo", "recurrent-ppo", "rl2", "rma")
SHORT, LONG, FEW = {"minutes": 4.0}, {"minutes": 8.0}, {"steps": 2_500_000}
FIVE, THREE = dict.fromkeys(METHODS, 5), dict.fromkeys(METHODS, 3)
COMPARISONS = (
    Comparison("HalfCheetahDir", SHORT, FIVE),
    Comparison("HalfCheetahVel", SHORT, FIVE),
    Comparison("HalfCheetahWiring", SHORT, FIVE),
    Comparison("ReacherGoal", SHORT, FIVE),
    Comparison("Walker2dRandParams", SHORT, FIVE),
    Comparison("HopperRandParams", SHORT, THREE),
    Comparison("AntDir", SHORT, THREE),
    Comparison("AntGoal", SHORT, THREE, variant="sparse"),
    Comparison("QuadrupedBodies", LONG, THREE),
    Comparison("HumanoidDir", LONG, THREE),
    Comparison(
        "Walker2dRandParams",
        SHORT,
        dict.fromkeys(("limbshift", "oracle", "ppo", "recurrent-ppo"), 3),
        tuned=("limbshift", "ppo", "recurrent-ppo"),
    ),
)
ADAPTING = tuple(
    Comparison(name, FEW, dict.fromkeys(("limbshift", "no-memory", "oracle"), 1))
    for name in families()
    if name not in {comparison.family for comparison in COMPARISONS}
)
"""Whether adapting pays on all other families."""
OVERFITTING = tuple(Comparison("HalfCheetahLimbsDir", FEW, {"limbshift": 2}, count) for count in (2, 8, 32, 128))
"""How training on few tasks tells on others; beside them stands what `ADAPTING` has of the same family."""
MILESTONES = (
    Milestone("HalfCheetahVel", 5_000_000, -50.0),
    Milestone("HalfCheetahDir", 20_000_000, 1400.0),
    Milestone("AntDir", 20_000_000, 500.0),
)
