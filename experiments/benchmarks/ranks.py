"""Meta-training by two ranks, each on a core of its own, beside one rank on one core."""

import multiprocessing
import os
import socket
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import replace

from limbshift.envs.family import TaskFamily
from limbshift.envs.physics.cores import available_cores, keep_to
from limbshift.experiments.benchmarks.config import BenchConfig
from limbshift.experiments.benchmarks.measure import Outcome, rates_of
from limbshift.experiments.benchmarks.training import CORES, WARM_UP, trainer_of
from limbshift.experiments.runs.families import named_family
from limbshift.meta.ranks.alone import ALONE, Ranks
from limbshift.meta.ranks.together import Together
from limbshift.meta.rl2.trainer import Trainer

_trainers: list[Trainer] = []
"""Of a process that plays a rank."""


def two_ranks_beside_one(family: TaskFamily, config: BenchConfig) -> Outcome:
    """Measures env steps a second of two ranks together; each has as many trials as the one alone."""
    config = replace(config, family="" if config.family_file else family.name)
    cores, context = available_cores()[:CORES], multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        pair = [stack.enter_context(ProcessPoolExecutor(1, context)) for _ in cores]
        alone = stack.enter_context(ProcessPoolExecutor(1, context))
        port = free_port()
        begun = [pair[rank].submit(begin, config, core, rank=rank, port=port) for rank, core in enumerate(cores)]
        begun.append(alone.submit(begin, config, cores[0], rank=None, port=port))
        *_, steps = [each.result() for each in begun]
        rounds = [(slowest(pair), slowest([alone])) for _ in range(config.rounds + WARM_UP)][WARM_UP:]
        for ended in [each.submit(end) for each in (*pair, alone)]:
            ended.result()
    return rates_of([(both / CORES, one) for both, one in rounds], steps)


def slowest(processes: Sequence[ProcessPoolExecutor]) -> float:
    """Returns the seconds of an iteration of these ranks: those of the one that took longest."""
    return max(running.result() for running in [process.submit(iterate) for process in processes])


def begin(config: BenchConfig, core: int, *, rank: int | None, port: int) -> int:
    """Makes this process a rank, or one that learns alone; returns the env steps of its iterations."""
    keep_to([core])
    ranks: Ranks = ALONE
    if rank is not None:
        meeting = {"RANK": rank, "WORLD_SIZE": CORES, "MASTER_ADDR": "localhost", "MASTER_PORT": port}
        os.environ.update({name: str(value) for name, value in meeting.items()})
        ranks = Together()
    family = named_family(config.family, config.family_file)
    _trainers.append(trainer_of(family, config, ranks=ranks))
    return _trainers[0].env.num_envs * _trainers[0].env.steps_per_trial


def iterate() -> float:
    """Returns the seconds of this process's next iteration."""
    return _trainers[0].iterate(0.0).seconds


def end() -> None:
    """Leaves the other ranks."""
    _trainers[0].env.close()
    _trainers[0].ranks.leave()


def free_port() -> int:
    """Returns a port of this machine that nobody listens at."""
    with socket.socket() as listening:
        listening.bind(("localhost", 0))
        return int(listening.getsockname()[1])
