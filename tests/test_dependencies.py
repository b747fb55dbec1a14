"""What limbshift stands on: under which licences, with which known faults, and from which versions on."""

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PERMISSIVE = re.compile(
    r"\b(MIT|BSD|0BSD|Apache|PSF|Python Software Foundation|MPL|Mozilla Public License|ISC|Zlib|CC0|BSL-1\.0)\b"
)
NVIDIAS = re.compile("nvidia-|cuda-")
"""CUDA itself, which PyTorch's CUDA build brings and its CPU build does without: proprietary, free of charge."""
TESTS = ("tests/agents", "tests/meta", "tests/envs/test_task_env.py", "tests/envs/test_trial_env.py")
"""What is run with other versions: all that trains and steps."""


def needed_by(name: str, found: dict[str, str]) -> None:
    """Puts a package and all that it needs among the found, each with its licence."""
    if name in found:
        return
    try:
        package = distribution(name)
    except PackageNotFoundError:  # needed on other systems alone
        return
    about = package.metadata
    classifiers = [each for each in about.get_all("Classifier") or [] if each.startswith("License ::")]
    said = [*(about.get_all("License-Expression") or []), *classifiers, *(about.get_all("License") or [])]
    found[name] = next((line for line in said if line), "unknown").partition("\n")[0]
    for text in package.requires or []:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            needed_by(requirement.name.lower().replace("_", "-"), found)


def test_all_licences_allow_any_use() -> None:
    found: dict[str, str] = {}
    needed_by("limbshift", found)
    assert len(found) > 20
    others = {name: licence for name, licence in found.items() if not PERMISSIVE.search(licence)}
    assert {name: licence for name, licence in others.items() if not NVIDIAS.match(name)} == {}


@pytest.mark.slow
def test_no_fault_of_a_dependency_is_known() -> None:
    command = [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off", "--skip-editable"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.stdout.startswith("{"):
        pytest.skip(f"no list of known faults can be reached: {done.stderr.strip().splitlines()[-1]}")
    audited = [each for each in json.loads(done.stdout)["dependencies"] if "vulns" in each]
    if not audited:
        pytest.skip("no list of known faults can be reached: none of the packages was found there")
    assert {each["name"]: each["vulns"] for each in audited if each["vulns"]} == {}


def lowest() -> list[str]:
    """Returns the lowest version of each dependency that is allowed, as constraints."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = []
    for text in (*project["dependencies"], *project["optional-dependencies"]["dev"]):
        (least,) = (each.version for each in Requirement(text).specifier if each.operator in (">=", "=="))
        pins.append(f"{Requirement(text).name}=={least}")
    return pins


@pytest.mark.slow
@pytest.mark.parametrize("versions", ["lowest", "newest"])
def test_the_versions_that_are_allowed_work(versions: str, tmp_path: Path) -> None:
    torch = next(line for line in (ROOT / "constraints.txt").read_text().splitlines() if line.startswith("torch=="))
    constraints = tmp_path / "constraints.txt"
    constraints.write_text("\n".join(lowest() if versions == "lowest" else [torch]))
    python = tmp_path / "venv/bin/python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    subprocess.run([*pip, "-c", str(constraints), "-e", f"{ROOT}[dev]"], check=True)
    subprocess.run([python, "-m", "pytest", "-q", *TESTS], cwd=ROOT, check=True)
