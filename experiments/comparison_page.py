"""A comparison as one web page that needs nothing beside it."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from agents.files import replacing
from experiments.cells import Cell, by_method
from experiments.methods import METHODS
from experiments.summary import MethodResult
from meta.comparison import Score

COLOURS = dict(
    zip(
        METHODS,
        (
            "#1f5fa8", "#d77fb3", "#2e7d4f", "#222222", "#8a8a8a", "#c2a200", "#c46a1b", "#4a9aa5", "#7a4fa3",
            "#5c4033", "#b03a48",
        ),
        strict=True,
    )
)  # fmt: skip
"""By method: the same in all pictures."""

TEMPLATE = Path(__file__).with_name("comparison.html.jinja")
FEW_SEEDS = 5
"""Under so many each seed is drawn, as a dot."""


def write_page(path: Path, about: dict[str, Any], methods: Sequence[MethodResult], cells: Sequence[Cell]) -> None:
    """Replace the page."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    page = environment.from_string(TEMPLATE.read_text()).render(
        about=about,
        methods=methods,
        splits=list(methods[0].by_split),
        few=any(len(method.by_seed) < FEW_SEEDS for method in methods),
        interval=interval,
        worst=lambda score: "-" if score is None else f"{score.worst10:.2f}",
        training=drawn((2, 1), lambda axes: plot_training(axes, cells)),
        adaptation=drawn((1, 1), lambda axes: plot_adaptation(axes[0], cells)),
        gradient=drawn((1, 1), lambda axes: plot_consumed(axes[0], cells))
        if any(cell.consumed for cell in cells)
        else None,
    )
    with replacing(path) as temporary:
        temporary.write_text(page)


def interval(score: Score | None) -> str:
    """Such as "0.93 (0.88 to 0.97)"."""
    if score is None:
        return "-"
    digits = 0 if abs(score.iqm) >= 100 else 2
    low, high = score.ci95
    return f"{score.iqm:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def drawn(shape: tuple[int, int], draw: Callable[[Sequence[Axes]], None]) -> Markup:
    """A figure with so many panels across and down, as SVG."""
    across, down = shape
    figure = Figure(figsize=(5 * across, 3.6 * down), layout="constrained")
    draw(list(np.atleast_1d(figure.subplots(down, across)).flat))
    name_methods(figure)
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    svg = text.getvalue()
    return Markup(svg[svg.index("<svg") :])


def name_methods(figure: Figure) -> None:
    """Once, above all panels."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=6, frameon=False, fontsize=8)


def plot_training(axes: Sequence[Axes], cells: Sequence[Cell]) -> None:
    """By time, and by steps, a line for each seed; what is not trained is a level."""
    for name, own in by_method(cells).items():
        for cell in own:
            style: dict[str, Any] = {"color": COLOURS[name], "label": name if cell is own[0] else None}
            values = [np.mean(np.array(look.returns)[:, -1]) for look in cell.looks]
            if not cell.looks[-1].steps:
                for panel in axes:
                    panel.axhline(float(values[0]), ls=":", **style)
                continue
            axes[0].plot([look.seconds for look in cell.looks], values, marker=".", **style)
            axes[1].plot([look.steps / 1e6 for look in cell.looks], values, marker=".", **style)
    axes[0].set(xlabel="training, s", ylabel="mean return")
    axes[1].set(xlabel="env steps, M")
    for panel in axes:
        panel.grid(alpha=0.25)


def plot_adaptation(axes: Axes, cells: Sequence[Cell]) -> None:
    """A line for each method through its mean over seeds, which are dots where they are few."""
    methods = by_method(cells)
    for place, (name, own) in enumerate(methods.items()):
        curves = np.array([np.mean(cell.splits["heldout"], axis=0) for cell in own])
        episodes = np.arange(1, curves.shape[1] + 1) + 0.04 * (place - len(methods) / 2)
        axes.plot(episodes, curves.mean(axis=0), color=COLOURS[name], marker="o", label=name)
        if len(curves) < FEW_SEEDS:
            axes.plot(episodes, curves.T, ".", color=COLOURS[name], ms=4, alpha=0.7)
    axes.set(xlabel="episode of the trial", ylabel="mean return", xticks=range(1, curves.shape[1] + 1))
    axes.grid(alpha=0.25)


def plot_consumed(axes: Axes, cells: Sequence[Cell]) -> None:
    """Those that adapt by gradient steps, a line for each seed; the others' last episode is a level."""
    for name, own in by_method(cells).items():
        if not own[0].consumed:
            level = np.mean([np.array(cell.splits["heldout"])[:, -1] for cell in own])
            axes.axhline(float(level), color=COLOURS[name], ls=":", lw=1, label=name)
            continue
        for cell in own:
            episodes = [each.episodes for each in cell.consumed]
            values = [np.mean(each.returns) for each in cell.consumed]
            axes.plot(episodes, values, color=COLOURS[name], marker="o", label=name if cell is own[0] else None)
    axes.set(xlabel="episodes consumed", ylabel="mean return of the next", xscale="log")
    ticks = sorted({each.episodes for cell in cells for each in cell.consumed})
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.grid(alpha=0.25)
