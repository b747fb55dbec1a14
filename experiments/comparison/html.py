"""A comparison as one web page that needs nothing beside it."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from limbshift.experiments.comparison.by_parameter import Bin
from limbshift.experiments.comparison.methods import reference
from limbshift.experiments.comparison.provenance import code_of
from limbshift.experiments.comparison.summary import MethodResult
from limbshift.experiments.comparison.training_run import TrainingRun
from limbshift.experiments.figures import comparison_charts
from limbshift.experiments.figures.web import page
from limbshift.experiments.machine import may_be
from limbshift.meta.evaluation.scores import Lead, Score

TEMPLATE = Path(__file__).with_name("comparison.html.jinja")
NOTHING = "-"
ONE_SEED = " (one seed)"


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
        columns=columns_of(methods),
        reference=reference(method.method for method in methods),
        scored=methods[0].score is not None,
        splits=list(methods[0].by_split),
        few=any(len(method.by_seed) < comparison_charts.FEW_SEEDS for method in methods),
        code=code_of([run.provenance for run in runs]),
        processors=processors(runs),
        training=comparison_charts.training(runs),
        adaptation=comparison_charts.adaptation(runs),
        by_parameter=comparison_charts.by_parameter(bins, "return (IQM)" if methods[0].score is None else "score"),
        knows=comparison_charts.task_error(runs),
        gradient=comparison_charts.consumed(runs) if any(run.consumed for run in runs) else None,
    )


def processors(runs: Sequence[TrainingRun]) -> str:
    """Returns those whose minutes the trainings took, and those that took as many env steps as others take in them;
    with how many trainings each had, where there are several.
    """
    trainings = [run for run in runs if run.looks[-1].steps] or runs  # random actions take no time
    names = sorted({name for run in trainings for name in (run.cpu, run.timer)}, key=len)
    full = {name: next(other for other in reversed(names) if name == other or may_be(name, other)) for name in names}
    timers = Counter(full[run.timer] for run in trainings)
    others = Counter(full[run.cpu] for run in trainings if run.pace)

    def counted(count: int) -> str:
        return f"{count} of {len(trainings)} trainings"

    told = [f"{cpu}: {counted(count)}" if len(timers) > 1 else cpu for cpu, count in timers.items()]
    paced = [f"{counted(count)} took as many env steps on {cpu}" for cpu, count in others.items()]
    return "; ".join([", ".join(told), *paced])


def columns_of(methods: Sequence[MethodResult]) -> dict[str, list[str]]:
    """Returns what is told of each method by column, without columns that hold nothing."""
    first = reference(method.method for method in methods)
    rows = [row_of(method, first) for method in methods]
    columns = {heading: [row[heading] for row in rows] for heading in rows[0]}
    return {heading: cells for heading, cells in columns.items() if set(cells) != {NOTHING}}


def row_of(method: MethodResult, first: str) -> dict[str, str]:
    """Returns what is told of a method by column; first: the method whose lead is told."""
    alone = len(method.by_seed) == 1  # which its column of seeds says

    def cell(found: Score | Lead | None) -> str:
        return told(found).removesuffix(ONE_SEED) if alone else told(found)

    def lead(found: Lead) -> str:
        return NOTHING if method.method == first else cell(found)

    return {
        "seeds": str(len(method.by_seed)),
        "score": cell(method.score),
        f"lead of {first}": lead(method.first_lead),
        "score at equal steps": cell(method.score_at_equal_steps),
        "lead at equal steps": lead(method.first_lead_at_equal_steps),
        "worst tenth": NOTHING if method.score is None else f"{method.score.worst10:.2f}",
        "return": cell(method.returns),
        "adapted in": NOTHING if method.adaptation_time_s is None else f"{method.adaptation_time_s:.2f} s",
        "M steps": f"{method.steps / 1e6:.2f}",
        "steps/s": f"{method.steps / method.seconds:,.0f}" if method.seconds else NOTHING,
    }


def told(found: Score | Lead | None) -> str:
    """Writes a score such as "0.93 (0.88 to 0.97)", or "0.93 (seeds 0.91, 0.95)" where seeds are too few to say."""
    if found is None:
        return NOTHING
    value, points = found[0], found.points
    digits = 0 if abs(value) >= 100 else 2
    words = f"{value:.{digits}f}"
    if found.ci95 is not None:
        low, high = found.ci95
        return f"{words} ({low:.{digits}f} to {high:.{digits}f})" if low < high else words
    if len(points) < 2:
        return f"{words}{ONE_SEED}" if points else words
    return f"{words} (seeds {', '.join(f'{point:.{digits}f}' for point in points)})"
