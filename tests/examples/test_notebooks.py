"""The notebooks: what they import exists, they come without outputs, and they run."""

import ast
import json
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "examples" / "notebooks").glob("*.ipynb"))
BUDGET = 900
"""Seconds that a cell may take on a busy core: the longest trains for four minutes on a quiet one."""


def cells(path: Path, kind: str) -> list[dict[str, Any]]:
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == kind]


def test_there_are_five() -> None:
    assert len(NOTEBOOKS) == 5


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_left_out(path: Path) -> None:
    assert [cell["outputs"] for cell in cells(path, "code") if cell["outputs"]] == []
    assert {cell["execution_count"] for cell in cells(path, "code")} == {None}
    assert "".join(cells(path, "markdown")[0]["source"]).startswith("# ")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_imported_of_limbshift_exists(path: Path) -> None:
    tree = ast.parse("\n".join("".join(cell["source"]) for cell in cells(path, "code")))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("limbshift"):
            module = import_module(node.module or "")
            assert [name.name for name in node.names if not hasattr(module, name.name)] == [], node.module
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and is_limbshift(node.value)}
    assert [name for name in used if not hasattr(import_module("limbshift"), name)] == []


def is_limbshift(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "limbshift"


@pytest.mark.slow
@pytest.mark.skipif(not find_spec("nbclient") or not find_spec("ipykernel"), reason="pip install '.[notebooks]'")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.chdir(tmp_path)
    notebook = nbformat.reads(path.read_text(), as_version=4)
    NotebookClient(notebook, timeout=BUDGET, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", ()) if "data" in output]
    assert any({"image/png", "image/gif"} & output["data"].keys() for output in shown) or "family" in path.stem
