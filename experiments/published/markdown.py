"""docs/results.md: what comparisons and milestones gave, in words, tables and pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from limbshift.agents.atomic_write import replacing
from limbshift.envs.catalogue import make_family
from limbshift.experiments.commands.evaluate import evaluate
from limbshift.experiments.commands.tune import in_words
from limbshift.experiments.comparison.by_parameter import by_parameter
from limbshift.experiments.comparison.html import ONE_SEED, columns_of, processors, told
from limbshift.experiments.comparison.provenance import code_of
from limbshift.experiments.comparison.summary import MethodResult, summarise_methods
from limbshift.experiments.comparison.training_run import TrainingRun, finals, read_runs
from limbshift.experiments.figures import comparison_charts
from limbshift.experiments.figures.picture import save_picture
from limbshift.experiments.machine import cpu_model
from limbshift.experiments.published.over_families import over_families
from limbshift.experiments.published.plan import ADAPTING, COMPARISONS, MILESTONES, OVERFITTING, Comparison
from limbshift.experiments.runs.controllers import load_controller, shipped_names
from limbshift.experiments.runs.presets import read_preset
from limbshift.experiments.wording import filled, markdown_table
from limbshift.meta.evaluation.scores import Lead, Score
from limbshift.meta.evaluation.statistics import interquartile_mean

PICTURES = "results"
"""Directory beside the page."""
OURS, PLAIN = "limbshift", "rl2"
GOAL = 0.9
"""What our score is to reach on every family."""
RIVALS = ("ppo", "recurrent-ppo")
"""Our lead over them is to be above 0 on every family, by its interval."""
INTRODUCTION = """\
Written by `make results` from {runs} of its {planned} trainings{rest}, each of which has a file in `docs/results`:
nothing here is typed by hand, and what was hoped for and missed is told too. Each method and seed is trained for the
same time of one core, or for the env steps that a table names, with 32 robots side by side and, unless its heading says
tuned, the default settings, and then plays the same 64 trials of held-out tasks. Another processor than the one whose
time that is takes as many env steps as the method's trainings there took in it, which may be one alone, though their
speeds differ by up to 30 %: intervals do not count that. AMD EPYC of family 26 are of 2024, those of family 25, model
17, of 2022. Return and score are those of a trial's last episode: interquartile mean over seeds and tasks, with a 95 %
interval for other seeds and other tasks, which all seeds share (`meta/evaluation/intervals.py`; a test simulates how
often it holds). Fewer than three seeds have no interval, and neither has a score where the oracle has fewer, or a lead
where the other method has: each seed's own value stands in its place. Random actions are not trained: their interval is
for other tasks alone. A score of 0 is the interquartile mean of random actions, 1 that of the oracle, which is shown
its task, after as much training; intervals of scores count what is not known of these two. `limbshift`, `no-memory` and
the oracle are trained alike, but for the belief network that `limbshift` has where a family's section says so: by RL²
and an auxiliary loss, for which the network's memory must tell the task, and whose weight falls to 0 by the end of the
budget. The simulator knows the task while training; no controller is shown it later. `rl2` is plain RL², without that
loss and that network. Lead: by how much `limbshift` exceeds the method, task by task, and seed by seed where both have
the same. At equal steps: both read off their curves at the slower one's number of env steps. Adapted in, where
trainings tell it: robot time until episode 1 is nearly as good as the last.
Code: {code}.
"""
ADAPTING_PAYS = """\
A family is worth its place where knowing the task pays, and a memory where it finds the task out: returns of the \
oracle, which is shown its task, of `limbshift`, and of the same training without memory, which finds what is best for \
all tasks together. The lead is in scores, or in returns where the oracle returns no more than random actions.
"""
BY_PARAMETER = """\
Score by each task parameter's value, by what random actions and the oracle return on the same tasks. Grey: the \
training range, outside which all parameters that can do so lie at once.

![Score by task parameter]({picture})

"""
"""Of a family whose bins hold enough tasks."""
Results = Mapping[str, Sequence[MethodResult]]
"""By family."""


def write_results(out: Path, page: Path) -> None:
    """Replaces the page and its pictures, from what is complete in the directory of comparisons."""
    compared = [comparison for comparison in COMPARISONS if comparison.begun(out)]
    runs = {comparison.name: read_runs(comparison.directory(out)) for comparison in compared}
    results = {family: summarise_methods(own) for family, own in runs.items()}
    pictures = page.parent / PICTURES
    pictures.mkdir(parents=True, exist_ok=True)
    usual = {comparison.name: runs[comparison.name] for comparison in compared if not comparison.tuned}
    parts = [introduction(out), *hopes(results), *milestones(out), *over_families(usual, pictures)]
    for comparison in compared:
        name, file = comparison.name, comparison.directory(pictures)
        draw(file.with_suffix(".png"), runs[name])
        parts += section(comparison, results[name], runs[name])
        bins = by_parameter(runs[name], make_family(comparison.family, comparison.variant))
        if bins and results[name][0].score:
            by_value = file.with_name(f"{file.name}-parameters.png")
            save_picture(by_value, comparison_charts.by_parameter(bins, "score"))
            parts += BY_PARAMETER.format(picture=f"{PICTURES}/{by_value.name}").splitlines()
    parts += [*adapting(out, results), *overfitting(out)]
    with replacing(page) as temporary:
        temporary.write_text("\n".join(parts) + "\n")


def introduction(out: Path) -> str:
    """Tells what was done, and how much of what is planned."""
    everything = (*COMPARISONS, *ADAPTING, *OVERFITTING)
    planned = sum(len(comparison.files(out)) for comparison in everything)
    runs = sum(path.is_file() for comparison in everything for path in comparison.files(out))
    rest = "" if runs == planned else " (the same command goes on with the rest)"
    done = [run for comparison in everything if comparison.begun(out) for run in read_runs(comparison.directory(out))]
    text = INTRODUCTION.format(runs=runs, planned=planned, rest=rest, code=code_of([run.provenance for run in done]))
    return f"# Results\n\n{filled(text)}\n"


def hopes(results: Results) -> list[str]:
    """Lists the scores and leads that were hoped for, and whether they are reached."""
    rows = [("what", "hoped for", "found", "")]
    for family, methods in results.items():
        found = {method.method: method for method in methods if method.score}
        if OURS not in found:
            continue
        ours = found[OURS].score
        assert ours
        rows.append((f"{family}: score of {OURS}", f"{GOAL} or more", told(ours), verdict(ours.iqm >= GOAL)))
        for rival in RIVALS:
            if rival in found:
                lead = found[rival].first_lead
                met = None if lead.ci95 is None else lead.ci95[0] > 0
                what = f"{family}: lead of {OURS} over {rival}"
                rows.append((what, "above 0, surely", told(lead), verdict(met)))
        if family == "HalfCheetahDir" and "ppo" in found:
            score = found["ppo"].score
            assert score
            rows.append((f"{family}: score of ppo", "below 0.4", told(score), verdict(score.iqm < 0.4)))
    return ["## Hoped for, and found", "", *markdown_table(rows).splitlines(), ""]


def verdict(met: bool | None) -> str:
    return "too few seeds" if met is None else "met" if met else "**missed**"


def milestones(out: Path) -> list[str]:
    """Tells what so many env steps of training give."""
    lines = [
        "Trained by env steps, in trials of 2 x 200, seed 0. Mean total: of both episodes, mean over tasks, as peers"
        " report it; pomdp-baselines (`scripts/constants.py`) names -79.7 for an oracle on HalfCheetahVel, -351.7 for a"
        " policy without memory, and -646.3 for random actions.",
        "",
    ]
    rows = [("training", "hoped for", "found", "mean total", "")]
    for milestone in MILESTONES:
        if (found := milestone.found(out)) is not None:
            budget = f"{milestone.family}, {milestone.steps / 1e6:g} M steps"
            what = f"{budget}: return per episode in 64 trials of held-out tasks"
            hoped, met = f"{milestone.goal:g} or more", found.iqm >= milestone.goal
            rows.append((what, hoped, f"{found.iqm:.1f}", f"{found.mean_total:.1f}", verdict(met)))
    return [*lines, markdown_table(rows), ""] if len(rows) > 1 else []


def section(comparison: Comparison, methods: Sequence[MethodResult], runs: Sequence[TrainingRun]) -> list[str]:
    """Returns a family's table and picture."""
    splits = list(methods[0].by_split)
    columns = {"method": [f"`{method.method}`" for method in methods], **columns_of(methods)}
    columns |= {split: [f"{method.by_split[split]:.1f}" for method in methods] for split in splits}
    lines = [
        f"## {comparison.name}",
        "",
        f"{comparison.training} of training on one core ({processors(runs)}); {', '.join(splits)}: return on tasks of"
        " each split.",
        "",
        *searches(comparison),
        *same_training(comparison, columns["method"]),
        *belief_network(runs),
        markdown_table([tuple(columns), *zip(*columns.values(), strict=True)]),
    ]
    picture = f"{PICTURES}/{comparison.directory(Path()).name}.png"
    return [
        *lines,
        "",
        *as_shipped(comparison),
        f"![Return by training time, by steps, by episode, and by episodes consumed]({picture})",
        "",
    ]


def searches(comparison: Comparison) -> list[str]:
    """Tells what was tuned, and how."""
    lines = []
    for preset in map(read_preset, comparison.presets):
        about, settings = preset.about, in_words(preset.settings)
        lines.append(
            f"- `{preset.method}` was tuned on validation tasks for {about['search_minutes']:g} minutes of one core, by"
            f" {about['trainings']} trainings of {about['minutes']:g} minutes, losers given up early: {settings}"
        )
    return [*lines, ""] if lines else []


def same_training(comparison: Comparison, methods: Sequence[str]) -> list[str]:
    """Tells where two methods are one training: by a family whose own weight of the auxiliary loss is 0."""
    if make_family(comparison.family, comparison.variant).task_coef or f"`{PLAIN}`" not in methods:
        return []
    told = f"This family's own weight of the auxiliary loss is 0: `{OURS}` and `{PLAIN}` are one training here, twice."
    return [told, ""]


def belief_network(runs: Sequence[TrainingRun]) -> list[str]:
    """Tells where ours has a belief network, and by what it counted minutes that no such training took."""
    own = [run for run in runs if run.method == OURS]
    settings = next((run.provenance.settings for run in own if run.provenance), {})
    if not settings.get("belief_size"):
        return []
    if candidates := settings.get("candidates"):
        told = (
            f"`{OURS}` searches here: it is told its task while it is trained, and later holds one of {candidates}"
            " candidate tasks for true, until the rewards rule it out. Whoever is told its task, the oracle and the"
            " teacher of `rma` as well, is paid for coming nearer too while it learns"
            " ([docs/learning.md](learning.md#a-search-among-candidate-tasks))."
        )
    else:
        told = (
            f"`{OURS}` has a belief network of {settings['belief_size']} units here: it is told its task for the first"
            f" {settings['ppo']['told_share']:.0%} of its budget, and then sees that network's guess"
            " ([docs/learning.md](learning.md#a-belief-network))."
        )
    if all(run.pace for run in own):
        told += (
            f" It was never trained so on {own[0].timer}: its pace there is that of an earlier `{OURS}` without such a"
            " network, times the ratio of the two's speeds on the processor that these were trained on."
        )
    return [told, ""]


def as_shipped(comparison: Comparison) -> list[str]:
    """Tells what the controller that comes with the package returns, where it is of the same variant."""
    if comparison.family not in shipped_names() or comparison.variant != "default" or comparison.tuned:
        return []
    shipped = load_controller(comparison.family)
    adaptation = evaluate(shipped)
    return [
        f"The controller that comes with the package ({shipped.card.steps / 1e6:.1f} M steps):"
        f" {told(Score(adaptation.iqm[-1], adaptation.worst10[-1], adaptation.ci95[-1], ()))} on the same tasks, played"
        f" on {cpu_model()}.",
        "",
    ]


def draw(path: Path, runs: Sequence[TrainingRun]) -> None:
    """Draws training by time and by steps, adaptation by episode, and by gradient steps where there are any."""
    charts = [*comparison_charts.training(runs), comparison_charts.adaptation(runs)]
    if any(run.consumed for run in runs):
        charts.append(comparison_charts.consumed(runs))
    save_picture(path, charts)


def adapting(out: Path, results: Results) -> list[str]:
    """Tells, of every family, what memory is worth, and what knowing the task would be.

    results: of those that have a section of their own.
    """
    rows = []
    for comparison in (*COMPARISONS, *ADAPTING):
        if comparison.tuned or not comparison.begun(out):
            continue
        methods = results.get(comparison.name) or summarise_methods(read_runs(comparison.directory(out)))
        found = {method.method: method for method in methods}
        if not {OURS, "no-memory", "oracle"} <= found.keys():
            continue
        told_of = [found[method] for method in ("oracle", OURS, "no-memory")]
        figures: list[Score | Lead] = [*(method.returns for method in told_of), found["no-memory"].first_lead]
        cells = [told(figure).removesuffix(ONE_SEED) for figure in figures]
        seeds = [str(len(method.by_seed)) for method in told_of]
        number = seeds[0] if len(set(seeds)) == 1 else ", ".join(seeds)
        rows.append((f"`{comparison.name}`", comparison.training, number, *cells))
    head = ("family", "training", "seeds", "shown its task", "with memory", "without memory", "lead of memory")
    return ["## Where adapting pays", "", filled(ADAPTING_PAYS), "", markdown_table([head, *rows]), ""] if rows else []


def overfitting(out: Path) -> list[str]:
    """Tells the return on tasks met in training and on others, by the number of those to train on."""
    families = {comparison.family for comparison in OVERFITTING}
    beside = [comparison for comparison in ADAPTING if comparison.family in families]
    done = [comparison for comparison in (*OVERFITTING, *beside) if comparison.begun(out)]
    if not done:
        return []
    lines = [
        "## How many tasks to train on",
        "",
        f"`{OURS}` on {done[0].family}, {done[0].training} on one core, with so many tasks met over and over.",
        "",
    ]
    rows = [("tasks to train on", "seeds", "return on them", "on held-out tasks", "gap")]
    for comparison in done:
        own = [run for run in read_runs(comparison.directory(out)) if run.method == OURS]
        if own:
            met, unmet = (float(interquartile_mean(finals(own, split).ravel())) for split in ("train", "heldout"))
            number = str(comparison.train_tasks or "unlimited")
            rows.append((number, str(len(own)), f"{met:.0f}", f"{unmet:.0f}", f"{met - unmet:.0f}"))
    return [*lines, markdown_table(rows), ""]
