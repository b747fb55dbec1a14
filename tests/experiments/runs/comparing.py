"""What two runs must have in common, whatever the clock said."""

from pathlib import Path
from typing import Any

import torch

from limbshift.experiments.logs.metrics_file import read_metrics
from limbshift.meta.checkpoint import load_checkpoint

CLOCK = ("train/minutes", "speed/")


def metrics_of(run: Path) -> list[dict[str, Any]]:
    """The rows without what is read off a clock."""
    rows = read_metrics(run / "metrics.jsonl")
    return [{name: value for name, value in row.items() if not name.startswith(CLOCK)} for row in rows]


def state_of(run: Path) -> dict[str, Any]:
    """The newest checkpoint without what is read off a clock."""
    state = load_checkpoint(run / "checkpoint.pt")
    steps, _, iterations = state["progress"]
    return {**state, "progress": (steps, iterations), "session": {"best": state["session"]["best"]}}


def assert_same(one: object, other: object) -> None:
    """Bit for bit."""
    if isinstance(one, torch.Tensor):
        assert isinstance(other, torch.Tensor)
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert isinstance(other, dict)
        assert one.keys() == other.keys()
        for key, value in one.items():
            assert_same(value, other[key])
    elif isinstance(one, list | tuple):
        assert isinstance(other, list | tuple)
        assert len(one) == len(other)
        for first, second in zip(one, other, strict=True):
            assert_same(first, second)
    else:
        assert one == other


def assert_the_same_run(one: Path, other: Path) -> None:
    """Weights, optimiser, normalisers, generators, schedules, tasks and all rows of metrics."""
    assert metrics_of(one) == metrics_of(other)
    assert_same(state_of(one), state_of(other))
