"""Weights & Biases: runs to it, and controllers from it.

The only file that imports wandb, and only once it is needed: the import takes a second.
"""

import logging
import os
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from limbshift.agents.atomic_write import replacing
from limbshift.envs.errors import ControllerError
from limbshift.experiments.logs.logger import METRICS_FILE

if TYPE_CHECKING:
    import wandb

RUN_ID_FILE = "wandb_run_id.txt"
STEP_METRIC = "env_steps"
"""W&B's own step may only grow, but a resumed run goes back to its checkpoint; so ours is a metric of its own."""
JOB, ARTIFACT = "train", "model"
"""Kinds of our runs, and of the artifacts that hold their controllers."""

SCHEME = "wandb://"
_PART = re.compile(r"(?!\.+$)[\w.-]+")

INIT_SECONDS = 10.0
"""How long W&B may take to reach its server; training waits for it."""
API_SECONDS = 20
"""How long a download may wait for an answer."""
FINISH_SECONDS = 60.0
"""How long the last uploads may take. What is left stays on disk, for `wandb sync`."""

_WANDB_MODES = ("online", "offline", "disabled", "shared", "run", "dryrun")
_GOES_ON = f"training goes on, metrics go to {METRICS_FILE} only"

_log = logging.getLogger(__name__)


class WandbRun(NamedTuple):
    """How a run is to be found."""

    name: str
    mode: str
    """One of W&B's, or auto."""
    group: str = ""
    tags: tuple[str, ...] = ()


class WandbLogger:
    """A W&B run. When it fails, it says so in one warning and takes nothing more; training goes on."""

    def __init__(self, start: Callable[[], "wandb.Run | None"], folder: Path) -> None:
        """folder: where W&B keeps what is to be uploaded, unless WANDB_DATA_DIR says where."""
        self._folder = folder
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

    def log_table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[float]], *, step: int) -> None:
        def send(run: "wandb.Run") -> None:
            import wandb

            table = wandb.Table(columns=list(columns), data=[list(row) for row in rows])
            with _data_in(self._folder):
                run.log({name: table, STEP_METRIC: step})

        self._attempt(send)

    def log_controller(self, folder: Path, about: Mapping[str, object]) -> None:
        def send(run: "wandb.Run") -> None:
            import wandb

            artifact = wandb.Artifact(_artifact_of(run.id), ARTIFACT, metadata=dict(about))
            with _data_in(self._folder):
                artifact.add_dir(str(folder))
                run.log_artifact(artifact)

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


@contextmanager
def _data_in(folder: Path) -> Iterator[None]:
    """Lets W&B keep files in a folder, rather than in the user's home, unless the user said where."""
    if "WANDB_DATA_DIR" in os.environ:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["WANDB_DATA_DIR"] = str(folder.absolute())
    try:
        yield
    finally:
        del os.environ["WANDB_DATA_DIR"]


def start_run(run_dir: Path, asked: WandbRun, config: Mapping[str, object], *, resume: bool) -> "wandb.Run | None":
    """Returns the W&B run in `run_dir`, or None where the user's own settings disable it."""
    import wandb

    mode = _resolve_mode(asked.mode)
    if mode == "disabled":
        return None
    id_file = run_dir / RUN_ID_FILE
    run_id = id_file.read_text(encoding="utf-8").strip() if resume and id_file.is_file() else None
    run = wandb.init(
        project=wandb.setup().settings.project or "limbshift",
        name=asked.name,
        group=asked.group or None,
        job_type=JOB,
        tags=list(asked.tags) or None,
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
    _log.warning("Weights & Biases %s (%s); %s", what, _first_line(error), otherwise)


def is_address(name: str) -> bool:
    """Returns whether a controller is named by a run of W&B's, as "wandb://ENTITY/PROJECT/RUN"."""
    return name.startswith(SCHEME)


@cache
def downloaded(address: str) -> Path:
    """Returns a folder, in the user's cache, of the newest controller that a run has logged; once in a process.

    Raises ControllerError, one line, for what is no address, and where there is no such run, no key or no network.
    """
    parts = address.removeprefix(SCHEME).split("/")
    if len(parts) != 3 or not all(_PART.fullmatch(part) for part in parts):
        raise ControllerError(f"controller is {address}, expected {SCHEME}ENTITY/PROJECT/RUN")
    entity, project, run = parts
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = home / "limbshift" / "wandb" / entity / project / run
    import wandb

    try:
        wandb.setup(wandb.Settings(silent=True))
        if not wandb.login(prompt=False, verify=False):
            raise ControllerError(
                f"{address} needs a key of W&B's, expected WANDB_API_KEY or one stored by `wandb login`"
            )
        artifact = wandb.Api(timeout=API_SECONDS).artifact(f"{entity}/{project}/{_artifact_of(run)}:latest", ARTIFACT)
        artifact.download(str(folder))
    except ControllerError:
        raise
    except Exception as error:  # W&B's own, its HTTP client's and its validator's
        raise ControllerError(
            f"{address} could not be downloaded ({_first_line(error)}), expected a run whose training has ended, and"
            " the network"
        ) from error
    return folder


def _artifact_of(run: str) -> str:
    """Returns the name of the artifact that holds a run's controller."""
    return f"controller-{run}"


def _first_line(error: Exception) -> str:
    first, *rest = str(error).splitlines() or [type(error).__name__]  # What follows is advice on W&B's API.
    told = " ".join([first, *rest[:2]]) if isinstance(error, ValueError) else first  # a validator's first line is none
    return textwrap.shorten(told, 200)
