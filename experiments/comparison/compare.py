"""Compares methods on one family: trains each, and tells what they returned on the same tasks."""

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from limbshift.agents.atomic_write import check_writable
from limbshift.envs.errors import InputError
from limbshift.envs.family import TaskFamily
from limbshift.envs.schema import shortened
from limbshift.envs.tasks.task_space import VALIDATION
from limbshift.envs.trial_env import TrialEnv
from limbshift.experiments.comparison.by_parameter import by_parameter
from limbshift.experiments.comparison.config import CompareConfig, portable
from limbshift.experiments.comparison.html import write_page
from limbshift.experiments.comparison.methods import METHODS, check_installed
from limbshift.experiments.comparison.provenance import check_like, hash_of, provenance_of
from limbshift.experiments.comparison.settings import (
    Asked,
    presets_by_method,
    setting_of,
    training_settings,
    tuned_for,
)
from limbshift.experiments.comparison.summary import summarise_methods
from limbshift.experiments.comparison.timed_training import (
    CLOCKS,
    LOOKS,
    TASK_SEED,
    MakeAct,
    Pace,
    Setting,
    TimedTraining,
    returns_on,
    rewards_on,
)
from limbshift.experiments.comparison.trainers import TRAIN, GuessingActor, Ours, add_own, of_own
from limbshift.experiments.comparison.training_run import (
    ABOUT,
    FORMAT,
    Consumed,
    Timer,
    TrainingRun,
    Trials,
    convert_runs,
    finals,
    read_runs,
    run_file,
    timer_of,
    write_run,
)
from limbshift.experiments.jobs.engine import check_engine, open_engine
from limbshift.experiments.jobs.job import Job, in_turn, keep_all
from limbshift.experiments.machine import cpu_model
from limbshift.experiments.runs.directory import locked, read_json, write_json
from limbshift.experiments.runs.families import named_family
from limbshift.experiments.terminal import make_console
from limbshift.meta.evaluation.statistics import interquartile_mean
from limbshift.meta.threads import threads_for

LONGER = 10
"""Episodes of the trials that tell whether a policy goes on beyond those it was trained on."""
CONSUMED = (1, 2, 4, 10, 20)
"""Episodes after which those that adapt by gradient steps are looked at."""
NO_SCORES = "no scores: add oracle to --methods to have returns scaled from random actions (0) to the oracle (1)"
"""Said where no oracle was trained."""
RESULTS, PAGE = "results.json", "index.html"


def run_compare(config: CompareConfig, console: Console | None = None) -> Path:
    """Runs the command. Returns the directory of the results."""
    console = console or make_console()
    check_engine(config.engine)
    asked = check_comparison(config)
    there, files = portable(config)
    with locked(config.out), open_engine(config.engine, in_turn, console=console, files=files) as do:
        timer = open_comparison(asked)
        runs = [(method, seed) for seed in range(config.seeds) for method in asked.methods]
        missing = [run for run in runs if is_missing(*run, config.out)]
        if timer and config.engine == "local":  # told before any training
            for method, _ in missing:
                timer.pace(method, here=cpu_model())
        keep_all(do([job_of(*run, asked, timer=timer, console=console, there=there) for run in missing]))
    finish_comparison(config.out, asked.family)
    if "oracle" not in {run.method for run in read_runs(config.out)}:
        console.print(NO_SCORES, highlight=False, soft_wrap=True)
    console.print(f"results in {config.out / RESULTS}, page in {config.out / PAGE}", highlight=False, soft_wrap=True)
    return config.out


def check_comparison(config: CompareConfig) -> Asked:
    """Checks what is asked, for which the user's own files are run, and what the directory holds."""
    family = family_of(config)
    asked = Asked(config, family, checked_methods(config, family), presets_by_method(config.presets))
    for name, preset in asked.presets.items():
        if not any(METHODS[method].tuned_as == name for method in asked.methods):
            raise InputError(f"presets has settings of {name}, expected those of methods that are compared")
        cell = preset.settings.get("cell", config.cell)
        if config.cell not in (cell, CompareConfig.cell):
            raise InputError(f"cell is {config.cell}, expected {cell}, as the preset of {name} has it, or no --cell")
    check_writable(config.out / RESULTS)
    check_directory(asked)
    return asked


def check_directory(asked: Asked) -> Timer | None:
    """Returns the processor whose minutes the directory counts, as far as it holds any.

    Raises InputError where it holds another comparison, or a training that does not belong to it.
    """
    out = asked.config.out
    check_same(out, asked.about)
    runs = read_runs(out)
    for run in runs:
        check_like(run.provenance, asked.settings(run.method, run.seed), run_file(out, run.method, run.seed))
    return None if asked.config.steps else timer_of(runs, out)


def open_comparison(asked: Asked) -> Timer | None:
    """Checks the directory once more, and writes what is compared, before anything is trained.

    Returns the processor whose minutes are counted, if any were yet.
    """
    timer = check_directory(asked)
    convert_runs(asked.config.out)
    write_json(asked.config.out / ABOUT, {"format": FORMAT, **asked.about})
    return timer


def finish_comparison(out: Path, family: TaskFamily) -> None:
    """Writes results and page from all runs there are."""
    about, runs = read_json(out / ABOUT), read_runs(out)
    results = summarise_methods(runs)
    content = {**about, "methods": [named(vars(result)) for result in results], "cells": [asdict(run) for run in runs]}
    bins = by_parameter(runs, family)
    write_json(out / RESULTS, {**content, "by_parameter": [each._asdict() for each in bins]})
    write_page(out / PAGE, about, results, runs=runs, bins=bins)


def named(value: Any) -> Any:
    """Returns named tuples within mappings as mappings, so that JSON says which number is which."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        value = value._asdict()
    return {name: named(part) for name, part in value.items()} if isinstance(value, dict) else value


def family_of(config: CompareConfig) -> TaskFamily:
    """Returns the family, with the tasks to train on that are asked for."""
    return named_family(config.family, config.family_file, config.variant).with_train_tasks(config.train_tasks)


def checked_methods(config: CompareConfig, family: TaskFamily) -> list[str]:
    """Returns the methods asked for, each once, the user's own, and random actions."""
    episodes = config.episodes or family.episodes_per_trial
    own = add_own(config.method_files)
    for name in config.methods:
        if name not in METHODS:
            raise InputError(f"method is {name!r}, expected some of {', '.join(METHODS)}")
        check_installed(name)
        if name == "rma" and not family.parameters:
            raise InputError(f"method rma needs tasks that differ, and {family.name} has no parameters")
        if episodes < METHODS[name].min_episodes:
            raise InputError(f"episodes is {episodes}, expected at least {METHODS[name].min_episodes} for {name}")
    return list(dict.fromkeys((*config.methods, *own, "random")))


def check_same(out: Path, about: dict[str, Any]) -> None:
    """Raises InputError where the directory holds another comparison."""
    if not (out / ABOUT).is_file():
        return
    kept = read_json(out / ABOUT)
    kept = {"clock": "wall" if kept.get("minutes") else None, **kept}  # as before there was a choice
    for name, value in about.items():
        if kept.get(name) != value:
            raise InputError(f"{out} holds a comparison whose {name} is {kept.get(name)}, expected {value} as here")


def job_of(
    method: str,
    seed: int,
    asked: Asked,
    *,
    timer: Timer | None,
    console: Console,
    there: CompareConfig | None = None,
    comparison: str = "",
) -> Job[TrainingRun]:
    """Returns the training of a method by a seed; its file is written when it is over.

    timer: whose minutes are counted. there: the configuration where it is trained, unless that is here. comparison: its
    name, where there are several.
    """
    config = asked.config
    name = f"{comparison}: {method}, seed {seed}" if comparison else f"{method}, seed {seed}"

    def keep(run: TrainingRun) -> None:
        write_run(config.out, run)
        final = float(interquartile_mean(finals([run]).ravel()))
        spent = f"{run.looks[-1].seconds:.0f} s, {run.looks[-1].steps:,} steps"
        told = f"{name}: {spent}, IQM of the return in the last episode {final:.1f}"
        console.print(told, highlight=False, soft_wrap=True)

    work = partial(
        train_method,
        method,
        seed,
        there or config,
        tuned=tuned_for(method, asked.presets),
        timer=timer,
        expected=hash_of(asked.settings(method, seed)),
    )
    return Job(name, work, keep)


def is_missing(method: str, seed: int, out: Path) -> bool:
    """Returns whether a training is yet to be done; random actions have one seed."""
    return not run_file(out, method, seed).is_file() and (method != "random" or seed == 0)


def train_method(
    name: str, seed: int, config: CompareConfig, *, tuned: Mapping[str, Any], timer: Timer | None, expected: str
) -> TrainingRun:
    """Trains, with what was tuned for the method, and returns what came of it.

    timer: whose minutes are counted, if there is any yet. expected: `hash_of` its settings. Raises InputError for
    others: the user's own files changed meanwhile, or this machine has other code.
    """
    if name not in METHODS:  # on another machine, where nothing was checked
        add_own(config.method_files)
    setting = setting_of(name, seed, config, family=family_of(config), tuned=tuned)
    resolved = training_settings(name, setting, config)
    if hash_of(resolved) != expected:
        what = config.family_file or "the code of settings"
        raise InputError(f"{what} was changed since the comparison began, expected it as it was")
    pace = timer.pace(name, here=cpu_model()) if timer else None
    with threads_for(config.steps), of_own(METHODS[name]):
        return trained(name, setting, config, resolved=resolved, pace=pace)


def trained(
    name: str, setting: Setting, config: CompareConfig, *, resolved: Mapping[str, Any], pace: Pace | None
) -> TrainingRun:
    """Trains, with looks at held-out tasks on the way, and plays all splits at the end.

    resolved: `training_settings`, as they are when it begins. pace: by which minutes are counted, unless by the clock.
    """
    family, method = setting.family, METHODS[name]

    def trials(split: str, episodes: int = setting.episodes) -> TrialEnv:
        return TrialEnv(
            family,
            config.num_tasks,
            episodes,
            horizon=setting.horizon,
            split=split,
            seed=TASK_SEED,
            observe_task=method.observes_task,
        )

    heldout = trials("heldout")
    steps = config.steps and round(config.steps * method.budget)
    seconds, clock = 60 * config.minutes * method.budget, CLOCKS[config.clock]
    timed = TimedTraining(heldout, TASK_SEED, seconds, LOOKS, clock=clock, steps=steps, pace=pace)
    make_act = TRAIN[name](setting, timed)
    heldout.close()
    if not callable(make_act):
        raise InputError(f"{shortened(make_act)} was returned, expected a function that makes the policy act")
    if not timed.looks:
        raise InputError("no look was taken, expected timed.run or timed.look to be called")
    splits = [split for split in family.task_space.splits if split != VALIDATION]  # nothing is chosen here
    returns = {split: split_returns(trials(split), make_act) for split in splits}
    consumed = [
        Consumed(count, [trial[-1] for trial in split_returns(trials("heldout", count + 1), make_act)])
        for count in (CONSUMED if method.by_gradient else ())
    ]
    longer = split_returns(trials("heldout", max(setting.episodes, LONGER)), make_act)
    within = how_trials_go(trials("heldout"), make_act, longer)
    provenance = provenance_of(resolved)
    return TrainingRun(name, setting.seed, cpu_model(), timed.looks, returns, consumed, provenance, within, pace)


def how_trials_go(env: TrialEnv, make_act: MakeAct, longer: list[list[float]]) -> Trials:
    """Returns what is told of trials step by step: rewards, and what the memory knows where it was taught to tell."""
    act = make_act.guessing(env) if isinstance(make_act, Ours) else make_act(env)
    rewards = rewards_on(env, TASK_SEED, act).mean(axis=0).round(4).tolist()
    env.close()
    errors = [round(error, 4) for error in act.errors] if isinstance(act, GuessingActor) else []
    return Trials(env.task_env.robot.control_timestep, rewards, longer, errors)


def split_returns(env: TrialEnv, make_act: MakeAct) -> list[list[float]]:
    returns: list[list[float]] = returns_on(env, TASK_SEED, make_act).tolist()
    env.close()
    return returns
