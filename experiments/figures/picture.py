"""Charts as a PNG."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from limbshift.agents.atomic_write import replacing
from limbshift.experiments.figures.chart import Chart, Series

PANEL = (5.0, 3.8)
"""Inches across and down."""
DPI = 90
ACROSS = 3
LEGEND: dict[str, Any] = {"ncols": 6, "frameon": False, "fontsize": 8, "handlelength": 1.3, "columnspacing": 1.0}
ABOVE = 1.04
"""Where a panel's own legend begins, in heights of the panel: above what a border says."""


def save_picture(path: Path, charts: Sequence[Chart], title: str = "") -> None:
    """Writes a PNG of charts, three in a row, or two of four.

    Names stand above all of them; above each its own, where no two share one.
    """
    across = 2 if len(charts) == 4 else min(ACROSS, len(charts))
    down = -(-len(charts) // across)
    figure = Figure(figsize=(PANEL[0] * across, PANEL[1] * down + 0.4), dpi=DPI, layout="constrained")
    panels = [figure.add_subplot(down, across, number) for number in range(1, len(charts) + 1)]
    for panel, chart in zip(panels, charts, strict=True):
        _draw(panel, chart)
    names = {name: colour for chart in charts for name, colour in chart.names.items()}
    if len(charts) > 1 and len(names) == sum(len(chart.names) for chart in charts):
        for panel, chart in zip(panels, charts, strict=True):
            panel.legend(handles=_keys(chart.names), loc="lower center", bbox_to_anchor=(0.5, ABOVE), **LEGEND)
        figure.suptitle(title, fontsize=12)
    else:
        heading = {"title": title or None, "title_fontsize": 12}
        figure.legend(handles=_keys(names), loc="outside upper center", **heading, **LEGEND)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")


def _keys(names: Mapping[str, str]) -> list[Line2D]:
    """Returns what a legend shows of colours by name."""
    return [Line2D([], [], color=colour, marker="o", ms=4, label=name) for name, colour in names.items()]


def _draw(axes: Axes, chart: Chart) -> None:
    if chart.ground:
        axes.axvspan(*chart.ground, color="#eeeeee")
    for series in chart.series:
        _draw_series(axes, series, chart.shift(series.name))
    for level in chart.levels:
        axes.axhline(level.y, color=level.colour, ls=":", lw=1.2)
    if chart.border:
        axes.axvline(chart.border[0], color="#555555", ls=":", lw=1.2)
        place = (chart.border[0], 1.0)
        axes.annotate(chart.border[1], place, xycoords=("data", "axes fraction"), ha="center", va="bottom", fontsize=8)
    axes.set(xlabel=chart.x, ylabel=chart.y, xscale="log" if chart.x_log else "linear")
    if chart.ticks:
        axes.set_xticks(chart.ticks, [f"{tick:g}" for tick in chart.ticks])
        axes.minorticks_off()
    if chart.y_range:
        axes.set_ylim(*chart.y_range)
    axes.grid(alpha=0.25)


def _draw_series(axes: Axes, series: Series, shift: float) -> None:
    x = series.places(shift)
    y = [float("nan") if value is None else value for value in series.y]
    style, marker = "-" if series.line else "none", "o" if series.dots else "none"
    axes.plot(x, y, color=series.colour, ls=style, marker=marker, ms=4 if series.line else 3, lw=1.6)
    if not series.interval:
        return
    low, high = ([float("nan") if value is None else value for value in end] for end in series.interval)
    if series.dots:
        axes.vlines(x, low, high, color=series.colour, lw=1.2)
    else:
        axes.fill_between(x, low, high, color=series.colour, alpha=0.12, lw=0)
