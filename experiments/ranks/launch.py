"""Starts the ranks of a training on this machine, by PyTorch's own launcher, and waits for them."""

import json
import logging
import signal
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from limbshift.envs.errors import InputError, RunFailure
from limbshift.experiments.configs import TrainConfig
from limbshift.experiments.ranks.worker_files import ENDED, FINISHED, SETTINGS
from limbshift.experiments.runs.directory import holds_run, write_json
from limbshift.experiments.runs.resume import as_json

WORKER = "limbshift.experiments.ranks.worker"
SECONDS_TO_SAVE = 600
"""After Ctrl-C the ranks end the iteration that they are in, and save; what takes longer is killed."""
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")


def launch(config: TrainConfig, run: Path) -> bool:
    """Trains in `config.ranks` processes; returns whether the budget is spent, as opposed to an interrupt.

    run: the run's directory. Raises what ended a rank.
    """
    with TemporaryDirectory() as folder, _quiet_launcher():
        files = Path(folder)
        write_json(files / SETTINGS, {**as_json(config, run), "resume": config.resume})
        launcher = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=config.ranks or 1,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            local_addr="localhost",
            run_id=uuid.uuid4().hex,
            max_restarts=0,
            shutdown_timeout=SECONDS_TO_SAVE,
            signals_to_handle=",".join(SIGNALS),
        )
        try:
            elastic_launch(launcher, sys.executable)("-m", WORKER, str(files))
        except SignalException as error:  # which the ranks were sent as well
            _raise_what_ended(files)
            if not holds_run(run):
                raise KeyboardInterrupt from error
        except ChildFailedError as error:
            _raise_what_ended(files)
            codes = {rank: failure.exitcode for rank, failure in error.failures.items()}
            # Those that were still there were sent SIGTERM.
            rank, code = min(codes.items(), key=lambda ended: ended[1] == -signal.SIGTERM)
            how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit status {code}"
            raise RunFailure(f"rank {rank} of {config.ranks} was ended {how}, expected it to train") from error
        return (files / FINISHED).exists()


def _raise_what_ended(files: Path) -> None:
    """Raises what a rank has told of its end, if one has."""
    if not (files / ENDED).exists():
        return
    told = json.loads((files / ENDED).read_text())
    if told["status"] == 2:
        raise InputError(told["line"])
    raise RunFailure(told["line"])


@contextmanager
def _quiet_launcher() -> Iterator[None]:
    """Keeps the launcher's log off the user's terminal, and gives back the signals' handlers that it replaces."""
    names = [name for name in logging.root.manager.loggerDict if name.startswith("torch.distributed.elastic")]
    levels = {name: logging.getLogger(name).level for name in names}
    handlers = {number: signal.getsignal(number) for number in map(signal.Signals.__getitem__, SIGNALS)}
    for name in names:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():
                signal.signal(number, handler)
