"""The charts of evaluations: of one controller beside its controls, or of several controllers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain, cycle

from limbshift.experiments.figures.chart import Chart, Series
from limbshift.experiments.figures.tables import LABELS, tasks_phrase
from limbshift.meta.evaluation.adaptation import Adaptation, AdaptationCurve

COLOURS = {
    "controller": "#2b74c9",
    "memory_off": "#d9741b",
    "memory_wiped_each_episode": "#8f61bd",
    "random": "#8a8f98",
}
FIRST_EPISODE, LAST_EPISODE = "#79c99e", "#0c6b45"
"""Light and dark of one hue, which no way to act has."""
PALETTE = ("#2b74c9", "#d9741b", "#17a398", "#e0559e", "#8f61bd", "#2e9157", "#c9424e", "#94b52c")
"""Of controllers beside each other."""
SIDESTEP = 0.03
"""By how many episodes ways to act stand beside each other."""
Curves = Mapping[str, tuple[str, AdaptationCurve]]
"""Colours and figures by name."""


def colours_of(names: Iterable[str]) -> dict[str, str]:
    """Returns a colour for each controller."""
    return dict(zip(names, cycle(PALETTE), strict=False))


def ways_to_act(results: Mapping[str, Adaptation]) -> Curves:
    """Returns what is shown of controllers by name: all controls of one; of several, random actions alone."""
    if len(results) == 1:
        (result,) = results.values()
        controls = {_label(name): (COLOURS[name], curve) for name, curve in result.controls.items()}
        return {_label("controller"): (COLOURS["controller"], result)} | controls
    colours = colours_of(results)
    first = next(iter(results.values()))
    curves: dict[str, tuple[str, AdaptationCurve]] = {name: (colours[name], result) for name, result in results.items()}
    return curves | {_label("random"): (COLOURS["random"], first.controls["random"])}


def by_episode(results: Mapping[str, Adaptation]) -> Chart:
    """Returns the return by episode on one split, with its interval."""
    first = next(iter(results.values()))
    curves = ways_to_act(results)
    series = []
    episodes = list(range(1, first.episodes + 1))
    for name, (colour, figures) in curves.items():
        ends = [interval or (iqm, iqm) for iqm, interval in zip(figures.iqm, figures.ci95, strict=True)]
        series.append(
            Series(name, colour, episodes, figures.iqm, ([low for low, _ in ends], [high for _, high in ends]))
        )
    title = tasks_phrase(first)
    label = "return (IQM, 95 % interval)"
    return Chart(title, "episode of the trial", label, tuple(series), ticks=tuple(episodes), sidestep=SIDESTEP)


def alike(charts: Sequence[Chart]) -> list[Chart]:
    """Returns the charts with one range of the y axis, so that heights can be compared."""
    ends = [value for chart in charts for series in chart.series for value in chain(series.y, *(series.interval or ()))]
    low, high = min(value for value in ends if value is not None), max(value for value in ends if value is not None)
    edge = 0.05 * (high - low or 1.0)
    return [replace(chart, y_range=(low - edge, high + edge)) for chart in charts]


def by_step(results: Mapping[str, Adaptation]) -> Chart:
    """Returns the mean reward at each step: of one controller in first and last episode, of several in the first."""
    first = next(iter(results.values()))
    seconds = [step * first.control_timestep_s for step in range(first.horizon)]

    def line(name: str, colour: str, result: Adaptation, *, episode: int) -> Series:
        return Series(name, colour, seconds, result.mean_reward_per_step[episode], dots=False)

    border = None
    if len(results) == 1:
        series = [line("episode 1", FIRST_EPISODE, first, episode=0)]
        if first.episodes > 1:
            series.append(line(f"episode {first.episodes}", LAST_EPISODE, first, episode=-1))
        if first.adaptation_time_s is not None:
            border = (first.adaptation_time_s, f"adapted within {first.adaptation_time_s:.2f} s")
    else:
        series = [line(name, colour, results[name], episode=0) for name, colour in colours_of(results).items()]
    title = "Reward in the episode" if len(results) == 1 else "Reward in episode 1"
    return Chart(title, "robot time in the episode, s", "mean reward per step", tuple(series), border=border)


def _label(name: str) -> str:
    return LABELS[name].replace("\n", " ")
