"""The main job in one command: train, evaluate with controls, film, and say what was learned."""

import shlex
from pathlib import Path

from rich.console import Console
from rich.panel import Panel

from limbshift.agents.atomic_write import check_names
from limbshift.experiments.commands.evaluate import draw, evaluate
from limbshift.experiments.commands.train import run_training
from limbshift.experiments.configs import DemoConfig, TrainConfig
from limbshift.experiments.figures.tables import print_adaptation
from limbshift.experiments.logs.logger import METRICS_FILE
from limbshift.experiments.runs.directory import CONTROLLER, VIDEO, make_directory, write_json
from limbshift.experiments.terminal import make_console
from limbshift.meta.evaluation.adaptation import Adaptation

FAMILY = "HalfCheetahDir"
EPISODES, HORIZON = 2, 100


def run_demo(config: DemoConfig, console: Console | None = None) -> Path:
    """Runs the command. Returns the directory of the results."""
    console = console or make_console()
    run = config.out or make_directory(Path("runs/demo"))
    check_names(run)
    console.print("A cheetah is to run forward or backward, and is not told which: it must find out from rewards.")
    training = TrainConfig(
        family=FAMILY, minutes=config.minutes, run_dir=run, episodes=EPISODES, horizon=HORIZON, wandb=config.wandb
    )
    run_training(training, console=console)
    result = evaluate(run)
    write_json(run / "adaptation.json", result.as_json())
    draw(result, run / "adaptation.png")
    print_adaptation(result, console)
    console.print(Panel(summary(result, run), title="What was learned", expand=False))
    return run


def summary(result: Adaptation, run: Path) -> str:
    """Returns the last screen."""
    off, random = result.controls["memory_off"], result.controls["random"]
    time = result.adaptation_time_s
    if time is None:
        adapted = "It has not learned to adapt yet."
    elif result.worst10[-1] <= random.iqm[-1]:
        adapted = "It has not learned to run both ways yet: on one of them it is no better than random actions."
    else:
        adapted = (
            f"Within {time:.1f} s of robot time it finds out which way and runs nearly as well as in the last episode."
        )
    files = [
        ("video", VIDEO),
        ("plot", "adaptation.png"),
        ("figures", "adaptation.json"),
        ("controller", CONTROLLER),
        ("metrics", METRICS_FILE),
    ]
    shown = [(what, run / name) for what, name in files if (run / name).exists()]
    lines = [
        f"Return per episode: {result.iqm[-1]:.0f} with memory, {off.iqm[-1]:.0f} with memory switched off, "
        f"{random.iqm[-1]:.0f} by random actions.",
        adapted,
        "",
        *(f"{what:<10} {path}" for what, path in shown),
        "",
        f"See it again: {shlex.join(['limbshift', 'render', str(run), '--out', str(run / VIDEO)])}",
    ]
    return "\n".join(lines)
