"""Systems other than Linux, as far as they can be told from here: nothing that Linux alone has is used unguarded."""

import ast
import os
from pathlib import Path

import pytest

from limbshift.envs.physics.cores import available_cores
from limbshift.experiments.cli import main
from limbshift.experiments.jobs.side_by_side import own_core

ROOT = Path(__file__).parents[1]
LINUX_ALONE = {
    "sched_getaffinity", "sched_setaffinity", "eventfd", "memfd_create", "pidfd_open", "posix_fadvise", "getrandom",
    "O_DIRECT", "O_TMPFILE", "copy_file_range", "splice", "fallocate", "pipe2", "setns", "unshare",
}  # fmt: skip
"""Of `os`, which macOS lacks."""
TINY = ["--steps", "1", "--num-envs", "4", "--episodes", "1", "--horizon", "5", "--wandb", "disabled"]


def uses(path: Path) -> list[str]:
    """Returns what a module uses of Linux alone, and where it reads /proc without looking whether there is one."""
    text = path.read_text()
    found = [
        node.attr for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Attribute) and node.attr in LINUX_ALONE
    ]
    return sorted(found) + (["/proc"] if '"/proc/' in text and "is_file()" not in text else [])


def test_what_linux_alone_has_is_used_in_one_guarded_place() -> None:
    modules = [path for layer in ("envs", "agents", "meta", "experiments") for path in (ROOT / layer).rglob("*.py")]
    assert len(modules) > 100
    assert {path.name: found for path in modules if (found := uses(path))} == {
        "cores.py": ["sched_getaffinity", "sched_setaffinity"]
    }


def test_training_and_evaluation_go_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("sched_getaffinity", "sched_setaffinity"):
        monkeypatch.delattr(os, name)
    run = tmp_path / "run"
    assert main(["train", "InvertedPendulumBody", "--run-dir", str(run), *TINY]) == 0
    assert main(["evaluate", str(run), "--tasks", "2"]) == 0
    assert main(["compare", "InvertedPendulumBody", "--methods", "no-memory", *TINY[:-2], "--out", str(run / "x")]) == 0
    with own_core():
        assert available_cores() == list(range(os.cpu_count() or 1))
