"""Charts as Plotly's figures."""

from collections.abc import Iterator, Sequence
from typing import Any

import plotly.graph_objects as go

from limbshift.experiments.figures.chart import Chart, Level, Series

HEIGHT = 320
"""Pixels."""
MARGIN = {"l": 62, "r": 14, "t": 34, "b": 50}
BAND = 0.15
"""Opacity of a band."""


def figure_of(chart: Chart, hidden: Sequence[str] = ()) -> go.Figure:
    """Returns the figure, on no ground of its own, so that the page's colours show; hidden: names not yet shown."""
    figure = go.Figure(
        data=[
            trace
            for each in chart.series
            for trace in _traces(each, chart.shift(each.name), shown=each.name not in hidden)
        ],
        layout={
            "template": None,
            "height": HEIGHT,
            "margin": MARGIN,
            "showlegend": False,
            "xaxis": _x_axis(chart),
            "yaxis": {"title": {"text": chart.y}, **_range(chart)},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "gray", "activecolor": "#2b74c9"},
            "hovermode": "closest",
            "dragmode": "zoom",
        },
    )
    for level in chart.levels:
        figure.add_trace(_level(level, chart, shown=level.name not in hidden))
    if chart.ground:
        figure.add_vrect(*chart.ground, fillcolor="rgba(128,128,128,0.15)", line_width=0, layer="below")
    if chart.border:
        place, words = chart.border
        figure.add_vline(
            place, line={"dash": "dot", "width": 1, "color": "gray"}, annotation={"text": words, "xanchor": "right"}
        )
    return figure


def _x_axis(chart: Chart) -> dict[str, Any]:
    axis = {"title": {"text": chart.x}, "type": "log" if chart.x_log else "linear"}
    if not chart.ticks:
        return axis
    return {**axis, "tickvals": chart.ticks, "ticktext": [f"{tick:g}" for tick in chart.ticks], "zeroline": False}


def _range(chart: Chart) -> dict[str, Any]:
    return {"range": list(chart.y_range)} if chart.y_range else {}


def _traces(series: Series, shift: float, *, shown: bool) -> Iterator[go.Scatter]:
    """Yields the points, so far aside, and a band where an interval is one."""
    x = series.places(shift)
    style: dict[str, Any] = {"name": series.name, "visible": shown}
    bars = None
    if series.interval and series.dots:
        bars = {
            "type": "data",
            "symmetric": False,
            "thickness": 1.2,
            "width": 3,
            "arrayminus": [_gap(y, low) for y, low in zip(series.y, series.interval[0], strict=True)],
            "array": [_gap(high, y) for y, high in zip(series.y, series.interval[1], strict=True)],
        }
    elif series.interval:
        red, green, blue = (int(series.colour[place : place + 2], 16) for place in (1, 3, 5))
        yield go.Scatter(
            x=[*x, *reversed(x)],
            y=[*series.interval[1], *reversed(series.interval[0])],
            fill="toself",
            fillcolor=f"rgba({red},{green},{blue},{BAND})",
            line={"width": 0},
            hoverinfo="skip",
            mode="lines",
            **style,
        )
    modes = [mode for mode, used in (("lines", series.line), ("markers", series.dots)) if used]
    yield go.Scatter(
        x=x,
        customdata=list(series.x),
        y=list(series.y),
        mode="+".join(modes),
        line={"color": series.colour, "width": 2},
        marker={"color": series.colour, "size": 6, "opacity": 1 if series.line else 0.75},
        error_y=bars,
        text=list(series.notes) or None,
        hovertemplate="%{customdata:.4g}: %{y:.4g}"
        + ("<br>%{text}" if series.notes else "")
        + f"<extra>{series.name}</extra>",
        **style,
    )


def _gap(high: float | None, low: float | None) -> float:
    return 0.0 if high is None or low is None else high - low


def _level(level: Level, chart: Chart, *, shown: bool) -> go.Scatter:
    """Returns a line from the first to the last x of all series, or of a chart that has no other."""
    places = [x for series in chart.series for x in series.x] or [0.0, 1.0]
    return go.Scatter(
        x=[min(places), max(places)],
        y=[level.y, level.y],
        name=level.name,
        visible=shown,
        mode="lines",
        line={"color": level.colour, "width": 1.5, "dash": "dot"},
        hovertemplate=f"%{{y:.4g}}<extra>{level.name}</extra>",
    )
