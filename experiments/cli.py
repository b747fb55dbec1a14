"""The command line: one subcommand for each thing a person runs."""

import contextlib
import io
import re
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from operator import attrgetter
from typing import Annotated, Any

import tyro

from limbshift.envs.errors import InputError, RunFailure
from limbshift.experiments.comparison.config import CompareConfig
from limbshift.experiments.configs import (
    BenchConfig,
    DemoConfig,
    EvaluateConfig,
    FamiliesConfig,
    RegressionConfig,
    RenderConfig,
    TrainConfig,
    TuneConfig,
)

Command = (
    Annotated[DemoConfig, tyro.conf.subcommand("demo")]
    | Annotated[TrainConfig, tyro.conf.subcommand("train")]
    | Annotated[EvaluateConfig, tyro.conf.subcommand("evaluate")]
    | Annotated[RenderConfig, tyro.conf.subcommand("render")]
    | Annotated[FamiliesConfig, tyro.conf.subcommand("families")]
    | Annotated[BenchConfig, tyro.conf.subcommand("bench")]
    | Annotated[CompareConfig, tyro.conf.subcommand("compare")]
    | Annotated[TuneConfig, tyro.conf.subcommand("tune")]
    | Annotated[RegressionConfig, tyro.conf.subcommand("regression")]
)
COMMANDS: Mapping[type, tuple[str, str]] = {
    DemoConfig: ("commands.demo", "run_demo"),
    TrainConfig: ("commands.train", "run_training"),
    EvaluateConfig: ("commands.evaluate", "run_evaluate"),
    RenderConfig: ("commands.render", "run_render"),
    FamiliesConfig: ("commands.families", "run_families"),
    BenchConfig: ("commands.bench", "run_bench"),
    CompareConfig: ("comparison.compare", "run_compare"),
    TuneConfig: ("commands.tune", "run_tune"),
    RegressionConfig: ("examples.regression_command", "run_regression"),
}
"""By configuration, the module and the function that take it."""
DESCRIPTION = "Meta-reinforcement learning for robots that meet bodies and goals they have never seen."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; exit status 0, 2 for what the caller got wrong, 1 for a run that failed."""
    try:
        run(parse(sys.argv[1:] if arguments is None else arguments))
    except InputError as error:
        print(f"limbshift: {error}", file=sys.stderr)
        return 2
    except RunFailure as error:
        print(f"limbshift: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("limbshift: interrupted", file=sys.stderr)
        return 1
    return 0


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
        config = parse_once(arguments)
        assert isinstance(config, TrainConfig)
    if config.resume:
        from limbshift.experiments.runs.resume import resumed_config

        return resumed_config(given_settings(arguments, config))
    return config


def given_settings(arguments: Sequence[str], config: TrainConfig) -> dict[str, Any]:
    """Returns by name the settings that a command line of `train` gives, as opposed to those left at their defaults."""
    options = (argument.partition("=")[0] for argument in arguments if argument.startswith("--"))
    names = [option.removeprefix("--").replace("-", "_") for option in options]
    return {name: attrgetter(name)(config) for name in (*names, *(("family",) if config.family else ()))}


def parse_once(arguments: Sequence[str]) -> object:
    """The chosen command's configuration; InputError with tyro's message, on one line."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stderr(printed):
            return tyro.cli(
                Command,
                prog="limbshift",
                description=DESCRIPTION,
                args=list(arguments),
                config=(tyro.conf.FlagCreatePairsOff, tyro.conf.CascadeSubcommandArgs),
            )
    except SystemExit as error:
        if error.code == 0:
            raise
        raise InputError(one_line(printed.getvalue())) from error


def one_line(box: str) -> str:
    """The message in tyro's box, without its frame and without its hints about --help."""
    text = "\n".join(re.sub("[│╭╮╰╯|]", "", line).strip() for line in box.splitlines()[1:-1])
    paragraphs = [part.strip() for part in re.split("[─-]{3,}", text)]  # the rule is of hyphens in ASCII terminals
    kept = [part.split("\n\n")[0] for part in paragraphs if part and "helptext" not in part]
    return "; ".join(" ".join(part.split()) for part in kept).removeprefix("Error parsing ")


def run(config: object) -> None:
    """Hands the configuration to its command, which is imported now: help and errors need not wait for PyTorch."""
    for kind, (module, function) in COMMANDS.items():
        if isinstance(config, kind):
            getattr(import_module(f"limbshift.experiments.{module}"), function)(config)


if __name__ == "__main__":
    sys.exit(main())
