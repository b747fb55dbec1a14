"""Speed by numbers of worlds, and the time that learning takes: for a machine with a GPU."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from limbshift.envs.catalogue import make_family
from limbshift.envs.errors import InputError
from limbshift.envs.family import TaskFamily
from limbshift.envs.physics import EngineName
from limbshift.experiments.benchmarks.config import BenchConfig
from limbshift.experiments.benchmarks.gpu.rates import Learning, Rates, described, gpu_name, rates, time_to_learn
from limbshift.experiments.machine import machine
from limbshift.experiments.runs.devices import choose_device
from limbshift.experiments.runs.directory import write_json
from limbshift.experiments.runs.families import named_family

FORMAT = 1
"""Of the JSON."""
FAMILIES = ("HalfCheetahDir", "AntDir")
"""Measured unless another is asked for: a robot that is mostly in the air, and one that is always on the ground."""
LEARNED, LEARNING_WORLDS, LONGER = "HalfCheetahDir", 1024, 2
"""The family of which learning is timed, with how many worlds at most, and how much longer its episodes are."""
SHARES = ("physics", "policy", "update")
"""Of the time of training."""
MOST_ON_CPU = 1024
"""Worlds that MuJoCo is measured with, beside the first family: more are no faster there, and take minutes."""


@dataclass(frozen=True)
class Rows:
    """What was measured of a family on a simulator."""

    family: str
    physics: EngineName
    rows: Sequence[Rates]
    out_of_memory: Sequence[int]
    """Numbers of worlds that the device has no room for."""


def run_gpu_bench(config: BenchConfig, *, console: Console) -> None:
    """Prints a table for each family and simulator, and how long learning takes; writes the JSON."""
    if config.device == "auto" and not torch.cuda.is_available():
        raise InputError(
            "bench --gpu found no CUDA device, expected one, or --device cpu with small --worlds to try it"
        )
    name = gpu_name(choose_device(config.device))
    shape = f"trials of {config.episodes} x {config.horizon}"
    console.print(f"{shape}, network on {name or 'the CPU, which says nothing of a GPU'}", highlight=False)
    speed, before = [], machine()
    for rows in all_rows(config):
        speed.append(rows)
        console.print(speed_table(rows))
    worlds = min(LEARNING_WORLDS, max(config.worlds))
    learning = time_to_learn(
        "warp", make_family(LEARNED), worlds, config=replace(config, horizon=LONGER * config.horizon)
    )
    console.print(learning_sentence(described(learning)), highlight=False, soft_wrap=True)
    if config.json:
        write_json(config.json, content(speed, learning, config, about={"gpu": name, "machine": before}))
        console.print(f"all figures in {config.json}", highlight=False, soft_wrap=True)


def all_rows(config: BenchConfig) -> Iterator[Rows]:
    """Measures each family on MuJoCo Warp, and the first on MuJoCo too."""
    for number, family in enumerate(families_of(config)):
        yield rows_of("warp", family, config.worlds, config=config)
        if not number:
            few = [worlds for worlds in config.worlds if worlds <= MOST_ON_CPU]
            yield rows_of("mujoco", family, few, config=config)


def families_of(config: BenchConfig) -> list[TaskFamily]:
    """Returns the families that are measured."""
    if config.family or config.family_file:
        return [named_family(config.family, config.family_file)]
    return [make_family(name) for name in FAMILIES]


def rows_of(physics: EngineName, family: TaskFamily, worlds: Sequence[int], *, config: BenchConfig) -> Rows:
    """Measures numbers of worlds."""
    found, too_many = [], []
    for count in worlds:
        try:
            found.append(rates(physics, family, count, config=config))
        except torch.OutOfMemoryError:
            too_many.append(count)
    return Rows(family.name, physics, found, too_many)


def speed_table(rows: Rows) -> Table:
    """Returns a table with a row for each number of worlds."""
    title = f"{rows.family}, physics on {rows.physics}, env steps/s: alone, with inference, with training"
    table = Table(title=title, title_justify="left")
    for column in ("worlds", "alone", "inference", "training", *SHARES, "GiB"):
        table.add_column(column, justify="right")
    for row in rows.rows:
        speeds = (row.physics, row.inference, row.training)
        shares = [f"{row.shares[name]:.0%}" for name in SHARES]
        table.add_row(f"{row.worlds:,}", *(f"{speed:,.0f}" for speed in speeds), *shares, f"{row.memory:.1f}")
    for count in rows.out_of_memory:
        table.add_row(f"{count:,}", "out of memory")
    return table


def learning_sentence(learning: dict[str, Any]) -> str:
    """Says how long it took to learn, of what the JSON holds of it."""
    goal, worlds, steps = learning["goal"], learning["worlds"], learning["steps"]
    told = f"{goal:g}" if learning["reached"] else f"{learning['best']:.0f} of {goal:g}"
    return (
        f"{learning['family']} on {learning['physics']}, trials of {learning['episodes']} x {learning['horizon']}:"
        f" return {told} after {learning['seconds']:.1f} s, {steps:,} steps of {worlds:,} worlds"
    )


def content(
    speed: Sequence[Rows], learning: Learning, config: BenchConfig, *, about: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns what the JSON holds; about: GPU and machine. Notes are for what is added by hand."""
    return {
        "format": FORMAT,
        "date": datetime.now(UTC).date().isoformat(),
        **about,
        "cuda": torch.version.cuda,
        "episodes": config.episodes,
        "horizon": config.horizon,
        "speed": [asdict(rows) for rows in speed],
        "learning": [described(learning)],
        "notes": {"speed": [], "learning": [], "checks": []},
    }
