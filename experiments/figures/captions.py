"""What videos write of a task and of what is measured."""

from collections.abc import Callable, Mapping

from limbshift.envs.family import TaskFamily
from limbshift.envs.task_step import Measure
from limbshift.envs.tasks.parameter import TaskParameter

Values = list[tuple[str, float]]
"""The parts of a caption's group, and their values."""
Captions = Mapping[str, Callable[[Values], str]]
"""How those of each group are written."""


def task_lines(family: TaskFamily, task: Mapping[str, float]) -> list[str]:
    """Returns a task in few words, such as "direction -1", "wiring + - + + - +", "mass: torso 1.2, bthigh 0.43"."""
    return _lines(family, task, _CAPTIONS)


def task_sentence(family: TaskFamily, task: Mapping[str, float]) -> str:
    """Returns a task in words where there is room, such as "direction -1; reversed: bthigh, fshin"."""
    return "; ".join(_lines(family, task, {**_CAPTIONS, "wiring": _reversed}))


def _lines(family: TaskFamily, task: Mapping[str, float], captions: Captions) -> list[str]:
    plain: list[str] = []
    groups: dict[str, Values] = {}
    for parameter in family.parameters:
        value = task[parameter.name]
        if parameter.caption:
            groups.setdefault(parameter.caption.group, []).append((parameter.caption.part, value))
        else:
            plain.append(f"{words(parameter)} {short(value)} {parameter.unit}".rstrip())
    lines = [", ".join(plain)] if plain else []
    return lines + [captions[group](values) for group, values in groups.items()]


def short(value: float) -> str:
    """Writes a value by two digits, or all before the point.

    >>> short(0.1234), short(-151.3)
    ('0.12', '-151')
    """
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.2g}"


def words(parameter: TaskParameter) -> str:
    return parameter.name.replace("_", " ")


def _masses(parts: Values) -> str:
    return "mass: " + ", ".join(f"{part} {short(value)}" for part, value in parts)


def _wiring(parts: Values) -> str:
    return "wiring " + " ".join("+" if value > 0 else "-" for _, value in parts)


def _reversed(parts: Values) -> str:
    return "reversed: " + (", ".join(part for part, value in parts if value < 0) or "none")


def _dead(parts: Values) -> str:
    return "dead: " + (", ".join(part for part, value in parts if not value) or "none")


_CAPTIONS: Captions = {"mass": _masses, "wiring": _wiring, "dead": _dead}


def measured_words(measure: Measure, value: float, asked: float | None) -> str:
    """Writes a measurement beside what is asked for, unless that is zero.

    >>> measured_words(Measure("speed", "m/s"), 1.234, 1.5), measured_words(Measure("distance", "m"), 0.5, 0.0)
    ('speed 1.23 of 1.50 m/s', 'distance 0.50 m')
    """
    beside = f" of {asked:.2f}" if asked else ""
    return f"{measure.quantity} {value:.2f}{beside} {measure.unit}"
