"""The command line: one subcommand for each thing a person runs."""

import codecs
import contextlib
import io
import signal
import sys
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from errno import EACCES, EEXIST, EISDIR, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, EPERM, EROFS
from importlib import import_module
from operator import attrgetter
from typing import Any, TypeVar

import tyro

from limbshift.envs.errors import InputError, RunFailure
from limbshift.envs.schema import shortened
from limbshift.experiments.benchmarks.config import BenchConfig
from limbshift.experiments.commands.config import EvaluateConfig, ExportConfig, RenderConfig
from limbshift.experiments.comparison.config import CompareConfig, TuneConfig
from limbshift.experiments.configs import DemoConfig, DistillConfig, FamiliesConfig, RegressionConfig, TrainConfig
from limbshift.experiments.reporting.config import ReportConfig
from limbshift.experiments.runs.own_code import failure_of_own
from limbshift.experiments.sharing.config import ControllersConfig, ShareConfig
from limbshift.experiments.usage_errors import missing_command, unknown_command, usage_error
from limbshift.experiments.watching.config import WatchConfig

T = TypeVar("T")
Told = InputError | RunFailure | OSError | KeyboardInterrupt
"""What ends a command with one line."""
SUBCOMMANDS: Mapping[str, type] = {
    "demo": DemoConfig,
    "train": TrainConfig,
    "distill": DistillConfig,
    "evaluate": EvaluateConfig,
    "render": RenderConfig,
    "watch": WatchConfig,
    "export": ExportConfig,
    "report": ReportConfig,
    "share": ShareConfig,
    "controllers": ControllersConfig,
    "families": FamiliesConfig,
    "bench": BenchConfig,
    "compare": CompareConfig,
    "tune": TuneConfig,
    "regression": RegressionConfig,
}
"""What each is told, by name."""
COMMANDS: Mapping[type, tuple[str, str]] = {
    DemoConfig: ("commands.demo", "run_demo"),
    TrainConfig: ("commands.train", "run_training"),
    EvaluateConfig: ("commands.evaluate", "run_evaluate"),
    RenderConfig: ("commands.render", "run_render"),
    WatchConfig: ("commands.watch", "run_watch"),
    ExportConfig: ("commands.export", "run_export"),
    ReportConfig: ("reporting.report", "run_report"),
    ShareConfig: ("sharing.share", "run_share"),
    ControllersConfig: ("sharing.listing", "run_controllers"),
    FamiliesConfig: ("commands.families", "run_families"),
    BenchConfig: ("benchmarks.bench", "run_bench"),
    CompareConfig: ("comparison.compare", "run_compare"),
    TuneConfig: ("commands.tune", "run_tune"),
    RegressionConfig: ("examples.regression_command", "run_regression"),
}
"""By configuration, the module and the function that take it."""
WRONG_PATH = (ENAMETOOLONG, ENOENT, ENOTDIR, EISDIR, EEXIST, ELOOP, EACCES, EPERM, EROFS)
"""Errors of the system that a path on the command line makes."""
DESCRIPTION = "Meta-reinforcement learning for robots that meet bodies and goals they have never seen."


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; exit status 0, 2 for what the caller got wrong, 1 for a run that failed."""
    print_anywhere()
    if arguments is None:  # this process is the command's
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # and nothing is left half-written
    return answer(lambda: run(parse(sys.argv[1:] if arguments is None else arguments)))


def answer(command: Callable[[], object]) -> int:
    """Runs a command and returns its exit status; says on one line why it is not 0."""
    try:
        command()
    except (Exception, KeyboardInterrupt) as error:
        known = error if isinstance(error, Told) else failure_of_own(error)
        if known is None:
            raise
        line, status = explained(known)
        print(f"limbshift: {line}", file=sys.stderr)
        return status
    return 0


def explained(error: Told) -> tuple[str, int]:
    """Returns the line and the exit status with which an error ends a command."""
    if isinstance(error, OSError):
        what = shortened(error.filename) if error.filename else "output could not be written"
        return f"{what}: {error.strerror}", 2 if error.errno in WRONG_PATH else 1
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", 1
    return str(error), 2 if isinstance(error, InputError) else 1


def print_anywhere() -> None:
    """Lets a terminal that knows fewer letters show what comes nearest: "RL2" for "RL²", or a question mark."""
    codecs.register_error("nearest", _nearest)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and (stream.encoding, stream.errors) != ("utf-8", "surrogateescape"):
            stream.reconfigure(errors="nearest")


def _nearest(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    letters = unicodedata.normalize("NFKD", error.object[error.start : error.end])
    return letters.encode("ascii", "replace").decode(), error.end


def parse(arguments: Sequence[str]) -> object:
    """Returns the chosen command's configuration, with the settings of the preset or of the run that it names."""
    config = parse_once(arguments)
    if not isinstance(config, TrainConfig):
        return config
    if config.preset:
        from limbshift.experiments.runs.presets import preset_arguments

        command, *given = arguments
        # Of an option that is given twice the last counts.
        arguments = [command, *preset_arguments(config.preset), *given]
        try:
            with_preset = parse_once(arguments)
        except InputError as error:
            raise InputError(f"preset {config.preset}: {error}") from error
        assert isinstance(with_preset, TrainConfig)
        config = with_preset
    if config.resume:
        from limbshift.experiments.runs.resume import resumed_config

        return resumed_config(given_settings(arguments, config))
    return config


def given_settings(arguments: Sequence[str], config: TrainConfig) -> dict[str, Any]:
    """Returns by name the settings that a command line of `train` gives, as opposed to those left at their defaults."""
    options = (argument.partition("=")[0] for argument in arguments if argument.startswith("--"))
    names = [_setting(option.removeprefix("--").replace("-", "_"), config) for option in options]
    return {name: attrgetter(name)(config) for name in (*names, *(("family",) if config.family else ()))}


def _setting(option: str, config: TrainConfig) -> str:
    """Returns the setting of an option: --no-overlap is of overlap, and --no-memory of no_memory."""
    positive = option.removeprefix("no_")
    return positive if hasattr(config, positive) else option


def parse_once(arguments: Sequence[str]) -> object:
    """Returns the chosen command's configuration; InputError on one line, with what was probably meant."""
    if not arguments:
        raise InputError(missing_command(SUBCOMMANDS))
    name, *rest = arguments
    if name in ("-h", "--help"):
        return tyro.extras.subcommand_cli_from_dict(
            dict(SUBCOMMANDS), prog="limbshift", description=DESCRIPTION, args=[name]
        )
    if name not in SUBCOMMANDS:
        raise InputError(unknown_command(name, SUBCOMMANDS))
    return taken(SUBCOMMANDS[name], rest, command=f"limbshift {name}")


def taken(kind: type[T], arguments: Sequence[str], *, command: str) -> T:
    """Returns a command's configuration; InputError on one line for what it cannot take."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stderr(printed):
            return tyro.cli(kind, prog=command, args=arguments)
    except SystemExit as error:
        if error.code == 0:
            raise
        raise InputError(usage_error(printed.getvalue(), command, kind)) from error


def run(config: object) -> None:
    """Hands the configuration to its command, which is imported now: help and errors need not wait for PyTorch."""
    for kind, (module, function) in COMMANDS.items():
        if isinstance(config, kind):
            getattr(import_module(f"limbshift.experiments.{module}"), function)(config)


if __name__ == "__main__":
    sys.exit(main())
