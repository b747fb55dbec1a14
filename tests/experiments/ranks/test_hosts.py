"""Ranks on two hosts, as network namespaces stand for them: they learn as one, and none is left waiting."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from limbshift.experiments.logs.logger import METRICS_FILE
from limbshift.experiments.logs.metrics_file import read_metrics
from limbshift.meta.checkpoint import load_checkpoint
from tests.experiments.ranks.hosts import CABLE, ip, train_on, two_hosts

pytestmark = pytest.mark.slow

OPTIONS = ["--num-envs", "4", "--episodes", "2", "--horizon", "5", "--hidden-size", "8", "--wandb", "disabled"]
TRIAL_STEPS = 2 * 4 * 2 * 5
"""Of an iteration of both ranks."""


@pytest.fixture(scope="module")
def hosts() -> Iterator[list[str]]:
    with two_hosts() as names:
        yield names


def until_it_learns(run: Path) -> None:
    end = time.monotonic() + 120
    while not ((run / METRICS_FILE).exists() and len(read_metrics(run / METRICS_FILE)) > 3):
        assert time.monotonic() < end
        time.sleep(0.2)


def our_lines(text: str) -> list[str]:
    """What torchrun adds aside."""
    return [line for line in text.splitlines() if line.startswith("limbshift: ")]


def test_two_hosts_learn_as_one(hosts: list[str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = ["HalfCheetahDir", "--run-dir", str(run), "--steps", str(3 * TRIAL_STEPS), *OPTIONS]
    started = [train_on(host, rank, options) for rank, host in enumerate(hosts)]
    said = [process.communicate(timeout=240) for process in started]
    assert [process.returncode for process in started] == [0, 0], said
    assert said[0][0].startswith("2 ranks of 4 trials each, ")
    assert said[1][0] == ""
    steps = [row["step"] for row in read_metrics(run / METRICS_FILE) if "train/minutes" in row]
    assert steps == [TRIAL_STEPS * number for number in (1, 2, 3)]
    state = load_checkpoint(run / "checkpoint.pt")
    assert state["task_index"].tolist() == [16, 17, 18, 19]  # of 8 trials in each of 3 iterations
    assert len(state["ranks"]) == 1


def pull(hosts: list[str]) -> None:
    ip("-n", hosts[1], "link", "set", CABLE, "down")


def kill(hosts: list[str]) -> None:
    """Ends the rank, as opposed to its torchrun, on the second host."""
    found = subprocess.run(["ip", "netns", "pids", hosts[1]], capture_output=True, text=True, check=True).stdout.split()
    ranks = [pid for pid in found if b"RANK=1" in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")]
    for pid in ranks:
        os.kill(int(pid), signal.SIGKILL)


@pytest.mark.parametrize(
    ("harm", "told"),
    [(pull, "limbshift: rank 1 is not heard of any more"), (kill, "limbshift: rank 1 of 2 ended without a word")],
)
def test_a_host_that_is_gone_ends_the_run_within_a_minute(
    hosts: list[str], tmp_path: Path, harm: Callable[[list[str]], None], told: str
) -> None:
    run = tmp_path / "run"
    options = ["HalfCheetahDir", "--run-dir", str(run), "--minutes", "10", *OPTIONS]
    started = [train_on(host, rank, options) for rank, host in enumerate(hosts)]
    try:
        until_it_learns(run)
        harm(hosts)
        begun = time.monotonic()
        said = [process.communicate(timeout=120)[1] for process in started]
        assert time.monotonic() - begun < 60
        assert [process.returncode for process in started] == [1, 1]
        assert [line[: len(told)] for line in our_lines(said[0])] == [told]
    finally:
        ip("-n", hosts[1], "link", "set", CABLE, "up")
        for process in started:
            process.kill()


def test_ranks_with_other_settings_are_refused(hosts: list[str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = ["HalfCheetahDir", "--run-dir", str(run), "--steps", "1", *OPTIONS]
    started = [
        train_on(host, rank, [*options, "--gamma", gamma])
        for rank, (host, gamma) in enumerate(zip(hosts, ("0.9", "0.95"), strict=True))
    ]
    said = [our_lines(process.communicate(timeout=120)[1]) for process in started]
    assert [process.returncode for process in started] == [1, 1]
    (line,) = said[0] + said[1]
    assert line.startswith("limbshift: gamma on rank 1 (")
    assert line.endswith(") is 0.95, expected 0.9 as on rank 0")
    assert not (run / "config.json").exists()
