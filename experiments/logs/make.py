"""The loggers that a run asks for."""

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from limbshift.envs.errors import InputError
from limbshift.experiments.configs import Log
from limbshift.experiments.logs.logger import METRICS_FILE, Both, MetricsLogger
from limbshift.experiments.logs.metrics_file import JsonlLogger
from limbshift.experiments.logs.tensorboard import TensorboardLogger
from limbshift.experiments.logs.weights_and_biases import WandbLogger, WandbRun, start_run


def check_log(log: Log) -> None:
    """Raises InputError where what logs there is not installed."""
    if log == "tensorboard" and find_spec("tensorboardX") is None:
        raise InputError("log tensorboard needs tensorboardX: pip install '.[tensorboard]'")


def make_logger(
    run_dir: Path, log: Log, asked: WandbRun, *, config: Mapping[str, object], resume_at: int | None = None
) -> MetricsLogger:
    """Returns a logger into an existing run directory.

    asked: of W&B's run, if it is to be one. resume_at: the env steps at which both file and W&B run are continued; the
    file's later rows are dropped. `config` is shown by W&B. Never asks for anything, and prints nothing but one line,
    through `logging`, where W&B fails. Raises OSError where the directory cannot be written to.
    """
    metrics_file = JsonlLogger(run_dir / METRICS_FILE, resume_at)
    if log == "tensorboard":
        return Both(metrics_file, TensorboardLogger(run_dir, resume_at))
    mode = (os.environ.get("WANDB_MODE") or asked.mode) if asked.mode == "auto" else asked.mode
    if mode == "disabled":
        return metrics_file
    run = asked._replace(mode=mode)
    begun = WandbLogger(
        lambda: start_run(run_dir, run, config, resume=resume_at is not None), run_dir / "wandb" / "data"
    )
    return Both(metrics_file, begun)
