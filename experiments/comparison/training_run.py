"""The runs of a comparison, one for each method and seed: their files, and what is read off them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
from annotated_types import MinLen

from limbshift.envs.errors import InputError
from limbshift.envs.schema import Checked, Count, Name, Positive, Seed, Weight, make, shortened
from limbshift.experiments.comparison.methods import METHODS
from limbshift.experiments.comparison.provenance import Provenance
from limbshift.experiments.comparison.timed_training import HeldoutCurvePoint, Pace, Returns
from limbshift.experiments.machine import may_be
from limbshift.experiments.runs.directory import RunError, read_json, write_json
from limbshift.meta.evaluation.scores import SeedReturns

ABOUT = "comparison.json"
"""What all runs of a directory share."""
CELLS = "cells"
"""Directory of their files."""
FORMAT = 3
"""Of a run's file and of comparison.json. Files of format 2 have no provenance; those of format 1 do not say."""
RENAMED = {"rl2": "limbshift", "plain-rl2": "rl2"}
"""Methods' names in files of format 1, and today's."""


@dataclass(frozen=True)
class Consumed(Checked):
    """What gradient steps made of a policy after so many episodes of each held-out task."""

    episodes: Count
    returns: Annotated[list[float], MinLen(1)]
    """Of the episode after them, one for each task."""


@dataclass(frozen=True)
class Trials(Checked):
    """How the policy that came of a training goes through held-out trials."""

    control_timestep_s: Positive
    mean_reward_per_step: Returns
    """Episode x step, over all trials."""
    longer: Returns
    """Trial x episode returns of trials of ten episodes, or of as many as were trained on if these are more."""
    task_error: list[Weight] = field(default_factory=list)
    """By step of a trial: the share of the tasks' variance that guesses from memory leave; empty without guesses."""


@dataclass(frozen=True)
class TrainingRun(Checked):
    """One training of one method."""

    method: Name
    seed: Seed
    cpu: Name
    """Model of the processor."""
    looks: Annotated[list[HeldoutCurvePoint], MinLen(1)]
    """At held-out tasks, in the order of training; the last one at the end of the budget."""
    splits: dict[str, Returns]
    """Trial x episode returns of the policy that came of it, by split."""
    consumed: list[Consumed] = field(default_factory=list)
    """Of a method that adapts by gradient steps."""
    provenance: Provenance | None = None
    """None for one of format 2 or 1."""
    trials: Trials | None = None
    """Likewise."""
    pace: Pace | None = None
    """By which it counted minutes of another processor; None where a clock did, or where env steps are the budget."""

    @property
    def timer(self) -> str:
        """The processor whose minutes it took."""
        return self.pace.processor if self.pace else self.cpu


def run_file(out: Path, method: str, seed: int) -> Path:
    """Returns where a run is kept."""
    return out / CELLS / f"{method}-{seed}.json"


def write_run(out: Path, run: TrainingRun) -> None:
    """Writes a run's file."""
    write_json(run_file(out, run.method, run.seed), {"format": FORMAT, **asdict(run)}, indent=None)


def read_run(path: Path) -> TrainingRun:
    """Reads a run's file, of today's format or of the one before, whose methods had other names."""
    content = read_json(path)
    given = content.get("method")
    method = method_in(content, path)
    del content["format"]
    for name, kind in (("looks", HeldoutCurvePoint), ("consumed", Consumed)):
        listed = content.get(name, [])
        if not isinstance(listed, list):
            raise RunError(f"{name} in {path} is {shortened(listed)}, expected a list")
        content[name] = [make(kind, each, f"{name}[{number}] in {path}") for number, each in enumerate(listed)]
    if content.get("provenance") is not None:
        content["provenance"] = make(Provenance, content["provenance"], f"provenance in {path}")
    for name, part in (("trials", Trials), ("pace", Pace)):
        if content.get(name) is not None:
            content[name] = make(part, content[name], f"{name} in {path}")
    run = make(TrainingRun, {**content, "method": method}, str(path))
    if "heldout" not in run.splits:
        raise RunError(f"splits in {path} are {', '.join(run.splits) or 'none'}, expected heldout among them")
    if path.name != (named := f"{given}-{run.seed}.json"):
        raise RunError(f"{path} holds {given} by seed {run.seed}, expected it to be called {named}")
    return run


def check_family(run: TrainingRun, about: Mapping[str, Any], path: Path) -> None:
    """Raises RunError for a training on another family than the one that its directory is about."""
    for name in ("family", "variant"):
        found = run.provenance.settings.get(name) if run.provenance else None
        expected = about.get(name)
        if None not in (found, expected) and found != expected:
            raise RunError(f"{path} was trained on {name} {found}, expected {expected} as {ABOUT} beside it says")


def check_shapes(run: TrainingRun, *, like: TrainingRun, path: Path) -> None:
    """Raises RunError where a run's returns are of other splits, tasks, episodes or steps than another's."""
    if run.splits.keys() != like.splits.keys():
        own, others = (", ".join(each.splits) for each in (run, like))
        raise RunError(f"splits in {path} are {own}, expected {others} as the other runs")
    tasks, episodes = np.shape(like.splits["heldout"])
    shapes: list[tuple[str, object, tuple[int, ...]]] = [
        *((name, returns, (tasks, episodes)) for name, returns in run.splits.items()),
        *(("looks", look.returns, (tasks, episodes)) for look in run.looks),
        *(("consumed", each.returns, (tasks,)) for each in run.consumed),
    ]
    if run.trials:
        other = like.trials or run.trials
        steps, longer = len(other.mean_reward_per_step[0]), len(other.longer[0])
        shapes.append(("mean_reward_per_step", run.trials.mean_reward_per_step, (episodes, steps)))
        shapes.append(("longer", run.trials.longer, (tasks, longer)))
    for name, returns, expected in shapes:
        if (found := np.shape(returns)) != expected:  # type: ignore[call-overload]  # lists of floats
            raise RunError(f"{name} in {path} has shape {found}, expected {expected} as the other runs")


def method_in(content: dict[str, Any], path: Path) -> str:
    """Returns the method of a run's file by today's name; RunError for a format of the future."""
    version, name = content.setdefault("format", 1), content.get("method")
    if version not in (1, 2, FORMAT):
        raise RunError(f"{path} is of format {shortened(version)}, expected {FORMAT} or an older one")
    method = RENAMED.get(name, name) if version == 1 and isinstance(name, str) else name
    if not isinstance(method, str) or method not in METHODS:
        raise RunError(
            f"method in {path} is {shortened(name)}, expected one of {', '.join(METHODS)}, or one of --method-files"
        )
    return method


def read_runs(out: Path) -> list[TrainingRun]:
    """Reads all runs that are complete, of earlier calls too, by method and seed; random actions come last."""
    paths = run_paths(out)
    runs = [read_run(path) for path in paths]
    about = read_json(out / ABOUT) if (out / ABOUT).is_file() else {}
    for run, path in zip(runs, paths, strict=True):
        check_family(run, about, path)
        check_shapes(run, like=runs[0], path=path)
    order = list(METHODS)
    return sorted(runs, key=lambda run: (run.method == "random", order.index(run.method), run.seed))


def run_paths(out: Path) -> list[Path]:
    """Returns the files of all runs that are complete; hidden ones are half-written."""
    return sorted((out / CELLS).glob("[!.]*.json"))


def convert_runs(out: Path) -> None:
    """Rewrites run files of the format before under today's names, so that each is found by its method."""
    for path in reversed(run_paths(out)):  # old rl2 gives way to limbshift before old plain-rl2 takes its name
        if "format" not in read_json(path):
            run = read_run(path)
            write_run(out, run)
            if path != run_file(out, run.method, run.seed):
                path.unlink()


class Timer(NamedTuple):
    """The processor whose minutes a comparison counts, and how fast each method trains on it."""

    processor: str
    steps_per_second: Mapping[str, float]

    def pace(self, method: str, *, here: str) -> Pace | None:
        """Returns by what a training counts its minutes here: by env steps, unless this is the same processor.

        Raises InputError for a method that was never trained on it.
        """
        if may_be(self.processor, here) or method == "random":
            return None
        if method not in self.steps_per_second:
            raise InputError(
                f"{method} was not trained on {self.processor}, whose minutes this comparison counts, expected one"
                " training of it there, to go on here with as many env steps; or another directory"
            )
        return Pace(self.processor, self.steps_per_second[method])


def timer_of(runs: Sequence[TrainingRun], out: Path) -> Timer | None:
    """Returns the processor whose minutes the runs of a directory took; None where none took any.

    Raises RunError where they took those of several.
    """
    timed: dict[str, list[TrainingRun]] = {}
    for run in runs:
        if run.looks[-1].steps and run.looks[-1].seconds:
            timed.setdefault(run.timer, []).append(run)
    if not timed:
        return None
    told = max(timed, key=len)  # an older name tells less of the same processor
    for name, own in timed.items():
        if name != told and not may_be(name, told):
            raise RunError(
                f"{run_file(out, own[0].method, own[0].seed)} took minutes of {name}, expected those of {told} as other"
                " runs: remove those of one processor to have them trained anew"
            )
    groups = by_method([run for own in timed.values() for run in own])
    return Timer(told, {method: mean_pace(own) for method, own in groups.items()})


def mean_pace(runs: Sequence[TrainingRun]) -> float:
    """Returns env steps a second of training, over all runs."""
    return sum(run.looks[-1].steps for run in runs) / sum(run.looks[-1].seconds for run in runs)


def by_method(runs: Sequence[TrainingRun]) -> dict[str, list[TrainingRun]]:
    """Groups runs by method, in the order of the runs."""
    return {name: [run for run in runs if run.method == name] for name in dict.fromkeys(run.method for run in runs)}


def mean_steps(runs: Sequence[TrainingRun]) -> float:
    """Returns the env steps of training, mean over runs."""
    return float(np.mean([run.looks[-1].steps for run in runs]))


def finals(runs: Sequence[TrainingRun], split: str = "heldout") -> np.ndarray:
    """Returns the returns of the last episode, (seeds, tasks)."""
    return np.array([np.array(run.splits[split])[:, -1] for run in runs])


def finals_at(runs: Sequence[TrainingRun], steps: float) -> np.ndarray:
    """Returns the returns of the last episode on held-out tasks after so many env steps, (seeds, tasks)."""
    return np.array([final_at(run, steps) for run in runs])


def final_returns(runs: Sequence[TrainingRun], split: str = "heldout") -> SeedReturns:
    """Returns the returns of a method's last episode."""
    return SeedReturns(seeds_of(runs), finals(runs, split))


def final_returns_at(runs: Sequence[TrainingRun], steps: float) -> SeedReturns:
    """Returns those on held-out tasks after so many env steps."""
    return SeedReturns(seeds_of(runs), finals_at(runs, steps))


def seeds_of(runs: Sequence[TrainingRun]) -> tuple[int, ...]:
    """Returns the seeds that a method was trained by: none for random actions, which no seed changes."""
    return () if runs[0].method == "random" else tuple(run.seed for run in runs)


def final_at(run: TrainingRun, steps: float) -> np.ndarray:
    """Interpolates one run, (tasks,): a line between two looks, and level before the first and after the last."""
    looked_after = [look.steps for look in run.looks]
    curves = np.array([look.returns for look in run.looks])[:, :, -1].T
    return np.array([np.interp(steps, looked_after, curve) for curve in curves])
