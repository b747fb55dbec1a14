"""Evaluates controllers on all splits of their family, and writes what came of it as a page."""

import base64
import platform
import re
import shlex
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from rich.console import Console

from limbshift.agents.atomic_write import check_writable
from limbshift.agents.controller import Controller
from limbshift.envs.errors import InputError, RenderingError
from limbshift.envs.family import TaskFamily
from limbshift.experiments.commands.config import EvaluateConfig
from limbshift.experiments.commands.measure import measure
from limbshift.experiments.commands.render import film_of
from limbshift.experiments.figures import adaptation_charts, parameter_charts
from limbshift.experiments.figures.captions import task_sentence
from limbshift.experiments.figures.chart import Chart, Series
from limbshift.experiments.figures.tables import measured_sentence
from limbshift.experiments.figures.trials import counted, unit_of
from limbshift.experiments.figures.web.page import write_page
from limbshift.experiments.logs.logger import METRICS_FILE
from limbshift.experiments.logs.metrics_file import read_metrics
from limbshift.experiments.reporting.config import ReportConfig
from limbshift.experiments.runs.controllers import find_controller, load_with_family, same_robot
from limbshift.experiments.runs.directory import CONTROLLER, RunError, holds_run
from limbshift.experiments.runs.resume import flattened, read_config
from limbshift.experiments.runs.trainers import training_command
from limbshift.experiments.sharing.card import SPLITS as NAMES
from limbshift.experiments.sharing.record import SplitRecord
from limbshift.experiments.sharing.record_file import kept_record
from limbshift.experiments.terminal import make_console
from limbshift.experiments.wording import number, percent, with_interval
from limbshift.meta.evaluation.adaptation import Adaptation

TEMPLATE = Path(__file__).with_name("report.html.jinja")
SPLITS = {split: NAMES[split] for split in ("heldout", "train", "extrapolation")}
"""What is reported of, and what each is."""
WORST = 5
"""Tasks that are named, of those where it does worst."""
MIN_LOOKS = 2
"""At validation tasks: one is no curve."""
PACKAGES = ("limbshift", "torch", "mujoco", "gymnasium", "numpy")
"""Whose versions are told."""


class Origin(NamedTuple):
    """How a controller came to be, as far as what lies beside it tells."""

    trained_by: str
    """The command; empty where it is not known."""
    settings: Mapping[str, object]
    """Of the run, by name; empty where there is no run."""
    learning: Series | None
    """Return of the last episode on validation tasks, by env steps in millions."""


class Reported(NamedTuple):
    """All that the page tells of one controller."""

    name: str
    controller: Controller
    origin: Origin
    results: Mapping[str, Adaptation]
    """By split."""
    video: str
    """As a data URL; empty for none."""

    @property
    def heldout(self) -> Adaptation:
        """What it does on held-out tasks, of which every family has some."""
        return self.results["heldout"]


class Weakness(NamedTuple):
    """A task on which a controller does badly."""

    split: str
    task: str
    last: float
    """Return of the last episode."""
    falls: int
    """In the last episode."""


def run_report(config: ReportConfig, console: Console | None = None) -> Path:
    """Runs the command, and returns the page's path."""
    console = console or make_console()
    check_writable(config.out)
    loaded = [load_with_family(name, family_file=config.family_file) for name in config.controllers]
    family = family_of([each for _, each in loaded], [controller for controller, _ in loaded], config.controllers)
    names = names_of(config.controllers)
    colours = adaptation_charts.colours_of(names)
    origins = [
        origin_of(path, family, name=name, colour=colours[name])
        for name, path in zip(names, config.controllers, strict=True)
    ]
    reported = []
    for name, path, origin, (controller, _) in zip(names, config.controllers, origins, loaded, strict=True):
        results = results_of(controller, family, config, name=name, path=path, console=console)
        video = "" if config.no_video else embedded_film(path, family, console)
        reported.append(Reported(name, controller, origin, results, video))
    write(family, reported, config)
    console.print(f"report in {config.out}", highlight=False, soft_wrap=True)
    return config.out


def family_of(families: Sequence[TaskFamily], controllers: Sequence[Controller], names: Sequence[str]) -> TaskFamily:
    """Returns the one family of all; InputError where controllers of several were named, or their trials differ."""

    def kind(place: int) -> tuple[str, str, str]:
        card = controllers[place].card
        return families[place].name, families[place].variant, card.robot

    def trial(place: int) -> str:
        card = controllers[place].card
        return f"{card.episodes_per_trial} x {card.horizon}"

    for place, name in enumerate(names):
        if kind(place) != kind(0):
            one, other = (" ".join(part for part in kind(each) if part not in ("", "default")) for each in (0, place))
            raise InputError(f"{name} was trained on {other}, expected {one} as {names[0]}")
        if not same_robot(families[place], families[0]):
            raise InputError(f"{name} moves another robot of the name {controllers[place].card.robot} than {names[0]}")
        if trial(place) != trial(0):
            raise InputError(f"{name} was trained in trials of {trial(place)}, expected {trial(0)} as {names[0]}")
    return families[0]


def names_of(paths: Sequence[str]) -> list[str]:
    """Returns a short name for each, and the whole path where two would be the same.

    >>> names_of(["runs/a", "runs/b/controller.safetensors"]), names_of(["x/run", "y/run"])
    (['a', 'b'], ['x/run', 'y/run'])
    """
    short = [(path.parent if path.suffix == ".safetensors" else path).name for path in map(Path, paths)]
    names = [name if name and short.count(name) == 1 else path for name, path in zip(short, paths, strict=True)]
    if len(set(names)) < len(names):
        raise InputError(f"controllers are {', '.join(paths)}, expected each once")
    return names


def origin_of(path: str, family: TaskFamily, *, name: str, colour: str) -> Origin:
    """Reads what a run, or a shared folder, holds beside the controller."""
    file = find_controller(path)
    folder = file.parent
    if file.name != CONTROLLER:  # one that lies beside a run's, such as a student's teacher
        return Origin("", {}, None)
    learning = learning_curve(name, folder / METRICS_FILE, colour)
    if not holds_run(folder):
        shared = kept_record(file)
        return Origin(shared.how if shared else "", {}, learning)
    return Origin(training_command(folder, family), flattened(vars(read_config(folder))), learning)


def results_of(
    controller: Controller, family: TaskFamily, config: ReportConfig, *, name: str, path: str, console: Console
) -> dict[str, Adaptation]:
    """Evaluates a controller on each split."""
    results = {}
    for split in SPLITS:
        if split in family.task_space.splits:
            line = f"{name}: {counted(config.num_tasks, 'trial')} of tasks {SPLITS[split]}"
            console.print(line, highlight=False, soft_wrap=True)
            asked = EvaluateConfig(path, split, config.num_tasks, seed=config.seed)
            results[split] = measure(controller, family, asked)
    return results


def learning_curve(name: str, metrics: Path, colour: str) -> Series | None:
    """Returns the validation returns that a run has logged; None where there are not two."""
    try:
        rows = read_metrics(metrics) if metrics.is_file() else []
    except ValueError as error:
        raise RunError(str(error)) from error
    keys = sorted((key for row in rows for key in row if _LOOK.fullmatch(key)), key=_episode)
    looks = [(row["step"], row[keys[-1]]) for row in rows if keys and keys[-1] in row]
    if not all(isinstance(value, int | float | None) for look in looks for value in look):
        raise RunError(f"{metrics} holds what is no number, expected step and {keys[-1]} to be numbers")
    if len(looks) < MIN_LOOKS:
        return None
    return Series(name, colour, [(steps or 0) / 1e6 for steps, _ in looks], [value for _, value in looks])


_LOOK = re.compile(r"validation/return_episode_\d+")


def _episode(key: str) -> int:
    return int(key.rpartition("_")[2])


def embedded_film(path: str, family: TaskFamily, console: Console) -> str:
    """Returns the film as a data URL; empty where there is no OpenGL, which is said."""
    with TemporaryDirectory(prefix="limbshift-film-") as folder:
        try:
            film = film_of(path, family, otherwise=Path(folder) / "film.mp4")
        except RenderingError as error:
            console.print(f"no video of {path}: {error}", highlight=False, soft_wrap=True)
            return ""
        return f"data:video/mp4;base64,{base64.b64encode(film.read_bytes()).decode()}"


def write(family: TaskFamily, reported: Sequence[Reported], config: ReportConfig) -> None:
    """Replaces the page."""
    splits = list(reported[0].results)
    by_split = adaptation_charts.alike(
        [adaptation_charts.by_episode({each.name: each.results[split] for each in reported}) for split in splits]
    )
    curves = [each.origin.learning for each in reported if each.origin.learning]
    learning = Chart("On validation tasks", "env steps, M", "return, last episode", tuple(curves))
    write_page(
        config.out,
        TEMPLATE,
        family=family,
        reported=reported,
        splits={split: SPLITS[split] for split in splits},
        unit=unit_of(config.num_tasks, min(each.distinct_tasks for each in reported[0].results.values())),
        counted=counted,
        by_episode=by_split,
        by_step=adaptation_charts.by_step({each.name: each.heldout for each in reported}),
        by_parameter=parameter_charts.by_parameter(
            {each.name: [result for split, result in each.results.items() if split != "train"] for each in reported},
            family,
        ),
        learning=learning if curves else None,
        weaknesses={each.name: weaknesses(each.results, family) for each in reported},
        with_interval=with_interval,
        number=number,
        falls=falls,
        measured=lambda result: measured_sentence(result.measured) if result.measured else "",
        repeat=repeating(config),
        versions={package: version(package) for package in PACKAGES} | {"Python": platform.python_version()},
    )


def weaknesses(results: Mapping[str, Adaptation], family: TaskFamily) -> list[Weakness]:
    """Returns the tasks on which it does worst in the last episode: held out, and outside the training ranges."""
    found = []
    for split, result in results.items():
        if split == "train":
            continue
        order = sorted(range(result.num_tasks), key=lambda number: result.returns[number][-1])
        found += [
            Weakness(
                SPLITS[split],
                task_sentence(family, result.tasks[number]),
                result.returns[number][-1],
                result.falls[number][-1],
            )
            for number in order[:WORST]
        ]
    return found


def falls(result: Adaptation) -> str:
    """Writes the share of episodes with a fall."""
    return percent(SplitRecord.of(result).falls)


def repeating(config: ReportConfig) -> str:
    """Returns the command that writes the same page."""
    words = ["limbshift", "report", *map(shlex.quote, config.controllers), "--out", shlex.quote(str(config.out))]
    words += ["--tasks", str(config.num_tasks), "--seed", str(config.seed)]
    words += ["--family-file", shlex.quote(config.family_file)] if config.family_file else []
    return " ".join([*words, *(["--no-video"] if config.no_video else [])])
