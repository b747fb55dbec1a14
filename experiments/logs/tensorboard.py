"""Metrics as TensorBoard reads them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

FOLDER = "tensorboard"
"""In the run's directory."""


class TensorboardLogger:
    """Event files; videos stay the files that they are, and tables are text."""

    def __init__(self, run_dir: Path, resume_at: int | None = None) -> None:
        """resume_at: the env steps at which a run goes on: TensorBoard is told to leave out what was later."""
        from tensorboardX import SummaryWriter

        purge = None if resume_at is None else resume_at + 1
        self._writer = SummaryWriter(str(run_dir / FOLDER), purge_step=purge, write_to_disk=True)

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)

    def log_video(self, name: str, path: Path, step: int) -> None:
        """Does nothing: the film lies in the run's directory, and browsers play it."""

    def log_table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[float]], *, step: int) -> None:
        """Logs the table as Markdown, which TensorBoard shows."""
        lines = [columns, ["---"] * len(columns), *([f"{value:.4g}" for value in row] for row in rows)]
        self._writer.add_text(name, "\n".join(f"| {' | '.join(line)} |" for line in lines), step)

    def log_controller(self, folder: Path, about: Mapping[str, object]) -> None:
        """Does nothing: the run's directory has the controller already."""

    def flush(self) -> None:
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()
