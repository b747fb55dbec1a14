"""Under load: memory, threads and open files stay as they are, however long it lasts and however much is asked for."""

import gc
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

import limbshift
from limbshift.envs.catalogue import make_family
from limbshift.meta.rl2.build import make_trainer

ROOT = Path(__file__).parents[2]
MEBIBYTE = 2**20


class Held(NamedTuple):
    """What this process holds."""

    memory: float
    """Resident, MiB."""
    threads: int
    files: int


def held() -> Held:
    gc.collect()
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return Held(resident / MEBIBYTE, len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd")))


def assert_no_more(after: Held, before: Held, mebibytes: float) -> None:
    print(f"before {before}, after {after}")
    assert after.memory < before.memory + mebibytes
    assert after.threads <= before.threads
    assert after.files <= before.files


@pytest.mark.slow
def test_thousands_of_trials_are_trained_for_half_an_hour_on_what_the_first_took() -> None:
    """4,096 trials of 2 x 5 steps: 41 thousand env steps in each iteration."""
    trainer = make_trainer(make_family("HalfCheetahLimbsDir"), num_envs=4096, episodes=2, horizon=5, hidden_size=32)
    for _ in range(3):
        trainer.iterate(0.0)
    before, start, iterations = held(), time.monotonic(), 0
    while time.monotonic() - start < 1800:
        trainer.iterate(0.5)
        iterations += 1
    assert iterations > 5
    assert_no_more(held(), before, mebibytes=16)
    trainer.env.close()


def make_and_close(times: int) -> None:
    for number in range(times):
        trials = limbshift.make_trials("HalfCheetahLimbs", num_envs=4, horizon=5, seed=number)
        trials.reset()
        trials.step(torch.zeros(4, 6).numpy())
        trials.close()


@pytest.mark.slow
def test_a_thousand_envs_are_made_and_closed_without_a_trace() -> None:
    make_and_close(50)
    before = held()
    make_and_close(1000)
    assert_no_more(held(), before, mebibytes=16)


EVALUATE = """
import resource, sys, limbshift
result = limbshift.evaluate("HalfCheetahLimbs", num_tasks=int(sys.argv[1]), episodes=2, horizon=5)
assert len(result.returns) == len(result.tasks) == int(sys.argv[1])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def peak_of(num_tasks: int) -> float:
    """The most memory, MiB, that an evaluation of so many tasks takes."""
    command = [sys.executable, "-c", EVALUATE, str(num_tasks)]
    return float(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


@pytest.mark.slow
def test_ten_thousand_tasks_are_evaluated_in_the_memory_of_a_thousand() -> None:
    few, many = peak_of(1000), peak_of(10_000)
    print(f"{few:.0f} MiB for 1,000 tasks, {many:.0f} MiB for 10,000")
    assert many < few + 64
