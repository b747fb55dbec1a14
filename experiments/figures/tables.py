"""An evaluation as a table on the terminal."""

import numpy as np
from rich.console import Console
from rich.table import Table

from limbshift.experiments.figures.trials import trials_phrase, unit_of
from limbshift.experiments.terminal import make_console
from limbshift.meta.evaluation.adaptation import Adaptation, AdaptationCurve, Measurement
from limbshift.meta.evaluation.shifts import Shift

CAPTION = (
    "Interquartile mean over {unit}s with its 95 % bootstrap interval. Worst tenth: mean of the worst tenth of the "
    "{unit}s in the last episode. Adapted: robot time until episode 1 has 90 % of the last episode's gain over random "
    "actions; - where it does not, or where the last episode is no better than random actions or than without memory."
)
LABELS = {
    "controller": "controller",
    "memory_off": "memory off",
    "memory_wiped_each_episode": "memory wiped\neach episode",
    "random": "random\nactions",
}


def tasks_phrase(result: Adaptation) -> str:
    """Describes tasks, such as "on 64 held-out tasks, never trained on"."""
    seen = "never trained on" if result.unseen else "drawn as in training"
    return f"{trials_phrase(result.num_tasks, result.distinct_tasks, result.split)}, {seen}"


def print_adaptation(result: Adaptation, console: Console | None = None) -> None:
    """Prints a row for each episode, a column for each way to act."""
    console = console or make_console()
    variant = "" if result.variant == "default" else f" ({result.variant})"
    title = f"{result.family}{variant}: return per episode {tasks_phrase(result)}"
    unit = unit_of(result.num_tasks, result.distinct_tasks)
    caption = f"{CAPTION.format(unit=unit)} Physics on {result.physics}, network on {result.device}."
    table = Table(title=title, caption=caption, title_justify="left", caption_justify="left", show_lines=True)
    table.add_column("episode")
    for name in ("controller", *result.controls):
        table.add_column(LABELS[name], justify="right", style="bold" if name == "controller" else None)
    ways: list[AdaptationCurve] = [result, *result.controls.values()]
    for episode in range(result.episodes):
        table.add_row(str(episode + 1), *(_cell(figures, episode) for figures in ways))
    table.add_row("worst tenth", *(f"{figures.worst10[-1]:.1f}" for figures in ways))
    table.add_row("adapted", _time(result.adaptation_time_s), *("" for _ in result.controls))
    console.print(table)
    if result.measured:
        console.print(measured_sentence(result.measured), highlight=False)
    if result.shift:
        console.print(shift_sentence(result.shift), highlight=False)
    falls = [count for trial in result.falls for count in trial]
    if any(falls):
        mean = sum(falls) / len(falls)
        console.print(f"The robot fell {mean:.2f} times an episode; returns count up to the first fall.")


def measured_sentence(measured: Measurement) -> str:
    """Says what was measured, by episode.

    >>> speeds = [[1.0, 2.0], [2.0, 3.0]]
    >>> measured_sentence(Measurement("speed", "m/s", speeds, None, speeds, None))
    'Mean speed by episode: 1.5, 2.5 m/s.'
    """
    words = f"Mean {measured.quantity} by episode: {_means(measured.mean)} {measured.unit}"
    if measured.near is not None:
        there = 100 * np.mean(np.abs(measured.at_end)[:, -1] <= measured.near)
        return f"{words}; at the end of the last within {measured.near:g} {measured.unit} on {there:.0f} % of tasks."
    if measured.miss and measured.miss != measured.mean:
        return f"{words}; {_means(measured.miss)} {measured.unit} from what is asked."
    return f"{words}."


def _means(values: list[list[float]]) -> str:
    """Writes means over trials of (trial, episode) values."""
    return ", ".join(f"{mean:.3g}" for mean in np.mean(values, axis=0))


def shift_sentence(shift: Shift) -> str:
    """Says what the change of task cost."""
    rewards = f"reward per step {shift.reward_with:.2f} at worst, {shift.reward_without:.2f} without the change"
    time = shift.recovery_time_s
    lost = "nothing lost" if time == 0 else "not back within the trial" if time is None else f"back within {time:.2f} s"
    return f"Tasks changed before step {shift.at_step}: {rewards}; {lost}."


def _cell(figures: AdaptationCurve, episode: int) -> str:
    """Writes the IQM and, on a line of its own, its interval."""
    iqm, interval = figures.iqm[episode], figures.ci95[episode]
    digits = 0 if abs(iqm) >= 100 else 1
    return f"{iqm:.{digits}f}" + (f"\n{interval[0]:.{digits}f} to {interval[1]:.{digits}f}" if interval else "")


def _time(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.2f} s"
