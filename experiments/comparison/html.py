"""A comparison as one web page that needs nothing beside it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from limbshift.experiments.comparison.by_parameter import Bin
from limbshift.experiments.comparison.provenance import code_of
from limbshift.experiments.comparison.summary import MethodResult
from limbshift.experiments.comparison.training_run import TrainingRun
from limbshift.experiments.figures import comparison_charts
from limbshift.experiments.figures.web import page
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
    page.write_page(
        path,
        TEMPLATE,
        about=about,
        methods=methods,
        splits=list(methods[0].by_split),
        few=any(len(method.by_seed) < comparison_charts.FEW_SEEDS for method in methods),
        told=told,
        code=code_of([run.provenance for run in runs]),
        worst=lambda score: "-" if score is None else f"{score.worst10:.2f}",
        training=comparison_charts.training(runs),
        adaptation=comparison_charts.adaptation(runs),
        by_parameter=comparison_charts.by_parameter(bins, "return (IQM)" if methods[0].score is None else "score"),
        knows=comparison_charts.task_error(runs),
        gradient=comparison_charts.consumed(runs) if any(run.consumed for run in runs) else None,
    )


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
