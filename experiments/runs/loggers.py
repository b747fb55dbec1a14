"""Where a run's metrics go: `metrics.jsonl` in its directory, and Weights & Biases.

The only file that imports wandb, and only once it is needed: the import takes a second.
"""

import json
import logging
import math
import os
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pydantic_core import from_json

from limbshift.agents.atomic_write import check_writable, replacing
from limbshift.experiments.configs import WandbMode

if TYPE_CHECKING:
    import wandb

METRICS_FILE = "metrics.jsonl"
RUN_ID_FILE = "wandb_run_id.txt"
STEP_METRIC = "env_steps"
"""W&B's own step may only grow, but a resumed run goes back to its checkpoint; so ours is a metric of its own."""

INIT_SECONDS = 10.0
"""How long W&B may take to reach its server; training waits for it."""
FINISH_SECONDS = 60.0
"""How long the last uploads may take. What is left stays on disk, for `wandb sync`."""

_WANDB_MODES = ("online", "offline", "disabled", "shared", "run", "dryrun")
_GOES_ON = f"training goes on, metrics go to {METRICS_FILE} only"

_log = logging.getLogger(__name__)


class MetricsLogger(Protocol):
    """Takes what training measures."""

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Logs numbers at `step`, the env steps so far. No metric may be called "step" or "env_steps"."""
        ...

    def log_video(self, name: str, path: Path, step: int) -> None:
        """Logs the mp4 at `path`, which may be replaced afterwards."""
        ...

    def flush(self) -> None:
        """Brings what is logged to where a loss of power does not reach it."""
        ...

    def close(self) -> None:
        """Writes out what is pending; harmless when repeated."""
        ...


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


class WandbLogger:
    """A W&B run. When it fails, it says so in one warning and takes nothing more; training goes on."""

    def __init__(self, start: Callable[[], "wandb.Run | None"]) -> None:
        self._run: wandb.Run | None = None
        try:
            self._run = start()
        except Exception as error:  # Of whatever kind: no fault of W&B's may cost the training.
            _warn("could not start", error, _GOES_ON)

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        self._attempt(lambda run: run.log({**metrics, STEP_METRIC: step}))

    def log_video(self, name: str, path: Path, step: int) -> None:
        def send(run: "wandb.Run") -> None:
            import wandb

            run.log({name: wandb.Video(str(path)), STEP_METRIC: step})

        self._attempt(send)

    def flush(self) -> None:
        """Does nothing: W&B keeps a file of its own."""

    def close(self) -> None:
        self._attempt(lambda run: run.finish(), "what is not uploaded stays on disk, for `wandb sync`")
        self._run = None

    def _attempt(self, action: "Callable[[wandb.Run], None]", otherwise: str = _GOES_ON) -> None:
        if self._run is None:
            return
        try:
            action(self._run)
        except Exception as error:  # As above.
            self._run = None
            _warn("failed", error, otherwise)


class _Both:
    """Metrics to the file first, which does not fail when the network does."""

    def __init__(self, *loggers: MetricsLogger) -> None:
        self._loggers = loggers

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        for logger in self._loggers:
            logger.log(metrics, step)

    def log_video(self, name: str, path: Path, step: int) -> None:
        for logger in self._loggers:
            logger.log_video(name, path, step)

    def flush(self) -> None:
        for logger in self._loggers:
            logger.flush()

    def close(self) -> None:
        for logger in self._loggers:
            logger.close()


def make_logger(
    run_dir: Path, mode: WandbMode, config: Mapping[str, object], *, name: str, resume_at: int | None = None
) -> MetricsLogger:
    """Returns a logger into an existing run directory.

    resume_at: the env steps at which both file and W&B run are continued; the file's later rows are dropped.
    `config` and `name` are shown by W&B. Never asks for anything, and prints nothing but one line,
    through `logging`, where W&B fails. Raises OSError where the directory cannot be written to.
    """
    metrics_file = JsonlLogger(run_dir / METRICS_FILE, resume_at)
    asked = (os.environ.get("WANDB_MODE") or mode) if mode == "auto" else mode
    if asked == "disabled":
        return metrics_file
    resume = resume_at is not None
    return _Both(metrics_file, WandbLogger(lambda: _start_run(run_dir, asked, config, name=name, resume=resume)))


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


def _start_run(
    run_dir: Path, mode: str, config: Mapping[str, object], *, name: str, resume: bool
) -> "wandb.Run | None":
    """Returns the W&B run in `run_dir`, or None where the user's own settings disable it."""
    import wandb

    mode = _resolve_mode(mode)
    if mode == "disabled":
        return None
    id_file = run_dir / RUN_ID_FILE
    run_id = id_file.read_text(encoding="utf-8").strip() if resume and id_file.is_file() else None
    run = wandb.init(
        project=wandb.setup().settings.project or "limbshift",
        name=name,
        config=dict(config),
        dir=run_dir,
        id=run_id,
        resume="allow" if run_id else None,
        mode=mode,  # type: ignore[arg-type]  # WANDB_MODE may hold more than our flag.
        reinit="create_new",  # A run that the calling program has open is not ours to write to.
        settings=wandb.Settings(
            silent=True,
            console="off",
            init_timeout=INIT_SECONDS,
            finish_timeout=FINISH_SECONDS,
            finish_timeout_raises=True,
        ),
    )
    run.define_metric(STEP_METRIC, hidden=True)
    run.define_metric("*", step_metric=STEP_METRIC)
    with replacing(id_file) as temporary:
        temporary.write_text(run.id + "\n", encoding="utf-8")
    return run


def _resolve_mode(mode: str) -> str:
    """Returns what `mode`, a flag's or WANDB_MODE's, comes to here.

    Raises ValueError for a mode that W&B does not have, RuntimeError for one that needs a key where there is none.
    """
    import wandb

    if mode not in ("auto", *_WANDB_MODES):
        raise ValueError(f"WANDB_MODE is {mode}, expected {', '.join(_WANDB_MODES)}")
    wandb.setup(wandb.Settings(silent=True, mode="online") if mode == "online" else wandb.Settings(silent=True))
    if mode in ("offline", "dryrun"):
        return mode
    if mode == "auto":  # "online" is what W&B is set to where nobody set it, and a key may lie about by chance
        configured = wandb.setup().settings.mode
        return "offline" if configured == "online" else configured
    # With a key in hand init does not ask for one; without, it would wait at the terminal.
    if wandb.login(prompt=False, verify=False):
        return mode
    raise RuntimeError("found no API key, expected WANDB_API_KEY or a key stored by `wandb login`")


def _warn(what: str, error: Exception, otherwise: str) -> None:
    first_line = next(iter(str(error).splitlines()), type(error).__name__)  # What follows is advice on W&B's API.
    reason = textwrap.shorten(first_line, 200)
    _log.warning("Weights & Biases %s (%s); %s", what, reason, otherwise)
