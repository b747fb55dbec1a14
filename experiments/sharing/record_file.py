"""What is known of a controller as a JSON file beside it."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from limbshift.envs.schema import make, shortened
from limbshift.experiments.runs.directory import CONTROLLER, RunError, read_json, write_json
from limbshift.experiments.sharing.record import Record, Returns, SplitRecord

RECORD = "evaluation.json"


def write_record(path: Path, record: Record) -> None:
    """Replaces the file."""
    write_json(path, asdict(record))


def read_record(path: Path) -> Record:
    """Returns what a file holds; InputError names what is wrong with it."""
    content: dict[str, Any] = read_json(path)
    found = content.get("splits")
    if not isinstance(found, list):
        raise RunError(f"splits in {path} are {shortened(found)}, expected a list")
    splits = [make(SplitRecord, _with_returns(each, path), f"splits in {path}") for each in found]
    return make(Record, {**content, "splits": splits}, str(path))


def kept_record(controller: Path) -> Record | None:
    """Returns what a shared folder tells of its controller's file; None where it lies in no such folder."""
    record = controller.parent / RECORD
    return read_record(record) if controller.name == CONTROLLER and record.is_file() else None


def _with_returns(split: Any, path: Path) -> Any:
    if not isinstance(split, dict) or not isinstance(split.get("controls"), dict):
        return split  # which `make` refuses
    controls = {name: make(Returns, each, f"controls in {path}") for name, each in split["controls"].items()}
    return {**split, "controls": controls, "returns": make(Returns, split.get("returns"), f"returns in {path}")}
