"""Metrics in a file: an object of JSON on each line."""

import json
import logging
import math
import os
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pydantic_core import from_json

from limbshift.agents.atomic_write import check_writable, replacing
from limbshift.experiments.logs.logger import METRICS_FILE

_log = logging.getLogger(__name__)


class JsonlLogger:
    """One JSON object per line, written through at once; videos stay the files that they are.

    Where the disk is full, one warning says so, and the rows wait until there is room.
    """

    def __init__(self, path: Path, resume_at: int | None = None) -> None:
        """resume_at: the env steps at which a run goes on: later rows of the file are dropped."""
        check_writable(path)
        if resume_at is not None and path.exists():
            _drop_rows_after(path, resume_at)
        self._file = path.open("wb" if resume_at is None else "ab", buffering=0)
        self._waiting = bytearray()
        self._warned = False

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        row: dict[str, float | None] = {"step": step}
        for name, value in metrics.items():
            row[name] = float(value) if math.isfinite(value) else None
        self._waiting += json.dumps(row, allow_nan=False).encode() + b"\n"
        self._attempt(self._write)

    def log_video(self, name: str, path: Path, step: int) -> None:
        """Does nothing: a line of numbers has no place for a video."""

    def log_table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[float]], *, step: int) -> None:
        """Does nothing: `limbshift evaluate --json` and `limbshift report` tell of tasks."""

    def log_controller(self, folder: Path, about: Mapping[str, object]) -> None:
        """Does nothing: the run's directory has the controller already."""

    def flush(self) -> None:
        self._attempt(self._write_through)

    def close(self) -> None:
        if not self._file.closed:
            self.flush()
            self._file.close()

    def _write(self) -> None:
        while self._waiting:
            written = os.write(self._file.fileno(), self._waiting)
            del self._waiting[:written]

    def _write_through(self) -> None:
        self._write()
        os.fsync(self._file.fileno())

    def _attempt(self, action: Callable[[], None]) -> None:
        try:
            action()
        except OSError as error:
            if not self._warned:
                _log.warning(
                    "%s could not be written (%s); training goes on, its rows wait", METRICS_FILE, error.strerror
                )
            self._warned = True


def read_metrics(path: Path) -> list[dict[str, float | None]]:
    """Returns the rows of a `metrics.jsonl`, in the order written; None stands for a number that was not finite.

    A last line without its end, as a killed run leaves it, is passed over. Raises ValueError where another line is not
    a row.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "metrics.jsonl"
    >>> logger = JsonlLogger(path)
    >>> logger.log({"train/return_episode_1": 12.5}, step=6400)
    >>> logger.close()
    >>> read_metrics(path)
    [{'step': 6400, 'train/return_episode_1': 12.5}]
    """
    whole = path.read_bytes().rpartition(b"\n")[0]
    rows: list[dict[str, float | None]] = []
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            row = from_json(line)
        except ValueError:
            row = None
        if not isinstance(row, dict) or "step" not in row:
            found = textwrap.shorten(repr(line), 60)
            raise ValueError(f'{path}, line {number}: found {found}, expected {{"step": …, metric: number, …}}')
        rows.append(row)
    return rows


def _drop_rows_after(path: Path, step: int) -> None:
    """Keeps the rows up to these env steps, which a resumed run does not repeat; a line that is no row goes too."""

    def is_kept(line: bytes) -> bool:
        try:
            return bool(from_json(line)["step"] <= step)
        except (ValueError, TypeError, KeyError):
            return False

    lines = path.read_bytes().splitlines(keepends=True)
    with replacing(path) as temporary:
        temporary.write_bytes(b"".join(line for line in lines if line.endswith(b"\n") and is_kept(line)))
