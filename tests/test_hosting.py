"""Files for containers and for hosted checks: what they name exists. No container is built here."""

import json
import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
FILES = [
    *sorted((ROOT / "docker").glob("*.Dockerfile")),
    ROOT / ".github" / "workflows" / "test.yml",
    ROOT / ".devcontainer" / "devcontainer.json",
]


def test_what_is_installed_exists() -> None:
    lists = [extras for path in FILES for extras in re.findall(r"\.\[([\w,-]+)\]", path.read_text())]
    asked = [extra for extras in lists for extra in extras.split(",")]
    assert len(asked) > 10
    assert [extra for extra in asked if extra not in EXTRAS] == []


def test_what_the_workflow_runs_exists() -> None:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text())["jobs"]
    assert jobs["linux"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    commands = " ".join(step["run"] for job in jobs.values() for step in job["steps"] if "run" in step)
    assert [path for path in re.findall(r"tests/[\w/.]+", commands) if not (ROOT / path).exists()] == []
    assert "make test PYTHON=python" in commands
    given = [value for job in jobs.values() for step in job["steps"] for value in step.get("with", {}).values()]
    assert [value for value in given if not isinstance(value, str)] == [], "the inputs of an action are strings"


def test_the_dev_container_uses_the_makefiles_environment() -> None:
    kernel = ".venv/bin/python -m pip install -c constraints.txt -e '.[notebooks]'"
    about = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    assert about["updateContentCommand"] == f"make .venv/.installed && {kernel}"
    assert ",target=${containerWorkspaceFolder}/.venv," in about["mounts"][0], "the host's Python is another"
    assert about["customizations"]["vscode"]["settings"]["python.defaultInterpreterPath"].endswith(".venv/bin/python")
