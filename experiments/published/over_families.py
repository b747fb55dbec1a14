"""Methods over several families at once, for docs/results.md."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from limbshift.experiments.comparison.training_run import TrainingRun, by_method, final_returns
from limbshift.experiments.figures import comparison_charts
from limbshift.experiments.figures.picture import save_picture
from limbshift.experiments.wording import markdown_table
from limbshift.meta.evaluation.across import LEVELS, Across, FamilyReturns, Figure, across_families
from limbshift.meta.evaluation.scores import scale_of

TOLD = (0.5, 0.9)
"""Scores above which the share of trainings is told; a picture shows the others."""
EXPLANATION = """\
A score is that of one training, over 64 trials of its family's held-out tasks; families count alike. IQM: of all
trainings' scores. Optimality gap: how far scores fall short of 1 on average. Then the share of trainings above a
score, and how probable it is that a training of one method does better than one of another. Intervals (95 %) are for
other seeds and other tasks of the same families, by the jackknife; they are wide where families have two seeds.
"""
Families = Mapping[str, Sequence[TrainingRun]]
"""Runs by family."""


def over_families(families: Families, pictures: Path) -> list[str]:
    """Returns the page's lines on each set of families that share methods, and draws their performance profiles."""
    lines: list[str] = []
    for number, (names, methods) in enumerate(sets_of(families), start=1):
        across = across_families([returns_of(families[name], methods) for name in names])
        picture = pictures / f"over-families-{number}.png"
        save_picture(picture, [comparison_charts.profile(across)])
        lines += [f"### {', '.join(names)}", "", table(across), "", pairs(across), ""]
        lines += [f"![Share of trainings by score]({pictures.name}/{picture.name})", ""]
    return ["## Over families", "", EXPLANATION, *lines] if lines else []


def sets_of(families: Families) -> Iterator[tuple[list[str], list[str]]]:
    """Yields families that can be taken together, and the methods that all of them have: all, and those with more."""
    methods = {name: list(by_method(runs)) for name, runs in families.items() if is_scored(runs)}
    kinds = dict.fromkeys([frozenset.intersection(*map(frozenset, methods.values()))] if methods else [])
    kinds |= dict.fromkeys(sorted(map(frozenset, methods.values()), key=len))
    told = set[tuple[str, ...]]()
    for kind in kinds:
        names = [name for name, own in methods.items() if kind <= set(own)]
        if len(names) > 1 and tuple(names) not in told:
            told.add(tuple(names))
            common = frozenset.intersection(*(frozenset(methods[name]) for name in names))
            yield names, [method for method in methods[names[0]] if method in common - {"random"}]


def is_scored(runs: Sequence[TrainingRun]) -> bool:
    """Returns whether there is an oracle that beats random actions."""
    methods = by_method(runs)
    if not {"oracle", "random"} <= methods.keys():
        return False
    return scale_of(final_returns(methods["random"]), final_returns(methods["oracle"])) is not None


def returns_of(runs: Sequence[TrainingRun], methods: Sequence[str]) -> FamilyReturns:
    """Returns what the methods returned on a family's held-out tasks."""
    own = {name: final_returns(its) for name, its in by_method(runs).items()}
    return FamilyReturns(own["random"], own["oracle"], {name: own[name] for name in methods})


def table(across: Across) -> str:
    rows = [["method", "IQM", "optimality gap", *(f"above {level:g}" for level in TOLD)]]
    for name, figure in across.iqm.items():
        shares = [across.profile[name][LEVELS.index(level)] for level in TOLD]
        cells = [figure, across.optimality_gap[name], *shares]
        rows.append([f"`{name}`", *map(words, cells)])
    return markdown_table(rows)


def pairs(across: Across) -> str:
    """Returns how probable it is that the method of the row does better than that of the column."""
    names = list(across.iqm)
    rows = [["better than", *(f"`{name}`" for name in names)]]
    for one in names:
        cells = ["-" if one == other else words(across.improvement[one, other]) for other in names]
        rows.append([f"`{one}`", *cells])
    return markdown_table(rows)


def words(figure: Figure) -> str:
    """Writes a number such as "0.93 (0.88 to 0.97)"."""
    if figure.ci95 is None:
        return f"{figure.value:.2f}"
    return f"{figure.value:.2f} ({figure.ci95[0]:.2f} to {figure.ci95[1]:.2f})"
