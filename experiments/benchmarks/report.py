"""What the benchmark prints and writes."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.table import Table

from limbshift.experiments.benchmarks.config import BenchConfig
from limbshift.experiments.benchmarks.measure import Taken

FORMAT = 1
"""Of the JSON."""
BOUND = {"more": "at least", "less": "at most"}
"""How a goal is said."""


def line(taken: Taken) -> str:
    """Returns what is told of a measure when it is taken: `ours / theirs: ratio (goal)`."""
    name, measure, family, num_envs, outcome = taken
    size = "1 env" if num_envs == 1 else f"{num_envs:,} envs"
    found = "none" if outcome.ratio is None else f"{outcome.ratio:.2f}"
    goal = f"goal {BOUND[measure.better]} {measure.goal:g}"
    return f"{name}: {measure.ours} / {measure.theirs}, {family}, {size}: {found} ({goal})"


def speed_table(measures: Sequence[Taken]) -> Table:
    """Returns a table of the speeds behind the ratios."""
    table = Table()
    for column in ("ratio", "goal", "ours", "theirs"):
        table.add_column(column, justify="right")
    for column in ("unit", "measure"):
        table.add_column(column, no_wrap=True)
    for taken in measures:
        outcome, measure = taken.outcome, taken.measure
        ratio = "-" if outcome.ratio is None else f"{outcome.ratio:.2f}"
        goal = f"{'>=' if measure.better == 'more' else '<='} {measure.goal:g}"
        table.add_row(ratio, goal, f"{outcome.ours:,.0f}", f"{outcome.theirs:,.0f}", outcome.unit, taken.name)
    return table


def content(
    measures: Sequence[Taken], left_out: Mapping[str, str], config: BenchConfig, *, machine: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns what the JSON holds; machine: what `machine` told of it before it was loaded by this."""
    return {
        "format": FORMAT,
        "date": datetime.now(UTC).date().isoformat(),
        "machine": dict(machine),
        "num_envs": config.num_envs,
        "episodes": config.episodes,
        "horizon": config.horizon,
        "rounds": config.rounds,
        "measures": [described(taken) for taken in measures],
        "left_out": [{"measure": name, "reason": reason} for name, reason in left_out.items()],
    }


def described(taken: Taken) -> dict[str, Any]:
    """Returns what the JSON holds of a measure."""
    name, measure, family, num_envs, outcome = taken
    ratio = outcome.ratio
    return {
        "measure": name,
        "family": family,
        "num_envs": num_envs,
        "ours": {"what": measure.ours, "median": outcome.ours},
        "theirs": {"what": measure.theirs, "median": outcome.theirs},
        "unit": outcome.unit,
        "ratio": ratio,
        "ratios": list(outcome.ratios),
        "goal": measure.goal,
        "better": measure.better,
        "met": ratio is not None and measure.met(ratio),
        "notes": list(outcome.notes),
        "details": dict(outcome.details),
    }
