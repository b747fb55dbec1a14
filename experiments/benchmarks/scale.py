"""What more trials cost: time for each step, and memory for each trial."""

import multiprocessing
import os
import resource
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median

from limbshift.envs.family import TaskFamily
from limbshift.envs.trial_env import TrialEnv
from limbshift.experiments.benchmarks.config import BenchConfig
from limbshift.experiments.benchmarks.measure import Outcome
from limbshift.experiments.benchmarks.physics import random_actions, trial_seconds
from limbshift.experiments.runs.families import named_family
from limbshift.meta.threads import torch_threads

TIMES = (1, 8, 64)
"""By which the benchmark's number of trials is multiplied: the first and the last are timed."""
SHORTENED = 4
"""Episodes are shorter by this, or a round would take minutes."""
REPEATED = 8
"""How often the few are played in a round, since they are over soon."""
NANOSECONDS = 1e9
"""Of a second."""


def many_beside_few(family: TaskFamily, config: BenchConfig) -> Outcome:
    """Measures the cost of an env step among many trials beside that among few, and the memory of a trial."""
    few_nanoseconds, many_nanoseconds = step_costs(family, config)
    counts = [times * config.num_envs for times in TIMES]
    resident = [resident_bytes(family, config, count) for count in counts]
    first, second = ((resident[i + 1] - resident[i]) / (counts[i + 1] - counts[i]) for i in range(2))
    few, between, many = (f"{count:,}" for count in counts)
    return Outcome(
        "ns per env step",
        median(many_nanoseconds),
        median(few_nanoseconds),
        tuple(many / few for many, few in zip(many_nanoseconds, few_nanoseconds, strict=True)),
        (
            f"memory of a trial: {second:,.0f} bytes from {between} to {many} trials, {first:,.0f} from {few} to"
            f" {between}",
        ),
        {"bytes_per_trial": second, "bytes_per_trial_among_fewer": first},
    )


def step_costs(family: TaskFamily, config: BenchConfig) -> tuple[list[float], list[float]]:
    """Returns nanoseconds of an env step among few and among many trials, for each round; a first one warms up."""
    horizon = max(1, config.horizon // SHORTENED)
    few, many = (TrialEnv(family, times * config.num_envs, config.episodes, horizon=horizon) for times in TIMES[::2])
    few_actions, many_actions = random_actions(few), random_actions(many)
    rounds = []
    with torch_threads(1):
        for _ in range(config.rounds + 1):
            seconds = sum(trial_seconds(few, few_actions) for _ in range(REPEATED)) / REPEATED
            rounds.append((seconds / few.num_envs, trial_seconds(many, many_actions) / many.num_envs))
    for env in (few, many):
        env.close()
    of_few, of_many = zip(*rounds[1:], strict=True)
    scale = NANOSECONDS / few.steps_per_trial
    return [scale * seconds for seconds in of_few], [scale * seconds for seconds in of_many]


def resident_bytes(family: TaskFamily, config: BenchConfig, num_envs: int) -> int:
    """Returns the memory of a process of its own that plays so many trials."""
    name = "" if config.family_file else family.name
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(resident_while_playing, name, config.family_file, num_envs).result()


def resident_while_playing(name: str, family_file: str | None, num_envs: int) -> int:
    """Plays a few steps of so many trials, and returns the bytes of this process that are in memory."""
    env = TrialEnv(named_family(name, family_file), num_envs, 2, horizon=2)
    trial_seconds(env, random_actions(env))
    memory = resident_memory()
    env.close()
    return memory


def resident_memory() -> int:
    """Returns the bytes of this process that are in memory; where the system does not tell, the most so far."""
    pages = Path("/proc/self/statm")
    if pages.is_file():
        return int(pages.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most  # macOS counts bytes, others KiB
