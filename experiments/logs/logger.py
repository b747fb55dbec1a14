"""What takes the metrics of a training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

METRICS_FILE = "metrics.jsonl"
"""In the run's directory: an object of JSON on each line."""


class MetricsLogger(Protocol):
    """Takes what training measures."""

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Logs numbers at `step`, the env steps so far. No metric may be called "step" or "env_steps"."""
        ...

    def log_video(self, name: str, path: Path, step: int) -> None:
        """Logs the mp4 at `path`, which may be replaced afterwards."""
        ...

    def log_table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[float]], *, step: int) -> None:
        """Logs a table of numbers."""
        ...

    def log_controller(self, folder: Path, about: Mapping[str, object]) -> None:
        """Keeps a folder to share of the controller, whose files may be deleted afterwards."""
        ...

    def flush(self) -> None:
        """Brings what is logged to where a loss of power does not reach it."""
        ...

    def close(self) -> None:
        """Writes out what is pending; harmless when repeated."""
        ...


class Both:
    """Metrics to the file first, which does not fail when the network does."""

    def __init__(self, *loggers: MetricsLogger) -> None:
        self._loggers = loggers

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        for logger in self._loggers:
            logger.log(metrics, step)

    def log_video(self, name: str, path: Path, step: int) -> None:
        for logger in self._loggers:
            logger.log_video(name, path, step)

    def log_table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[float]], *, step: int) -> None:
        for logger in self._loggers:
            logger.log_table(name, columns, rows, step=step)

    def log_controller(self, folder: Path, about: Mapping[str, object]) -> None:
        for logger in self._loggers:
            logger.log_controller(folder, about)

    def flush(self) -> None:
        for logger in self._loggers:
            logger.flush()

    def close(self) -> None:
        for logger in self._loggers:
            logger.close()
