"""Where a training is one of several ranks: that they share a host's cores, agree, and end with one line."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import torch

from limbshift.envs.errors import InputError, RunFailure
from limbshift.envs.family import TaskFamily
from limbshift.envs.physics.cores import available_cores
from limbshift.envs.physics.models import digest_of
from limbshift.experiments.configs import TrainConfig
from limbshift.experiments.ranks.cores import Place, keeping_to, share_of
from limbshift.experiments.ranks.environment import started_ranks
from limbshift.experiments.runs.resume import lasting_settings
from limbshift.meta.ranks.alone import ALONE, Ranks
from limbshift.meta.ranks.errors import RankError
from limbshift.meta.ranks.together import Together

PACKAGES = ("limbshift", "torch", "mujoco", "gymnasium")
"""Which ranks must have in the same version."""


class Joined(NamedTuple):
    """A rank among the others."""

    ranks: Ranks = ALONE
    place: Place = Place()
    num_cores: int = 0
    """Of the host, for all its ranks."""


@contextmanager
def joined(config: TrainConfig) -> Iterator[Joined]:
    """Makes this process one of the ranks that were started, with its share of the cores; alone where none were.

    What ends the block for one ends it for all, and one of them raises what it was; the others raise SystemExit.
    """
    if not (started := started_ranks()):
        yield Joined()
        return
    if config.ranks not in (None, started):
        raise InputError(f"ranks is {config.ranks}, expected {started}, as many as were started")
    together = Together(cuda=torch.cuda.is_available() and config.device != "cpu")
    try:
        place, cores = _place(together)
        with keeping_to(share_of(cores, place)):
            yield Joined(together, place, len(cores))
    except RankError as error:
        lost = together.name_lost()  # whoever knows more has told it by then
        if together.is_first_to_tell():
            raise RunFailure(f"{lost} ended without a word, expected all to go on: {error}") from error
        raise SystemExit(1) from error
    except (InputError, RunFailure, OSError, KeyboardInterrupt) as error:
        if together.is_first_to_tell():
            raise
        raise SystemExit(2 if isinstance(error, InputError) else 1) from error
    finally:
        together.leave()


def about_ranks(rank: Joined, config: TrainConfig) -> list[str]:
    """Returns a line on how many ranks learn, where there are several, and a warning where cores are fewer."""
    ranks, (_, beside), cores = rank
    if ranks.size == 1:
        return []
    lines = [f"{ranks.size} ranks of {config.num_envs} trials each, {beside} of them on the {cores} cores of this host"]
    return [*lines, f"{beside} ranks share {cores} cores: fewer ranks are faster"] if beside > cores else lines


def check_same(ranks: Ranks, config: TrainConfig, family: TaskFamily) -> None:
    """Raises InputError on a rank whose settings, robot or packages differ from those of rank 0."""
    if ranks.size == 1:
        return
    own = {
        **lasting_settings(config),
        **{name: str(getattr(config, name)) for name in ("device", "precision")},
        "robot": digest_of(family.robot.model),
        **{f"version of {name}": _version(name) for name in PACKAGES},
    }
    for name, value in ranks.share(own).items():
        if own.get(name) != value:
            where = f"rank {ranks.rank} ({socket.gethostname()})"
            raise InputError(f"{name} on {where} is {own.get(name)}, expected {value} as on rank 0")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # as in a checkout that is not installed
        return "unknown"


def _machine() -> str:
    """Returns what tells this machine from others, which may have its name."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    return boot.read_text().strip() if boot.is_file() else socket.gethostname()


def _place(ranks: Ranks) -> tuple[Place, list[int]]:
    """Returns a rank's place among those of the same cores, and these."""
    cores = available_cores()
    hosts = ranks.gather({"machine": _machine(), "cores": cores})
    beside = [rank for rank, host in enumerate(hosts) if host == hosts[ranks.rank]]
    return Place(beside.index(ranks.rank), len(beside)), cores
