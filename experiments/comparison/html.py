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

from limbshift.agents.atomic_write import replacing
from limbshift.experiments.comparison.by_parameter import Bin
from limbshift.experiments.comparison.provenance import code_of
from limbshift.experiments.comparison.summary import MethodResult
from limbshift.experiments.comparison.training_run import TrainingRun
from limbshift.experiments.figures.comparison_plots import (
    FEW_SEEDS,
    name_methods,
    plot_adaptation,
    plot_by_parameter,
    plot_consumed,
    plot_task_error,
    plot_training,
)
from limbshift.meta.evaluation.scores import Lead, Score

TEMPLATE = Path(__file__).with_name("comparison.html.jinja")


def write_page(
    path: Path,
    about: dict[str, Any],
    methods: Sequence[MethodResult],
    *,
    runs: Sequence[TrainingRun],
    bins: Sequence[Bin],
) -> None:
    """Replaces the page."""
    parameters = len({each.parameter for each in bins})
    quantity = "return (IQM)" if methods[0].score is None else "score"
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    page = environment.from_string(TEMPLATE.read_text()).render(
        about=about,
        methods=methods,
        splits=list(methods[0].by_split),
        few=any(len(method.by_seed) < FEW_SEEDS for method in methods),
        told=told,
        code=code_of([run.provenance for run in runs]),
        worst=lambda score: "-" if score is None else f"{score.worst10:.2f}",
        training=drawn((2, 1), lambda axes: plot_training(axes, runs)),
        adaptation=drawn((1, 1), lambda axes: plot_adaptation(axes[0], runs)),
        by_parameter=drawn(
            (min(3, parameters), -(-parameters // 3)),
            lambda axes: plot_by_parameter(axes[:parameters], bins, quantity),
        )
        if bins
        else None,
        knows=drawn((1, 1), lambda axes: plot_task_error(axes[0], runs))
        if any(run.trials and run.trials.task_error for run in runs)
        else None,
        gradient=drawn((1, 1), lambda axes: plot_consumed(axes[0], runs))
        if any(run.consumed for run in runs)
        else None,
    )
    with replacing(path) as temporary:
        temporary.write_text(page)


def told(found: Score | Lead | None) -> str:
    """Writes a score such as "0.93 (0.88 to 0.97)", or "0.93 (seeds 0.91, 0.95)" where seeds are too few to say."""
    if found is None:
        return "-"
    value, points = found[0], found.points
    digits = 0 if abs(value) >= 100 else 2
    words = f"{value:.{digits}f}"
    if found.ci95 is not None:
        low, high = found.ci95
        return f"{words} ({low:.{digits}f} to {high:.{digits}f})" if low < high else words
    if len(points) < 2:
        return f"{words} (one seed)" if points else words
    return f"{words} (seeds {', '.join(f'{point:.{digits}f}' for point in points)})"


def drawn(shape: tuple[int, int], draw: Callable[[Sequence[Axes]], None]) -> Markup:
    """Draws a figure with so many panels across and down, as SVG."""
    across, down = shape
    figure = Figure(figsize=(5 * across, 3.6 * down), layout="constrained")
    panels = list(np.atleast_1d(figure.subplots(down, across)).flat)
    draw(panels)
    for panel in panels:
        panel.set_visible(panel.has_data())
    name_methods(figure)
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    svg = text.getvalue()
    return Markup(svg[svg.index("<svg") :])
