"""Scripts that train with other projects' libraries: what they take from limbshift is there, and they run and learn."""

import ast
import os
import re
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

import pytest

import limbshift

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted((ROOT / "examples" / "clients").glob("*.py"))
NEEDED = {
    "cleanrl": "gymnasium",
    "minari_dataset": "minari",
    "rsl_rl_recurrent": "rsl_rl",
    "sb3": "stable_baselines3",
    "sb3_recurrent": "sb3_contrib",
    "skrl_recurrent": "skrl",
    "torchrl_ppo": "torchrl",
}
"""What must be installed for a script; `make check-slow` sees to it."""
APART = {"rl_zoo3_ppo": "rl_zoo3==2.9.2", "tianshou_ppo": "tianshou==2.0.1"}
"""What cannot be installed beside our constraints: an environment of its own borrows all else."""

each_script = pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)


def taken(tree: ast.AST) -> set[str]:
    """The names of limbshift that a script uses: attributes of the package, and what is imported from it."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "limbshift":
            names.add(node.attr)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "limbshift":
            assert node.module == "limbshift", f"{node.module} is no public module"
            names |= {alias.name for alias in node.names}
    return names


def test_every_script_is_run_by_a_test() -> None:
    assert {path.stem for path in SCRIPTS} == {*NEEDED, *APART}


@each_script
def test_scripts_use_what_there_is(script: Path) -> None:
    tree = ast.parse(script.read_text(), str(script))
    compile(tree, str(script), "exec")
    assert {name for name in taken(tree) if name not in limbshift.__all__} == set()
    assert "limbshift" in {
        alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    }


@each_script
def test_scripts_say_how_they_are_run(script: Path) -> None:
    about = ast.get_docstring(ast.parse(script.read_text())) or ""
    assert re.search(r"^Run with \S+ \d+(\.\d+)+", about, flags=re.MULTILINE)
    assert "pip install" in about
    assert f"python examples/clients/{script.name} [" in about


def test_no_script_hides_the_library_that_it_imports() -> None:
    """A script's folder is the first in which Python looks for modules."""
    for script in SCRIPTS:
        for node in ast.walk(ast.parse(script.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & {path.stem for path in SCRIPTS}


def ran(python: Path | str, script: Path) -> tuple[float, float]:
    """Runs a script, of this checkout, as its user would; returns the two returns of its last line."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [str(python), str(script)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, cwd=ROOT.parent)
    assert done.returncode == 0, done.stderr
    line = next(line for line in reversed(done.stdout.splitlines()) if line.startswith("return of"))
    first, second = re.findall(r": (-?[\d.]+) [\w-]+.*?, (-?[\d.]+) ", line)[0]
    return float(first), float(second)


@pytest.mark.slow  # half a minute each
@pytest.mark.parametrize("name", NEEDED)
def test_scripts_run_and_learn(name: str) -> None:
    if find_spec(NEEDED[name]) is None:
        pytest.skip(f"{NEEDED[name]} is not installed: pip install '.[clients]'")
    before, after = ran(sys.executable, ROOT / "examples" / "clients" / f"{name}.py")
    assert after > before


@pytest.mark.slow
@pytest.mark.parametrize("name", APART)
def test_scripts_of_libraries_that_stand_apart_run_and_learn(name: str, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path], check=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(tmp_path)}))
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    python = tmp_path / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", APART[name]]
    done = subprocess.run(install, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"{APART[name]} cannot be installed: {done.stderr.strip().splitlines()[-1]}")
    before, after = ran(python, ROOT / "examples" / "clients" / f"{name}.py")
    assert after > before
