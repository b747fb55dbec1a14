"""Two network namespaces, joined by a cable, in the place of two hosts."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ADDRESSES = ("10.213.7.1", "10.213.7.2")
CABLE = "cable"


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True, timeout=30)


@contextmanager
def two_hosts() -> Iterator[list[str]]:
    """Their names; skips the test where none can be made."""
    if os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("two hosts are two network namespaces, which root makes with the command ip")
    names = [f"limbshift-{os.getpid()}-{number}" for number in range(2)]
    try:
        for name in names:
            ip("netns", "add", name)
        ends = ("name", CABLE, "netns", names[0], "type", "veth", "peer", "name", CABLE, "netns", names[1])
        ip("link", "add", *ends)
        for name, address in zip(names, ADDRESSES, strict=True):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", CABLE)
            for link in ("lo", CABLE):
                ip("-n", name, "link", "set", link, "up")
    except subprocess.CalledProcessError as error:
        remove(names)
        pytest.skip(f"this system makes no network namespaces: {error.stderr.strip()}")
    try:
        yield names
    finally:
        remove(names)


def remove(names: Sequence[str]) -> None:
    for name in names:
        subprocess.run(["ip", "netns", "del", name], capture_output=True, timeout=30)


def train_on(host: str, rank: int, arguments: Sequence[str]) -> "subprocess.Popen[str]":
    """Starts a rank on each host, by torchrun."""
    program = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--node-rank", str(rank)]
    meeting = ["--nproc-per-node", "1", "--master-addr", ADDRESSES[0], "--master-port", "29517"]
    command = ["-m", "limbshift.experiments.cli", "train", *arguments]
    return subprocess.Popen(
        ["ip", "netns", "exec", host, *program, *meeting, *command],
        cwd=ROOT,
        env={**os.environ, "GLOO_SOCKET_IFNAME": CABLE, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
