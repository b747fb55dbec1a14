"""What a person sees beside the robot, and what can be moved and pressed there."""

import math
import queue
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import viser
from numpy.typing import NDArray
from viser import uplot

from limbshift.envs.family import TaskFamily
from limbshift.envs.tasks.parameter import TaskParameter
from limbshift.experiments.watching.live_trial import REWARD_SECONDS, LiveTrial

Order = Callable[[LiveTrial], None]
"""What a person asks of the trial."""
STRIP_COLUMNS, STRIP_SCALE = 16, 18
"""Of the picture of what is remembered: squares in a row, and pixels in a square's edge."""
POINTS = 200
"""Of the curve of rewards."""
BLUE, RED = np.array((0.10, 0.45, 0.95)), np.array((0.85, 0.15, 0.10))


class Page:
    """Buttons, sliders and curves; what is asked for waits in `orders`, for who moves the robot to take it up."""

    def __init__(self, server: viser.ViserServer, live: LiveTrial) -> None:
        self.orders: queue.SimpleQueue[Order] = queue.SimpleQueue()
        self.paused = False
        self._silent = False
        """Whether sliders are being moved by the page itself."""
        self._server, self._family = server, live.family
        server.gui.set_panel_label(live.family.name)
        server.gui.configure_theme(show_logo=False, show_share_button=False)
        server.gui.add_markdown(live.family.description)
        self._status = server.gui.add_markdown("")
        self._add_buttons(live)
        with server.gui.add_folder("Reward per second"):
            self._curve = self._add_curve()
            self._returns = server.gui.add_markdown("")
        with server.gui.add_folder("Task: change it under its feet"):
            self._inputs = {p.name: self._add_input(p, live.task[p.name]) for p in live.family.parameters}
        with server.gui.add_folder("Memory"):
            self._guess = server.gui.add_markdown("")
            self._strip = server.gui.add_image(strip(live.remembered), label="What the memory holds", format="png")

    def show(self, live: LiveTrial, *, frames_per_second: float) -> None:
        """Writes what has changed since the last time."""
        status = (
            f"**{'paused' if self.paused else f'{self.speed:g} x real time'}** · {frames_per_second:.0f} frames/s ·"
            f" {live.steps * live.timestep:.1f} s · fell {live.fell} times"
        )
        with self._server.atomic():
            self._status.content = status
            self._returns.content = returns_table(live)
            if len(live.rewards) > 1:
                self._curve.data, ends = curve_of(live).rows()
                self._curve.scales = scales(*ends)
            self._guess.content = guess_table(self._family, live)
            self._strip.image = strip(live.remembered)

    def refuse(self, reason: str) -> None:
        """Says why what was asked for was not done."""
        for client in self._server.get_clients().values():
            client.add_notification("Not possible", reason, auto_close_seconds=8.0)

    def follow(self, live: LiveTrial) -> None:
        """Puts sliders to where the task is."""
        self._silent = True
        try:
            for parameter in self._family.parameters:
                self._inputs[parameter.name].value = _shown(parameter, live.task[parameter.name])
        finally:
            self._silent = False

    def _add_buttons(self, live: LiveTrial) -> None:
        gui = self._server.gui
        wipe = gui.add_button("Wipe the memory", color="red", hint="The robot goes on, and knows nothing any more")
        wipe.on_click(lambda _: self.orders.put(LiveTrial.wipe))
        begin = gui.add_button("New trial", hint="The same task, from the start and without memory")
        begin.on_click(lambda _: self.orders.put(LiveTrial.new_trial))
        splits = live.family.task_space.splits
        split = gui.add_dropdown("Tasks", splits, initial_value=live.env.task_env.split, hint="Where tasks come from")
        draw = gui.add_button("Draw a task", hint="One of the split that is chosen, and a new trial on it")
        draw.on_click(lambda _: self.orders.put(partial(LiveTrial.draw, split=split.value)))
        self._pause = gui.add_button("Pause")
        self._pause.on_click(lambda _: self._turn())
        self._speed = gui.add_slider("Speed", 0.1, 2.0, 0.1, 1.0, hint="Robot time over real time")

    @property
    def speed(self) -> float:
        """Robot time over real time."""
        return float(self._speed.value)

    def _turn(self) -> None:
        self.paused = not self.paused
        self._pause.label = "Go on" if self.paused else "Pause"

    def _add_input(self, parameter: TaskParameter, value: float) -> Any:
        gui, label = self._server.gui, parameter.name.replace("_", " ")
        hint = parameter.description + (f", {parameter.unit}" if parameter.unit else "")
        entry: Any
        if parameter.choices:
            entry = gui.add_dropdown(
                label, [f"{choice:g}" for choice in parameter.choices], initial_value=f"{value:g}", hint=hint
            )
        else:
            low, high, step = reach(parameter)
            entry = gui.add_slider(label, low, high, step, _shown(parameter, value), hint=hint)

        def ask(_: Any) -> None:
            if not self._silent:
                self.orders.put(partial(LiveTrial.change, values={parameter.name: float(entry.value)}))

        entry.on_update(ask)
        return entry

    def _add_curve(self) -> viser.GuiUplotHandle:
        changed, wiped = (uplot.Series_Points(show=True, size=9, fill=colour) for colour in ("#e0902f", "#c0392b"))
        series = (
            uplot.Series(label="s"),
            uplot.Series(label="reward/s", stroke="#2f6fbf", width=2),
            uplot.Series(label="changed", stroke="#e0902f", width=0, points=changed),
            uplot.Series(label="wiped", stroke="#c0392b", width=0, points=wiped),
        )
        nothing = np.zeros(2)
        return self._server.gui.add_uplot(
            (np.array((-REWARD_SECONDS, 0.0)), nothing, nothing, nothing),
            series,
            scales=scales(0.0, 1.0),
            legend=uplot.Legend(show=True),
            aspect=2.0,
        )


def scales(low: float, high: float) -> dict[str, uplot.Scale]:
    """Returns the ends of both axes."""
    return {
        "x": uplot.Scale(time=False, auto=False, range=(-REWARD_SECONDS, 0.0)),
        "y": uplot.Scale(auto=False, range=(low, high)),
    }


class Curve(NamedTuple):
    """Rewards of the last seconds, and where something was done to the robot."""

    seconds: NDArray[np.float64]
    """Up to now, which is 0."""
    rate: NDArray[np.float64]
    """Rewards per second: means of the steps since the point before."""
    changed: NDArray[np.bool_]
    """Where the task was changed."""
    wiped: NDArray[np.bool_]
    """Where the memory was wiped."""

    def rows(self) -> tuple[tuple[NDArray[np.float64], ...], tuple[float, float]]:
        """Returns what is drawn, and from where to where; marks lie at the bottom, and far below where there is none.

        The library that draws takes what is no number for the least of all.
        """
        low, high = (float(self.rate.min()), float(self.rate.max())) if len(self.rate) else (0.0, 1.0)
        low, high = low - 0.15 * (high - low) - 0.1, high + 0.05 * (high - low) + 0.1
        bottom, below = low + 0.05 * (high - low), low - 10 * (high - low)
        marks = [np.where(marked, bottom, below) for marked in (self.changed, self.wiped)]
        return (self.seconds, self.rate, *marks), (low, high)


def curve_of(live: LiveTrial) -> Curve:
    """Returns the rewards of the last seconds."""
    steps = np.array(live.rewards, dtype=np.float64) / live.timestep
    size = max(1, round(REWARD_SECONDS / live.timestep) // POINTS)
    rate: NDArray[np.float64] = np.mean(steps[len(steps) % size :].reshape(-1, size), axis=1)
    seconds = (np.arange(len(rate), dtype=np.float64) - len(rate) + 1) * (size * live.timestep)

    def marked(steps: Sequence[int]) -> NDArray[np.bool_]:
        places = len(rate) - 1 - (live.steps - np.array(steps, dtype=int)) // size
        return np.isin(np.arange(len(rate)), places)

    return Curve(seconds, rate, marked(live.changes), marked(live.wipes))


def strip(remembered: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Returns a picture with a square for each number that is remembered: blue below 0, red above, white at 0."""
    rows = -(-len(remembered) // STRIP_COLUMNS)
    values = np.zeros(rows * STRIP_COLUMNS)
    values[: len(remembered)] = np.clip(remembered, -1, 1)
    depth = np.abs(values)[:, None]
    colours = 1 - depth * (1 - np.where(values[:, None] < 0, BLUE, RED))
    picture = (255 * colours).astype(np.uint8).reshape(rows, STRIP_COLUMNS, 3)
    return np.kron(picture, np.ones((STRIP_SCALE, STRIP_SCALE, 1), dtype=np.uint8))


def returns_table(live: LiveTrial) -> str:
    """Writes the returns of the last episodes."""
    first = live.steps // live.env.horizon + 2 - len(live.returns)
    cells = [f"{first + place}: **{value:.0f}**" for place, value in enumerate(live.returns)]
    return "Return by episode: " + ", ".join(cells)


def guess_table(family: TaskFamily, live: LiveTrial) -> str:
    """Writes what the memory tells of the task beside what is true."""
    guess = live.guess
    if guess is None:
        return "This controller's file holds no head that tells what the memory believes of the task."
    lines = ["| | believed | true |", "|---|---:|---:|"]
    for parameter in family.parameters:
        unit = f" {parameter.unit}" if parameter.unit else ""
        name, told, true = parameter.name, guess[parameter.name], live.task[parameter.name]
        lines.append(f"| {name.replace('_', ' ')} | {told:.2f}{unit} | {true:.2f}{unit} |")
    return "\n".join(lines)


def reach(parameter: TaskParameter) -> tuple[float, float, float]:
    """Returns how far a slider goes, which is as far as extrapolation does, and a step of one decimal place.

    >>> from limbshift.envs.tasks.common import TARGET_VELOCITY
    >>> reach(TARGET_VELOCITY)
    (0.0, 4.0, 0.01)
    """
    ends = [parameter.low, parameter.high, *(end for interval in parameter.extrapolation for end in interval)]
    low, high = float(f"{min(ends):.3g}"), float(f"{max(ends):.3g}")
    high = high if high > low else low + max(abs(low), 1.0)  # of a parameter that is always the same
    return low, high, 10.0 ** math.floor(math.log10((high - low) / 100))


def _shown(parameter: TaskParameter, value: float) -> Any:
    if parameter.choices:
        return f"{value:g}"
    low, high, step = reach(parameter)
    return min(max(round(value / step) * step, low), high)
