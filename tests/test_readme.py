"""What README and the other pages show must run, parse, exist, and agree with the cards."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch

from limbshift.envs.robots import half_cheetah
from limbshift.envs.tasks import common
from limbshift.envs.trial_env import TrialEnv
from limbshift.experiments.cli import parse_once

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "experiments" / "controllers").glob("*/README.md")),
]
PYTHON = [
    block
    for page in (
        "README.md",
        *(f"docs/{name}.md" for name in ("environments", "start", "own-family", "own-method", "deploy")),
    )
    for block in re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), flags=re.DOTALL)
]


@pytest.fixture
def beside_a_robot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    Path("my_robot.xml").write_bytes((ROOT / "examples" / "two_legs.xml").read_bytes())


def test_the_pages_have_python() -> None:
    assert len(PYTHON) >= 5


@pytest.mark.parametrize("block", PYTHON, ids=[f"block{number}" for number in range(len(PYTHON))])
@pytest.mark.usefixtures("beside_a_robot")
def test_the_pages_python_runs(block: str) -> None:
    exec(block.replace("minutes=10", "steps=1, num_envs=4, horizon=5, hidden_size=8"), {"__name__": "__main__"})


def test_the_family_that_contributing_adds_moves() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), flags=re.DOTALL)
    names: dict[str, Any] = {"__name__": half_cheetah.__name__, **vars(common), **vars(half_cheetah)}
    exec(block, names)
    env = TrialEnv(names["HalfCheetahIcyHill"](), 2, 1, horizon=3)
    before = env.reset().clone()
    after = env.step(torch.ones(2, 6)).obs
    env.close()
    assert (after[:, :17] != before[:, :17]).any(dim=1).all()


def commands(page: str) -> list[str]:
    """Each `limbshift ...` of a page: lines of shell blocks, and code within sentences."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", page, flags=re.DOTALL | re.MULTILINE)
    lines = [line.strip() for language, block in blocks if language in {"", "sh"} for line in block.splitlines()]
    prose = re.sub(r"^```.*?^```$", "", page, flags=re.DOTALL | re.MULTILINE)
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]
    found = [line.removeprefix(".venv/bin/") for line in (*lines, *spans)]
    return [line for line in found if line.startswith("limbshift ")]


def words(command: str) -> list[str]:
    """A command's arguments, with a number for each placeholder of one."""
    return ["1" if word in {"P", "M", "N", "STEP"} else word for word in shlex.split(command, comments=True)[1:]]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_commands_parse(page: Path) -> None:
    for command in commands(page.read_text()):
        arguments = words(command)
        if "--help" not in arguments and len(arguments) > 1:
            parse_once(arguments)


def test_commands_are_found() -> None:
    page = "```python\nlimbshift a\n```\ntext `limbshift\nb` and\n```\nlimbshift c  # d\n```\n"
    assert commands(page) == ["limbshift c  # d", "limbshift b"]
    assert len(commands(README)) > 20


@pytest.mark.parametrize("page", PAGES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_promises_are_shown_by_tests_that_exist() -> None:
    promised = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs" / "reliability.md").read_text())
    assert len(promised) > 20
    for path, name in promised:
        assert f"\ndef {name}(" in (ROOT / path).read_text(), f"{path}::{name}"
