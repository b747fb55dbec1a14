"""The command line: one subcommand for each thing a person runs."""

import contextlib
import io
import re
import sys
from collections.abc import Sequence
from typing import Annotated

import tyro

from limbshift.envs import robots
from limbshift.envs.errors import InputError
from limbshift.envs.physics.mujoco_batch import SimulationError
from limbshift.envs.physics.protocol import CapacityError
from limbshift.envs.rendering import RenderingError
from limbshift.experiments.commands.bench import run_bench
from limbshift.experiments.commands.demo import run_demo
from limbshift.experiments.commands.evaluate import run_evaluate
from limbshift.experiments.commands.families import run_families
from limbshift.experiments.commands.render import run_render
from limbshift.experiments.commands.train import run_training
from limbshift.experiments.commands.tune import run_tune
from limbshift.experiments.comparison.compare import run_compare
from limbshift.experiments.configs import (
    BenchConfig,
    CompareConfig,
    DemoConfig,
    EvaluateConfig,
    FamiliesConfig,
    RegressionConfig,
    RenderConfig,
    TrainConfig,
    TuneConfig,
)
from limbshift.experiments.examples.regression_command import run_regression
from limbshift.experiments.runs.presets import preset_arguments

assert robots  # imported for the families that it registers

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
DESCRIPTION = "Meta-reinforcement learning for robots that meet bodies and goals they have never seen."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; exit status 0, 2 for what the caller got wrong, 1 for a run that failed."""
    try:
        run(parse(sys.argv[1:] if arguments is None else arguments))
    except InputError as error:
        print(f"limbshift: {error}", file=sys.stderr)
        return 2
    except (RenderingError, SimulationError, CapacityError) as error:
        print(f"limbshift: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("limbshift: interrupted", file=sys.stderr)
        return 1
    return 0


def parse(arguments: Sequence[str]) -> object:
    """The chosen command's configuration, with a preset's settings where it names one."""
    config = parse_once(arguments)
    if isinstance(config, TrainConfig) and config.preset:
        command, *given = arguments
        # Of an option that is given twice the last counts.
        return parse_once([command, *preset_arguments(config.preset), *given])
    return config


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
    """Hand the configuration to its command."""
    match config:
        case DemoConfig():
            run_demo(config)
        case TrainConfig():
            run_training(config)
        case EvaluateConfig():
            run_evaluate(config)
        case RenderConfig():
            run_render(config)
        case FamiliesConfig():
            run_families(config)
        case BenchConfig():
            run_bench(config)
        case CompareConfig():
            run_compare(config)
        case TuneConfig():
            run_tune(config)
        case RegressionConfig():
            run_regression(config)
        case _:
            raise AssertionError(f"no command for {config!r}")


if __name__ == "__main__":
    sys.exit(main())
