"""Where the packages lie, which may import which, and how large they may grow."""

import ast
import sys
from functools import cache
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from subprocess import run

import pytest

from limbshift.experiments.cli import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
LAYERS = ("envs", "agents", "meta", "experiments")
"""Each may import itself and those before it."""
MAX_LINES = 300
MAX_FILES = 12
"""Of Python, in a folder; `__init__.py` aside."""
MAX_FLOORS = 8


def sources() -> dict[str, Path]:
    """All modules of the package by name."""
    found = {}
    for layer in LAYERS:
        for path in sorted((ROOT / layer).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(("limbshift", *(parts[:-1] if parts[-1] == "__init__" else parts)))] = path
    return found


SOURCES = sources()


@cache
def imported(path: Path) -> frozenset[str]:
    """Full names of all that a file imports, at its top or inside a function; not what only type checkers read."""
    names: set[str] = set()
    tree = ast.parse(path.read_text(), str(path))
    for_checkers = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and ast.unparse(branch.test) == "TYPE_CHECKING"
        for node in ast.walk(branch)
    }
    for node in ast.walk(tree):
        if id(node) in for_checkers:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno} is a relative import, which would hide its package"
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module or ""}
    return frozenset(names)


def needs(name: str) -> set[str]:
    """The modules of ours that a module imports, itself and packages without code aside."""
    found = {module for module in imported(SOURCES[name]) if module in SOURCES and module != name}
    if name == "limbshift.experiments.cli":  # which imports its commands by name
        found |= {f"limbshift.experiments.{module}" for module, _ in COMMANDS.values()}
    return {module for module in found if SOURCES[module].name != "__init__.py"}


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_go_one_way(layer: str) -> None:
    later = {f"limbshift.{other}" for other in LAYERS[LAYERS.index(layer) + 1 :]} | {"tests"}
    found = {
        name: sorted(module for module in imported(path) if module.startswith(tuple(later)))
        for name, path in SOURCES.items()
        if name.startswith(f"limbshift.{layer}")
    }
    assert found
    assert {name: modules for name, modules in found.items() if modules} == {}


def test_no_imports_run_in_a_circle() -> None:
    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, " -> ".join((*above[above.index(name) :], name))
        if name not in done:
            for other in sorted(needs(name)):
                visit(other, (*above, name))
            done.add(name)

    done: set[str] = set()
    for name in SOURCES:
        visit(name, ())


def test_the_command_line_is_few_floors_above_the_environments() -> None:
    """The longest way from the command line to a module of envs, a floor for each module."""

    @cache
    def way(name: str) -> tuple[str, ...]:
        """From a module down to the first of envs; empty where there is none."""
        if name.startswith("limbshift.envs"):
            return (name,)
        ways = [way(other) for other in needs(name)]
        longest = max(ways, key=len, default=())
        return (name, *longest) if longest else ()

    longest = way("limbshift.experiments.cli")
    assert len(longest) > 2
    assert len(longest) <= MAX_FLOORS, " -> ".join(longest)


@pytest.mark.parametrize("folder", sorted({path.parent for path in SOURCES.values()}), ids=lambda path: path.name)
def test_rooms_and_files_stay_small(folder: Path) -> None:
    files = sorted(path for path in folder.glob("*.py") if path.name != "__init__.py")
    assert len(files) <= MAX_FILES
    lengths = {path.name: len(path.read_text().splitlines()) for path in files}
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


def test_agents_know_no_simulator() -> None:
    simulators = ("mujoco", "gymnasium", "warp", "mujoco_warp")
    for name, path in SOURCES.items():
        if name.startswith("limbshift.agents"):
            assert not {module for module in imported(path) if module.partition(".")[0] in simulators}, name


@pytest.mark.parametrize(
    ("packages", "importers"),
    [
        ({"warp", "mujoco_warp"}, {"limbshift.envs.physics.warp"}),
        ({"wandb"}, {"limbshift.experiments.logs.weights_and_biases"}),
        ({"ray"}, {"limbshift.experiments.jobs.cluster"}),
        ({"tensordict", "rsl_rl"}, {"limbshift.envs.adapters.rsl_rl"}),
        ({"envpool"}, {"limbshift.experiments.benchmarks.peers"}),
        ({"stable_baselines3", "sb3_contrib"}, {"limbshift.envs.adapters.sb3"} | {
            "limbshift.experiments.comparison.sb3_baselines"
        }),
    ],
    ids=lambda value: "-".join(sorted(value)),
)  # fmt: skip
def test_a_package_that_may_be_missing_is_imported_in_one_place(packages: set[str], importers: set[str]) -> None:
    found = {
        name for name, path in SOURCES.items() if any(module.partition(".")[0] in packages for module in imported(path))
    }
    assert found == importers


LOADED = "import sys, {module}; print(sorted({{name.split('.')[0] for name in sys.modules}} & {unwanted!r}))"


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("limbshift", {"torch", "mujoco", "matplotlib", "scipy", "wandb", "tyro", "PIL"}),
        ("limbshift.experiments.cli", {"torch", "mujoco", "matplotlib", "scipy", "wandb"}),
        ("limbshift.experiments.commands.train", {"matplotlib", "scipy", "wandb"}),
    ],
)
def test_an_import_brings_no_more_than_it_needs(module: str, unwanted: set[str]) -> None:
    program = LOADED.format(module=module, unwanted=unwanted)
    printed = run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"


def test_a_result_is_read_without_a_trainer() -> None:
    program = (
        "import sys, limbshift.experiments.comparison.training_run as t;"
        "print([name for name in sys.modules if name.startswith('limbshift.meta.') and 'evaluation' not in name])"
    )
    printed = run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"


@pytest.mark.parametrize("name", LAYERS)
def test_packages_are_those_of_this_checkout(name: str) -> None:
    file = import_module(f"limbshift.{name}").__file__
    assert file is not None
    assert Path(file).resolve() == ROOT / name / "__init__.py"


def test_layers_are_named_in_order() -> None:
    for lower, upper in pairwise(LAYERS):
        assert any(
            module.startswith(f"limbshift.{lower}.")
            for name, path in SOURCES.items()
            if name.startswith(f"limbshift.{upper}.")
            for module in imported(path)
        )


def test_arguments_past_the_third_are_given_by_name() -> None:
    """The worked example's `_adapt` aside, which is called by a transform that gives all by position."""
    found = {
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in SOURCES.values()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name != "_adapt"
        if len([argument for argument in node.args.args if argument.arg not in ("self", "cls")]) > 3
    }
    assert not found
