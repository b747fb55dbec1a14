"""docs/results.md: what comparisons and milestones gave, in words, tables and pictures."""

import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from limbshift.agents.atomic_write import replacing
from limbshift.experiments.commands.evaluate import evaluate
from limbshift.experiments.comparison.html import interval
from limbshift.experiments.comparison.summary import MethodResult, summarise_methods
from limbshift.experiments.comparison.training_run import TrainingRun, finals, read_runs
from limbshift.experiments.figures.comparison_plots import name_methods, plot_adaptation, plot_consumed, plot_training
from limbshift.experiments.published.plan import COMPARISONS, MILESTONES, OVERFITTING, Comparison
from limbshift.experiments.runs.controllers import load_controller
from limbshift.meta.evaluation.statistics import Score, interquartile_mean

PICTURES = "results"
"""Directory beside the page."""
OURS, GOAL = "limbshift", 0.9
"""What our score is to reach on every family."""
ABOVE_RIVALS = ("HalfCheetahDir", "HalfCheetahWiring", "ReacherGoal", "HalfCheetahVel", "AntDirForwardBack")
"""Families on which our interval is to lie above those of PPO and RecurrentPPO."""
INTRODUCTION = """\
Written by `make results` from {runs} of its {planned} trainings{rest}, each of which has a file in
`docs/results`: nothing here is typed by hand, and what was hoped for and missed is told too. Each method and seed
is trained for the same time, alone on one core, with 64 robots side by side, and then meets the same 64 held-out
tasks. Return and score are those of a trial's last episode: interquartile mean over seeds and tasks, with a 95 %
interval of a bootstrap that resamples training seeds, and tasks within them. A score of 0 is the mean of random
actions, 1 that of the oracle, which is shown its task, after as much training. `limbshift`, `no-memory` and both
oracles are trained alike: by RL² and an auxiliary loss, for which the network's memory must tell the task, and whose
weight falls to 0 by the end of the budget. The simulator knows the task while training; no controller is shown it
later. `rl2` is plain RL², without that loss. At equal steps: each method, and `limbshift` beside it, read off their
curves at the slower one's number of env steps. A method that has fewer than five seeds is drawn with a dot for each,
and its interval tells little of others.
"""
Results = Mapping[str, Sequence[MethodResult]]
"""By family."""


def write_results(out: Path, page: Path) -> None:
    """Replaces the page and its pictures, from what is complete in the directory of comparisons."""
    compared = [comparison for comparison in COMPARISONS if comparison.begun(out)]
    runs = {comparison.family: read_runs(comparison.directory(out)) for comparison in compared}
    results = {family: summarise_methods(own) for family, own in runs.items()}
    pictures = page.parent / PICTURES
    pictures.mkdir(parents=True, exist_ok=True)
    parts = [introduction(out), *hopes(results), *milestones(out)]
    for comparison in compared:
        family = comparison.family
        draw(pictures / f"{family}.png", runs[family])
        parts += section(comparison, results[family], runs[family])
    parts += overfitting(out)
    with replacing(page) as temporary:
        temporary.write_text("\n".join(parts) + "\n")


def introduction(out: Path) -> str:
    """Tells what was done, and how much of what is planned."""
    everything = (*COMPARISONS, *OVERFITTING)
    planned = sum(len(comparison.files(out)) for comparison in everything)
    runs = sum(path.is_file() for comparison in everything for path in comparison.files(out))
    rest = "" if runs == planned else " (the same command goes on with the rest)"
    text = INTRODUCTION.format(runs=runs, planned=planned, rest=rest)
    return f"# Results\n\n{textwrap.fill(text, 120)}\n"


def hopes(results: Results) -> list[str]:
    """Lists the scores that were hoped for, and whether they are reached."""
    lines = ["## Hoped for, and found", "", "| what | hoped for | found | |", "|---|---|---|---|"]
    for family, methods in results.items():
        scores = {method.method: method.score for method in methods if method.score}
        if OURS not in scores:
            continue
        ours = scores[OURS]
        lines.append(row(f"{family}: score of {OURS}", f"{GOAL} or more", interval(ours), met=ours.iqm >= GOAL))
        for rival in ("ppo", "recurrent-ppo"):
            if family in ABOVE_RIVALS and rival in scores:
                found = f"{interval(ours)} against {interval(scores[rival])}"
                lines.append(
                    row(f"{family}: {OURS} above {rival}", "intervals apart", found, met=above(ours, scores[rival]))
                )
        if family == "HalfCheetahDir" and "ppo" in scores:
            lines.append(
                row(f"{family}: score of ppo", "below 0.4", interval(scores["ppo"]), met=scores["ppo"].iqm < 0.4)
            )
    return [*lines, ""]


def row(what: str, hoped: str, found: str, *, met: bool) -> str:
    return f"| {what} | {hoped} | {found} | {'met' if met else '**missed**'} |"


def above(one: Score, other: Score) -> bool:
    """Returns whether one's interval lies above the other's."""
    return one.ci95[0] > other.ci95[1]


def milestones(out: Path) -> list[str]:
    """Tells what so many env steps of training give."""
    lines = [
        "Trained by env steps, in trials of 2 x 200, seed 0:",
        "",
        "| training | hoped for | found | |",
        "|---|---|---|---|",
    ]
    rows = []
    for milestone in MILESTONES:
        found = milestone.found(out)
        if found is not None:
            what = f"{milestone.family}, {milestone.steps / 1e6:g} M steps: return per episode on 64 held-out tasks"
            rows.append(row(what, f"{milestone.goal:g} or more", f"{found:.1f}", met=found >= milestone.goal))
    return [*lines, *rows, ""] if rows else []


def section(comparison: Comparison, methods: Sequence[MethodResult], runs: Sequence[TrainingRun]) -> list[str]:
    """Returns a family's table and picture."""
    family, splits = comparison.family, list(methods[0].by_split)
    columns = [
        "method",
        "seeds",
        "score, equal time",
        "equal steps",
        f"`{OURS}` then",
        "worst tenth",
        "return",
        *splits,
        "M steps",
        "steps/s",
    ]
    lines = [
        f"## {family}",
        "",
        f"{comparison.minutes:g} minutes of training on one core ({processors(runs)}); {', '.join(splits)}: return on"
        " tasks of each split.",
        "",
        "| " + " | ".join(columns) + " |",
        "|---" * len(columns) + "|",
    ]
    for method in methods:
        lines.append("| " + " | ".join(cells_of(method, splits)) + " |")
    best = load_controller(family)
    adaptation = evaluate(best)
    low, high = adaptation.ci95[-1] or (adaptation.iqm[-1], adaptation.iqm[-1])
    return [
        *lines,
        "",
        f"`{OURS}` at its best, the controller that comes with the package ({best.card.steps / 1e6:.1f} M steps):"
        f" {interval(Score(adaptation.iqm[-1], adaptation.worst10[-1], (low, high)))} on the same tasks.",
        "",
        f"![Return by training time, by steps, by episode, and by episodes consumed]({PICTURES}/{family}.png)",
        "",
    ]


def processors(runs: Sequence[TrainingRun]) -> str:
    """Returns their names; with how many trainings each had, where there are several."""
    trainings = Counter(run.cpu for run in runs)
    if len(trainings) == 1:
        return runs[0].cpu
    return ", ".join(f"{cpu}: {count} of {len(runs)} trainings" for cpu, count in trainings.items())


def cells_of(method: MethodResult, splits: Sequence[str]) -> list[str]:
    return [
        f"`{method.method}`",
        str(len(method.by_seed)),
        interval(method.score),
        interval(method.score_at_equal_steps),
        interval(method.first_at_equal_steps),
        f"{method.score.worst10:.2f}" if method.score else "-",
        interval(method.returns),
        *(f"{method.by_split[split]:.1f}" for split in splits),
        f"{method.steps / 1e6:.2f}",
        f"{method.steps / method.seconds:,.0f}" if method.steps else "-",
    ]


def draw(path: Path, runs: Sequence[TrainingRun]) -> None:
    """Draws training by time and by steps, adaptation by episode, and by gradient steps where there are any."""
    by_gradient = any(run.consumed for run in runs)
    down, across = (2, 2) if by_gradient else (1, 3)
    figure = Figure(figsize=(5 * across, 3.8 * down), dpi=90, layout="constrained")
    panels = list(figure.subplots(down, across).flat)
    plot_training(panels[:2], runs)
    plot_adaptation(panels[2], runs)
    if by_gradient:
        plot_consumed(panels[3], runs)
    name_methods(figure)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")


def overfitting(out: Path) -> list[str]:
    """Tells the return on tasks met in training and on others, by the number of those to train on."""
    done = [comparison for comparison in OVERFITTING if comparison.begun(out)]
    if not done:
        return []
    lines = [
        "## How many tasks to train on",
        "",
        f"`{OURS}` on {done[0].family}, {done[0].minutes:g} minutes on one core, with so many tasks met over and over.",
        "",
        "| tasks to train on | seeds | return on them | on held-out tasks | gap |",
        "|---|---|---|---|---|",
    ]
    for comparison in done:
        own = [run for run in read_runs(comparison.directory(out)) if run.method == OURS]
        if own:
            met, unmet = (float(interquartile_mean(finals(own, split).ravel())) for split in ("train", "heldout"))
            number = comparison.train_tasks or "unlimited"
            lines.append(f"| {number} | {len(own)} | {met:.0f} | {unmet:.0f} | {met - unmet:.0f} |")
    return [*lines, ""]
