"""Metrics as TensorBoard reads them."""

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from limbshift.experiments.logs.logger import METRICS_FILE
from limbshift.experiments.wording import markdown_table

FOLDER = "tensorboard"
"""In the run's directory."""

_log = logging.getLogger(__name__)


class TensorboardLogger:
    """An event file, written at once; videos stay the files that they are, and tables are text.

    Where the disk is full, one warning says so, and it takes nothing more; training goes on.
    """

    def __init__(self, run_dir: Path, resume_at: int | None = None) -> None:
        """resume_at: the env steps at which a run goes on: TensorBoard is told to leave out what was later."""
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto import event_pb2

        self._event = event_pb2.Event
        (run_dir / FOLDER).mkdir(exist_ok=True)
        self._file: Any = EventsWriter(str(run_dir / FOLDER / "events"))
        if resume_at is not None:
            start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            self._write(step=resume_at + 1, session_log=start)

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        from tensorboardX.summary import scalar

        for name, value in metrics.items():
            self._write(step=step, summary=scalar(name, value))
        self.flush()

    def log_video(self, name: str, path: Path, step: int) -> None:
        """Does nothing: the film lies in the run's directory, and browsers play it."""

    def log_table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[float]], *, step: int) -> None:
        """Logs the table as Markdown, which TensorBoard shows."""
        from tensorboardX.summary import text

        lines = [columns, *([f"{value:.4g}" for value in row] for row in rows)]
        self._write(step=step, summary=text(name, markdown_table(lines)))
        self.flush()

    def log_controller(self, folder: Path, about: Mapping[str, object]) -> None:
        """Does nothing: the run's directory has the controller already."""

    def flush(self) -> None:
        self._attempt("flush")

    def close(self) -> None:
        self._attempt("close")
        self._file = None

    def _write(self, **content: Any) -> None:
        self._attempt("write_event", self._event(wall_time=time.time(), **content))

    def _attempt(self, action: str, *arguments: Any) -> None:
        if self._file is None:
            return
        try:
            getattr(self._file, action)(*arguments)
        except OSError as error:
            failed, self._file = self._file, None
            with suppress(OSError):  # which it may say once more
                failed.close()
            reason = error.strerror or str(error)
            _log.warning(
                "TensorBoard's file failed (%s); training goes on, metrics go to %s only", reason, METRICS_FILE
            )
