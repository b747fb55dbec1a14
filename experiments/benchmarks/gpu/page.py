"""docs/gpu.md, from the JSON that `limbshift bench --gpu --json` wrote; run as a module, it replaces the page."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import tyro

from limbshift.agents.atomic_write import replacing
from limbshift.envs.errors import InputError
from limbshift.experiments.cli import answer, taken
from limbshift.experiments.runs.directory import read_json
from limbshift.experiments.wording import filled, markdown_table

FORMAT = 1
"""Of the JSON."""
NAMES = {"torch": "PyTorch", "mujoco": "MuJoCo", "mujoco-warp": "MuJoCo Warp"}
"""Of packages whose versions are told."""
SPEED = """\
`limbshift bench --gpu`, trials of {episodes} x {horizon} steps, env steps a second. *Physics alone* is a trial under
random actions: physics, tasks, rewards and observations, without a network. *With inference*, an LSTM of 128 acts at
every step. *With training* is meta-training with everything in it, where each trial is learnt from four times; the
shares are of its time. The network lives on the GPU in all tables; `warp` simulates there too, `mujoco` on the CPU's
cores. Memory is in GiB.
"""
LEARNING = "Time of meta-training until a trial's last episode returned so much while exploring, mean over worlds."
CHECKS = """\
`make check-gpu` runs the tests of `tests/gpu` where PyTorch sees a CUDA device, measures what stands here, and writes
this page anew from `docs/gpu.json`. Every robot that MuJoCo Warp can run, with dynamics of its own in each world, stays
within 1e-4 (m, rad) of MuJoCo over 20 substeps in the air; what tasks change is the same on both simulators; a replayed
graph is the step that it captured; trials are the same trials on both simulators; a divergence and a lack of room are
told; a run resumes, and its controller acts on the CPU; physics on the CPU trains a network on the GPU, overlapped too;
and from the start of an iteration to its metrics the host never waits for the device, or PyTorch would raise
(`torch.cuda.set_sync_debug_mode("error")`).
"""


@dataclass(frozen=True)
class PageConfig:
    """Write docs/gpu.md from what `limbshift bench --gpu --json` wrote."""

    json: tyro.conf.Positional[Path] = Path("docs/gpu.json")
    """What was measured."""
    page: tyro.conf.Positional[Path] = Path("docs/gpu.md")
    """The page; it is replaced."""


def write_page(json: Path, page: Path) -> None:
    """Replaces the page by what the JSON makes."""
    content = read_json(json)
    if content.get("format") != FORMAT:
        raise InputError(f"{json} is of format {content.get('format')!r}, expected {FORMAT}")
    with replacing(page) as temporary:
        temporary.write_text(page_of(content))


def page_of(content: Mapping[str, Any]) -> str:
    """Returns the page as Markdown."""
    notes = content["notes"]
    parts = [
        "# On a GPU",
        filled(introduction(content)),
        "## Speed",
        filled(SPEED.format(**content)),
        *(speed_table(rows) for rows in content["speed"]),
        *map(filled, notes["speed"]),
        "## Learning",
        filled(LEARNING),
        learning_table(content["learning"]),
        *map(filled, notes["learning"]),
        "## What is checked",
        filled(" ".join([CHECKS.strip(), *notes["checks"]])),
    ]
    return "\n\n".join(parts) + "\n"


def introduction(content: Mapping[str, Any]) -> str:
    """Tells on what was measured, and when."""
    machine, day = content["machine"], date.fromisoformat(content["date"])
    versions = {NAMES[name]: machine["versions"][name] for name in NAMES}
    versions["PyTorch"] += f" (CUDA {content['cuda']})" if content["cuda"] else ""
    told = ", ".join(f"{name} {number}" for name, number in versions.items())
    processor = f" ({machine['processor']})" if machine["processor"] else ""
    device = f"one {content['gpu']}" if content["gpu"] else "Warp's CPU device, which says nothing of a GPU,"
    return (
        f"Measured on {device} with {machine['cores']} CPU cores{processor}, {told} and Python {machine['python']}, on"
        f" {day.day} {day:%B %Y}. Other cards have not been tried."
    )


def speed_table(rows: Mapping[str, Any]) -> str:
    """Returns a table of a family on a simulator."""
    columns = ["physics alone", "with inference", "with training", "physics", "policy", "update", "GPU memory"]
    table = [[f"{rows['family']}, `--physics {rows['physics']}`: worlds", *columns]]
    for row in rows["rows"]:
        speeds = [whole(row[name]) for name in ("physics", "inference", "training")]
        shares = [f"{row['shares'][name]:.0%}".replace("%", " %") for name in ("physics", "policy", "update")]
        table.append([whole(row["worlds"]), *speeds, *shares, f"{row['memory']:.1f}"])
    table += [[whole(worlds), "out of memory", *[""] * 6] for worlds in rows["out_of_memory"]]
    return markdown_table(table)


def learning_table(learning: Sequence[Mapping[str, Any]]) -> str:
    """Returns a table of the times that learning took."""
    table = [["family", "trials", "simulator, worlds", "return", "seconds", "env steps"]]
    for each in learning:
        found = f"{each['goal']:,g}" if each["reached"] else f"{each['best']:,.0f} of {each['goal']:,g}: given up"
        trials, where = f"{each['episodes']} x {each['horizon']}", f"`{each['physics']}`, {each['worlds']:,}"
        millions = f"{each['steps'] / 1e6:.1f} M"
        table.append([each["family"], trials, where, found, f"{each['seconds']:.4g}", millions])
    return markdown_table(table)


def whole(value: float | None) -> str:
    return "not measured" if value is None else f"{value:,.0f}"


if __name__ == "__main__":
    COMMAND = "python -m limbshift.experiments.benchmarks.gpu.page"
    sys.exit(answer(lambda: write_page(*astuple(taken(PageConfig, sys.argv[1:], command=COMMAND)))))
