"""What is built from this checkout, and whether it works where it is installed, beside others' packages."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
from collections.abc import Mapping
from pathlib import Path
from zipfile import ZipFile

import pytest

from limbshift.experiments.runs.controllers import shipped_names
from limbshift.experiments.sharing.record_file import RECORD

ROOT = Path(__file__).resolve().parent.parent
LAYERS = ("envs", "agents", "meta", "experiments")
UNSHIPPED = ("experiments/published/", "__pycache__", "MUJOCO_LOG.TXT")
TINY = ("--num-envs", "4", "--episodes", "1", "--horizon", "20", "--hidden-size", "8")
FOREIGN = "raise ImportError('a package of another project was imported')\n"


def python(*arguments: str | Path, cwd: Path) -> None:
    subprocess.run([sys.executable, *arguments], cwd=cwd, check=True, stdin=subprocess.DEVNULL)


def build(target: str, source: Path, out: Path) -> Path:
    """Builds a wheel or an sdist from a source tree, with the build backend that this Python has: no network."""
    python("-m", "hatchling", "build", "--target", target, "--directory", out, cwd=source)
    (built,) = out.iterdir()
    return built


def packages_of(environment: Path) -> Path:
    """Where a virtual environment keeps its packages."""
    return Path(sysconfig.get_path("purelib", vars={"base": str(environment)}))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist, unpacked."""
    out = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(build("sdist", ROOT, tmp_path_factory.mktemp("sdist"))) as archive:
        archive.extractall(out, filter="data")
    (unpacked,) = out.iterdir()
    return unpacked


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new virtual environment with the wheel, beside another project's `agents`; what limbshift needs is borrowed."""
    path = tmp_path_factory.mktemp("environment")
    venv.create(path, with_pip=False, symlinks=True)
    packages = packages_of(path)
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib"))  # whose own .pth files are not read
    (packages / "agents").mkdir()
    (packages / "agents" / "__init__.py").write_text(FOREIGN)
    python("-m", "pip", "--python", path, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=path)
    return path


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder with packages of another project, named as ours are within limbshift."""
    for layer in LAYERS:
        (tmp_path / layer).mkdir()
        (tmp_path / layer / "__init__.py").write_text(FOREIGN)
    return tmp_path


def contents(wheel: Path) -> set[str]:
    with ZipFile(wheel) as archive:
        return set(archive.namelist())


def files_of(tree: Path) -> set[str]:
    """Paths below a source tree of all that belongs into a wheel, as they are there."""
    paths = [path for layer in LAYERS for path in (tree / layer).rglob("*") if path.is_file()]
    paths += [tree / "limbshift" / name for name in ("__init__.py", "py.typed")]
    names = [path.relative_to(tree).as_posix() for path in paths]
    kept = [name for name in names if not any(part in name for part in UNSHIPPED)]
    return {name if name.startswith("limbshift/") else f"limbshift/{name}" for name in kept}


def test_a_wheel_holds_limbshift_alone(wheel: Path) -> None:
    found = contents(wheel)
    assert {name.partition("/")[0] for name in found} == {"limbshift", "limbshift-0.1.0.dist-info"}
    assert {name for name in found if name.startswith("limbshift/")} == files_of(ROOT)
    assert not {name for name in found if "published" in name}
    folders = [f"limbshift/experiments/controllers/{name}" for name in shipped_names()]
    assert {f"{folder}/{file}" for folder in folders for file in ("controller.safetensors", RECORD)} <= found
    assert {
        "limbshift/py.typed",
        "limbshift/envs/assets/quadruped.xml",
        "limbshift/experiments/comparison/comparison.html.jinja",
    } <= found


def test_an_sdist_builds_the_same_wheel(wheel: Path, sdist: Path, tmp_path: Path) -> None:
    assert contents(build("wheel", sdist, tmp_path)) == contents(wheel)


def test_an_sdist_holds_what_its_tests_need(sdist: Path) -> None:
    names = ("Makefile", "constraints.txt", "README.md", "CONTRIBUTING.md", "CITATION.cff", "LICENSE", ".gitignore")
    assert {name for name in names if not (sdist / name).is_file()} == set()
    for folder, pattern in (
        ("tests", "*.py"),
        ("docs", "*.md"),
        ("docs/results", "*.json"),
        *((n, "*") for n in LAYERS),
    ):
        listed = {path.relative_to(ROOT) for path in (ROOT / folder).rglob(pattern) if "__pycache__" not in path.parts}
        assert listed
        assert {path for path in listed if not (sdist / path).exists()} == set()


def test_make_gives_an_unpacked_sdist_the_links_of_a_checkout(sdist: Path) -> None:
    subprocess.run(["make", "--silent", *(f"limbshift/{layer}" for layer in LAYERS)], cwd=sdist, check=True)
    where = "import limbshift.experiments.cli as module; print(module.__file__)"
    assert run([sys.executable, "-c", where], sdist, PYTHONPATH=str(sdist)).startswith(str(sdist))


def run(command: list[str | Path], cwd: Path, **environment: str) -> str:
    """Runs a command where PYTHONPATH holds nothing but what is given; returns what it printed."""
    clean: Mapping[str, str] = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=cwd, env={**clean, **environment}, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_an_installed_wheel_works_beside_others_packages_and_leaves_them_alone(
    installed: Path, elsewhere: Path
) -> None:
    def limbshift(*arguments: str) -> str:
        return run([installed / "bin" / "limbshift", *arguments], elsewhere, PYTHONPATH=str(elsewhere))

    assert "HalfCheetahWiring" in limbshift("families")
    assert "memory off" in limbshift("evaluate", "ReacherGoal", "--tasks", "4", "--horizon", "10")
    limbshift("train", "HalfCheetahDir", "--minutes", "0.03", "--wandb", "disabled", "--run-dir", "run", *TINY)
    assert (elsewhere / "run" / "controller.safetensors").stat().st_size > 1000
    where = "import limbshift.envs.catalogue as module; print(module.__file__)"
    assert run([installed / "bin" / "python", "-c", where], elsewhere).startswith(str(installed))
    python("-m", "pip", "--python", installed, "uninstall", "--quiet", "--yes", "limbshift", cwd=elsewhere)
    assert not (packages_of(installed) / "limbshift").exists()
    assert (packages_of(installed) / "agents" / "__init__.py").read_text() == FOREIGN


def test_a_checkout_works_beside_packages_of_the_same_names(elsewhere: Path) -> None:
    program = "import limbshift; print(limbshift.load_controller('ReacherGoal').card.family)"
    printed = run([sys.executable, "-c", program], elsewhere, PYTHONPATH=f"{elsewhere}{os.pathsep}{ROOT}")
    assert printed.strip() == "ReacherGoal"
