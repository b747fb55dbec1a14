"""Speed on this machine, as ratios of things measured in one run: all that is measured, by name, and the command."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from importlib.util import find_spec

from rich.console import Console

from limbshift.agents.atomic_write import check_writable
from limbshift.envs.errors import InputError
from limbshift.envs.physics.cores import available_cores
from limbshift.experiments.benchmarks import learning, peers, physics, ranks, scale, training
from limbshift.experiments.benchmarks.config import BenchConfig
from limbshift.experiments.benchmarks.gpu.suite import run_gpu_bench
from limbshift.experiments.benchmarks.latency import run_latency
from limbshift.experiments.benchmarks.measure import Measure, Taken
from limbshift.experiments.benchmarks.report import content, line, speed_table
from limbshift.experiments.machine import machine
from limbshift.experiments.runs.directory import write_json
from limbshift.experiments.runs.families import named_family
from limbshift.experiments.terminal import make_console

INSTALL = {"envpool": "pip install '.[bench]'", "sb3_contrib": "pip install '.[sb3]'"}
"""What brings a package that may be missing."""
MASSES, DIRECTION, ANT = "HalfCheetahLimbs", "HalfCheetahDir", "AntDir"
MEASURES: Mapping[str, Measure] = {
    "trials": Measure(
        "trials",
        "bare steps of the simulator",
        0.92,
        physics.trials_beside_bare_physics,
        MASSES,
        any_family=True,
        on_warp=True,
    ),
    "envpool": Measure(
        "trials",
        "EnvPool's HalfCheetah",
        1.8,
        peers.trials_beside_envpool,
        MASSES,
        package="envpool",
    ),
    "ant": Measure(
        "trials, our integrator",
        "EnvPool's Ant",
        3.0,
        peers.ants_beside_envpool,
        ANT,
        package="envpool",
    ),
    "ant-gymnasium": Measure(
        "trials, Gymnasium's integrator",
        "EnvPool's Ant",
        1.2,
        peers.gymnasiums_ants_beside_envpool,
        ANT,
        package="envpool",
    ),
    "gymnasium-sync": Measure(
        "trials",
        "Gymnasium's SyncVectorEnv of HalfCheetah",
        3.0,
        partial(peers.trials_beside_gymnasium, mode="sync"),
        MASSES,
        share=4,
    ),
    "gymnasium-async": Measure(
        "trials",
        "Gymnasium's AsyncVectorEnv of HalfCheetah",
        15.0,
        partial(peers.trials_beside_gymnasium, mode="async"),
        MASSES,
        share=4,
    ),
    "make-vec": Measure(
        "gym.make_vec",
        "EnvPool's HalfCheetah",
        1.7,
        peers.vector_env_beside_envpool,
        MASSES,
        package="envpool",
    ),
    "single": Measure(
        "gym.make",
        "Gymnasium's HalfCheetah",
        1.0,
        peers.env_beside_gymnasiums,
        MASSES,
        share=64,
    ),
    "overlap": Measure(
        "meta-training, overlapped",
        "meta-training in turn, by whole trials",
        1.7,
        training.overlapped_beside_plain,
        DIRECTION,
        any_family=True,
        on_warp=True,
    ),
    "cores": Measure(
        "meta-training on two cores",
        "meta-training on one core",
        1.7,
        partial(training.cores_beside_one, overlap=False),
        DIRECTION,
        any_family=True,
        cores=training.CORES,
    ),
    "cores-overlap": Measure(
        "meta-training on two cores, overlapped",
        "the same on one core",
        1.7,
        partial(training.cores_beside_one, overlap=True),
        DIRECTION,
        any_family=True,
        cores=training.CORES,
    ),
    "ranks": Measure(
        "meta-training by two ranks on two cores",
        "by one rank on one core",
        1.8,
        ranks.two_ranks_beside_one,
        DIRECTION,
        any_family=True,
        cores=training.CORES,
    ),
    "recurrent-ppo": Measure(
        "meta-training",
        "RecurrentPPO of sb3-contrib",
        8.0,
        training.ours_beside_recurrent_ppo,
        DIRECTION,
        any_family=True,
        default=False,
        package="sb3_contrib",
    ),
    "recurrent-ppo-few": Measure(
        "meta-training",
        "RecurrentPPO of sb3-contrib",
        12.0,
        training.ours_beside_recurrent_ppo,
        DIRECTION,
        any_family=True,
        share=4,
        package="sb3_contrib",
    ),
    "worlds": Measure(
        "an env step among 64 times as many trials",
        "an env step",
        1.1,
        scale.many_beside_few,
        MASSES,
        better="less",
        any_family=True,
    ),
    "learn": Measure(
        "time to a return of 250, overlapped",
        "time to it in turn, by whole trials",
        0.6,
        partial(learning.overlapped_beside_plain, goal=250.0),
        DIRECTION,
        better="less",
        default=False,
        cores=training.CORES,
    ),
    "learn-recurrent-ppo": Measure(
        "time to a return of 100",
        "RecurrentPPO's",
        0.1,
        partial(learning.ours_beside_recurrent_ppo, goal=100.0),
        DIRECTION,
        better="less",
        default=False,
        package="sb3_contrib",
    ),
}


def chosen(config: BenchConfig) -> tuple[str, ...]:
    """Returns the names of what is to be measured; InputError for a measure or a family that cannot be had."""
    if config.family or config.family_file:
        named_family(config.family, config.family_file)
    for name in config.measures:
        if name not in MEASURES:
            raise InputError(f"measures has {name!r}, expected one of {', '.join(MEASURES)}")
        if reason := refusal(name, config) or missing(name):
            raise InputError(f"measure {name} cannot be taken: {reason}")
    by_default = (name for name, measure in MEASURES.items() if measure.default and not refusal(name, config))
    return tuple(dict.fromkeys(config.measures or by_default))


def refusal(name: str, config: BenchConfig) -> str | None:
    """Returns why a measure is not of what is asked for; None where it is."""
    measure = MEASURES[name]
    if (config.family_file or config.family not in ("", measure.family)) and not measure.any_family:
        return f"it is of {measure.family}, expected no other family"
    if config.physics == "warp" and not measure.on_warp:
        return "it is of MuJoCo on CPU threads, expected no --physics warp"
    return None


def missing(name: str) -> str | None:
    """Returns what a measure lacks here; None where it can be taken."""
    measure = MEASURES[name]
    if measure.package and find_spec(measure.package) is None:
        return f"{measure.package} is not installed: {INSTALL[measure.package]}"
    if len(available_cores()) < measure.cores:
        return f"this process has fewer than {measure.cores} cores"
    return None


def run_bench(config: BenchConfig, console: Console | None = None) -> None:
    """Runs the command."""
    console = console or make_console()
    if config.json:
        check_writable(config.json)
    if config.gpu:
        run_gpu_bench(config, console=console)
        return
    if config.latency:
        run_latency(config, console=console)
        return
    names, taken, before = chosen(config), [], machine()
    left_out = {name: reason for name in names if (reason := missing(name))}
    console.print(f"trials of {config.episodes} x {config.horizon}, medians of {config.rounds} rounds", highlight=False)
    for name in names:
        if name not in left_out:
            taken.append(take(name, config))
            for told in (line(taken[-1]), *taken[-1].outcome.notes):
                console.print(told, highlight=False, soft_wrap=True)
    console.print(speed_table(taken))
    for reason in dict.fromkeys(left_out.values()):
        without = ", ".join(name for name, own in left_out.items() if own == reason)
        console.print(f"left out: {without}: {reason}", highlight=False, soft_wrap=True)
    if config.json:
        write_json(config.json, content(taken, left_out, config, machine=before))
        console.print(f"all figures in {config.json}", highlight=False, soft_wrap=True)


def take(name: str, config: BenchConfig) -> Taken:
    """Takes a measure."""
    measure = MEASURES[name]
    family = named_family(config.family or ("" if config.family_file else measure.family), config.family_file)
    num_envs = measure.num_envs(config)
    return Taken(name, measure, family.name, num_envs, measure.run(family, replace(config, num_envs=num_envs)))
