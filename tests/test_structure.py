"""Where the packages lie, and which may import which."""

import ast
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LAYERS = ("envs", "agents", "meta", "experiments", "limbshift")
"""Each may import itself and those before it."""


def imported(path: Path) -> set[str]:
    """Top-level names of all that a file imports, at its top or inside a function."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno} is a relative import, which would hide its package"
            names.add((node.module or "").partition(".")[0])
    return names


@pytest.mark.parametrize("number", range(len(LAYERS) - 1), ids=LAYERS[:-1])
def test_imports_go_one_way(number: int) -> None:
    files = sorted((ROOT / LAYERS[number]).rglob("*.py"))
    assert files
    later = {*LAYERS[number + 1 :], "tests"}
    found = {str(path.relative_to(ROOT)): sorted(imported(path) & later) for path in files}
    assert {path: names for path, names in found.items() if names} == {}


def test_agents_know_no_simulator() -> None:
    for path in (ROOT / "agents").rglob("*.py"):
        assert not imported(path) & {"mujoco", "gymnasium", "warp", "mujoco_warp"}, path


def test_only_the_gpu_engine_imports_warp() -> None:
    files = [path for layer in LAYERS[:-1] for path in (ROOT / layer).rglob("*.py")]
    importers = {path.name for path in files if imported(path) & {"warp", "mujoco_warp"}}
    assert importers <= {"warp_physics.py"}


@pytest.mark.parametrize("name", LAYERS[:-1])
def test_packages_are_those_of_this_repository(name: str) -> None:
    """Other distributions use such names too."""
    file = import_module(name).__file__
    assert file is not None
    assert Path(file).resolve() == ROOT / name / "__init__.py"
