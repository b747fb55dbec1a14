"""Searches settings of training on a family, and keeps the best as a preset."""

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from limbshift.agents.atomic_write import check_writable, replacing
from limbshift.envs.errors import InputError
from limbshift.envs.family import TaskFamily
from limbshift.envs.tasks.task_space import VALIDATION
from limbshift.envs.trial_env import TrialEnv
from limbshift.experiments.commands.search_space import CELLS, search_space, sweep
from limbshift.experiments.comparison.config import TuneConfig, portable
from limbshift.experiments.comparison.methods import METHODS, check_installed
from limbshift.experiments.comparison.settings import with_belief
from limbshift.experiments.comparison.timed_training import MakeAct, Setting, TimedTraining, usual_setting
from limbshift.experiments.comparison.trainers import TRAIN
from limbshift.experiments.configs import Algorithm, TrainConfig
from limbshift.experiments.jobs.engine import check_engine, open_engine
from limbshift.experiments.jobs.job import Job, in_turn, keep_all
from limbshift.experiments.runs.families import named_family
from limbshift.experiments.runs.presets import OURS, Preset, save_preset
from limbshift.experiments.terminal import make_console
from limbshift.meta.rl2.config import PPOConfig
from limbshift.meta.threads import threads_for

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

LOOKS = 5
"""At each training; after any of them it may be given up."""
LOOK_SEED = 0
"""Of the validation tasks that settings are judged by; not the seed of training."""
UNPRUNED = 3
"""Trainings that are never given up, so that later ones have something to be measured by."""
Settings = dict[str, Any]
"""Options of `limbshift train` by name."""


class Tried(NamedTuple):
    """What came of a training."""

    value: float | None
    """Mean return of the last episode; None where it was given up."""
    looks: dict[int, float]
    """The same on the way."""


def run_tune(config: TuneConfig, console: Console | None = None) -> Path:
    """Runs the command. Returns the path of the preset, or of the sweep that was asked for."""
    console = console or make_console()
    if config.wandb_sweep:
        return write_sweep(config, config.wandb_sweep, console)
    if not find_spec("optuna"):
        raise InputError("tune needs optuna: pip install '.[tune]'")
    check_installed(*(method_of(algorithm) for algorithm in config.algorithms))
    check_engine(config.engine)
    family = named_family(config.family, config.family_file, config.variant)
    check_writable(config.out)
    study = make_study(config)
    study.enqueue_trial(default_settings(config, family))
    tell = teller(config, family.name, console=console)
    there, files = portable(config)
    failed: list[Exception] = []

    def keep(trial: "Trial", tried: Tried) -> None:
        tell(study, end_trial(study, trial, tried))

    def trainings() -> Iterator[Job[Tried]]:
        end = monotonic() + 60 * config.minutes  # from when there is something to train on
        while not failed and monotonic() < end:
            trial = study.ask()
            work = partial(try_settings, suggest(trial, config, family), there, completed(study))
            yield Job(f"training {trial.number + 1}", work, partial(keep, trial))

    with open_engine(config.engine, in_turn, console=console, files=files) as do:
        keep_all(do(trainings()), failed)
    console.print(settings_table(study))
    which = ["--family-file", config.family_file] if config.family_file else [family.name]
    which += [] if family.variant == "default" else ["--variant", family.variant]
    rival = method_of(config.algorithms[0])
    use = (
        ["train", *which, "--preset", str(config.out)]
        if METHODS[rival].tuned_as == OURS
        else ["compare", *which, "--methods", OURS, rival, "--presets", str(config.out), "--out", f"runs/{rival}"]
    )
    console.print(f"preset in {config.out}: {shlex.join(['limbshift', *use])}", highlight=False, soft_wrap=True)
    return config.out


def write_sweep(config: TuneConfig, path: Path, console: Console) -> Path:
    """Writes the search for Weights & Biases to make, and returns the file's path."""
    text = sweep(config, named_family(config.family, config.family_file, config.variant))
    check_writable(path)
    with replacing(path) as temporary:
        temporary.write_text(text)
    told = f"sweep in {path}: wandb sweep {path}, and then the wandb agent that it names; runs are uploaded"
    console.print(told, highlight=False, soft_wrap=True)
    return path


def make_study(config: TuneConfig) -> "Study":
    """Returns a search in which nothing was tried yet."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=config.seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=UNPRUNED),
    )


def completed(study: "Study") -> list["FrozenTrial"]:
    """Returns the trainings that were not given up: by these is judged which later ones are."""
    return [trial for trial in study.trials if trial.state.name == "COMPLETE"]


def try_settings(tried: Settings, config: TuneConfig, earlier: Sequence["FrozenTrial"]) -> Tried:
    """Trains, on whatever machine. It is given up where the earlier ones were better by then."""
    import optuna

    study = make_study(config)
    study.add_trials(earlier)
    trial = study.ask()
    family = named_family(config.family, config.family_file, config.variant)
    try:
        with threads_for(config.trial_steps):
            value = train_once(tried, config, family, trial=trial)
    except optuna.TrialPruned:
        return Tried(None, study.trials[-1].intermediate_values)
    return Tried(value, study.trials[-1].intermediate_values)


def end_trial(study: "Study", trial: "Trial", tried: Tried) -> "FrozenTrial":
    """Tells the search what came of a training, and returns it as it is kept."""
    from optuna.trial import TrialState

    for number, value in tried.looks.items():
        trial.report(value, number)
    return study.tell(trial, tried.value, TrialState.PRUNED if tried.value is None else None)


def default_settings(config: TuneConfig, family: TaskFamily) -> Settings:
    """Returns what training does by default: the first settings that are tried."""
    ppo = PPOConfig()
    return {
        "algorithm": config.algorithms[0],
        "hidden_size": TrainConfig.hidden_size,
        "gamma": family.gamma,
        "initial_log_std": family.initial_log_std,
        "ppo.learning_rate": ppo.learning_rate,
        "ppo.clip_coef": ppo.clip_coef,
        "ppo.gae_lambda": ppo.gae_lambda,
        "ppo.ent_coef": ppo.ent_coef,
        "ppo.update_epochs": ppo.update_epochs,
        "ppo.num_minibatches": ppo.num_minibatches,
    }


def suggest(trial: "Trial", config: TuneConfig, family: TaskFamily) -> Settings:
    """Returns the settings to try next."""
    return {name: part.suggested(trial, name) for name, part in search_space(config.algorithms, family).items()}


def method_of(algorithm: Algorithm) -> str:
    """Returns the method of a comparison that trains so."""
    return OURS if algorithm in CELLS else algorithm


def preset_of(tried: Settings, about: dict[str, Any]) -> Preset:
    """Returns what was tried, for the method that it was tried with."""
    algorithm, rest = tried["algorithm"], {name: value for name, value in tried.items() if name != "algorithm"}
    method = METHODS[method_of(algorithm)].tuned_as or OURS
    if method == OURS:
        cell = algorithm if algorithm in CELLS else "lstm"
        rest = {"cell": cell, **METHODS[method_of(algorithm)].network, "no_memory": algorithm == "no-memory", **rest}
    return Preset(method, rest, about)


def setting_of(tried: Settings, config: TuneConfig, family: TaskFamily) -> Setting:
    """Returns what a training with these settings is told."""
    usual = usual_setting(
        family, config.seed, num_envs=config.num_envs, episodes=config.episodes, horizon=config.horizon
    )
    settings = dict(preset_of(tried, {}).settings)
    settings.pop("no_memory", None)  # a method of its own
    return with_belief(method_of(tried["algorithm"]), usual.tuned(settings))


def train_once(tried: Settings, config: TuneConfig, family: TaskFamily, *, trial: "Trial") -> float:
    """Returns the mean return of the last episode after training; gives up where others were better by then."""
    env = TrialEnv(family, config.num_tasks, config.episodes, horizon=config.horizon, split=VALIDATION, seed=LOOK_SEED)
    timed = JudgedTraining(env, LOOK_SEED, 60 * config.trial_minutes, LOOKS, steps=config.trial_steps, judge=trial)
    with closing(env):
        TRAIN[method_of(tried["algorithm"])](setting_of(tried, config, family), timed)
    return timed.value


@dataclass(kw_only=True)
class JudgedTraining(TimedTraining):
    """Is given up, by optuna.TrialPruned, after a look that shows less than others had shown by then."""

    judge: "Trial"

    @property
    def value(self) -> float:
        """Mean return of the last episode, at the last look."""
        return float(np.mean(self.looks[-1].returns, axis=0)[-1])

    def __call__(self, steps: int, make_act: MakeAct) -> bool:
        import optuna

        looked = len(self.looks)
        goes_on = super().__call__(steps, make_act)
        if len(self.looks) > looked:
            self.judge.report(self.value, len(self.looks))
            if goes_on and self.judge.should_prune():
                raise optuna.TrialPruned
        return goes_on


def teller(config: TuneConfig, family: str, *, console: Console) -> Callable[["Study", "FrozenTrial"], None]:
    """Returns what says how each training ended, and keeps the best settings so far as the preset."""

    def tell(study: "Study", trial: "FrozenTrial") -> None:
        value = trial.value if trial.value is not None else float("nan")
        outcome = f"mean return {value:.1f}" if trial.state.name == "COMPLETE" else f"given up at {value:.1f}"
        console.print(f"{trial.number + 1}: {outcome}, {in_words(trial.params)}", highlight=False, soft_wrap=True)
        budget = {"steps": config.trial_steps} if config.trial_steps else {"minutes": config.trial_minutes}
        search = {"trainings": len(study.trials), "search_minutes": config.minutes}
        about = {"family": family, "variant": config.variant, **budget, **search}
        save_preset(config.out, preset_of(study.best_params, {**about, "return": study.best_value}))

    return tell


def settings_table(study: "Study") -> Table:
    """Returns a table of the default settings beside the best."""
    first, best = study.trials[0], study.best_trial
    table = Table(title="settings", title_justify="left")
    for column in ("", f"default: {first.value:.1f}", f"best of {len(study.trials)}: {best.value:.1f}"):
        table.add_column(column, justify="right" if column else "left")
    for name in first.params:
        table.add_row(name, short(first.params[name]), short(best.params[name]))
    return table


def in_words(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.removeprefix('ppo.')} {short(value)}" for name, value in settings.items())


def short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
