"""docs/results.md: from trainings to words."""

import functools
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tyro

from limbshift.envs.catalogue import families
from limbshift.envs.errors import InputError
from limbshift.experiments.commands.evaluate import evaluate
from limbshift.experiments.comparison.config import CompareConfig
from limbshift.experiments.comparison.provenance import Provenance
from limbshift.experiments.comparison.summary import MethodResult
from limbshift.experiments.comparison.timed_training import HeldoutCurvePoint, Pace
from limbshift.experiments.comparison.training_run import TrainingRun
from limbshift.experiments.jobs.job import Job, in_turn
from limbshift.experiments.jobs.side_by_side import on_each_core
from limbshift.experiments.published import markdown, plan, run
from limbshift.experiments.published.markdown import belief_network, hopes
from limbshift.experiments.published.plan import Comparison, Milestone
from limbshift.experiments.published.run import ResultsConfig, run_results
from limbshift.experiments.runs.presets import Preset, save_preset
from limbshift.experiments.runs.resume import config_of
from limbshift.meta.evaluation.scores import Lead, Score
from limbshift.meta.evaluation.statistics import Interval
from limbshift.meta.rl2.trainer import Trainer

COMPARISONS = (
    Comparison("InvertedPendulumBody", {"minutes": 0.04}, {"limbshift": 1, "oracle": 1, "finetune": 1}),
    Comparison("InvertedPendulumBody", {"minutes": 0.04}, {"oracle": 1, "ppo": 1}, tuned=["ppo"]),
)
ADAPTING = (Comparison("ReacherGoal", {"steps": 2000}, {"limbshift": 1, "no-memory": 1, "oracle": 1}),)
OVERFITTING = (Comparison("InvertedPendulumBody", {"minutes": 0.04}, {"limbshift": 1}, train_tasks=2),)
MILESTONES = (Milestone("InvertedPendulumBody", 1, goal=1000.0),)
DOCS = Path(__file__).parents[3] / "docs"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Of trainings that last a few seconds, one after another in this process."""
    out = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        for module in (run, markdown):
            patch.setattr(module, "COMPARISONS", COMPARISONS)
            patch.setattr(module, "ADAPTING", ADAPTING)
            patch.setattr(module, "OVERFITTING", OVERFITTING)
            patch.setattr(module, "MILESTONES", MILESTONES)
        search = {"minutes": 2.0, "trainings": 12, "search_minutes": 24.0}
        save_preset(out / "InvertedPendulumBody-ppo.json", Preset("ppo", {"ppo.learning_rate": 1e-3}, search))
        patch.setattr(plan, "PRESETS", out)
        small = functools.partial(CompareConfig, num_envs=8, episodes=2, horizon=10, num_tasks=4)
        patch.setattr(plan, "CompareConfig", small)
        patch.setattr(plan, "config_of", lambda settings: config_of({**settings, "num_envs": 8}))
        for module in (plan, markdown):
            patch.setattr(module, "evaluate", functools.partial(evaluate, num_tasks=8, horizon=20))
        patch.setattr(run, "on_each_core", in_turn)
        config = ResultsConfig(out / "runs", out / "docs" / "results.md")
        run_results(config)
        written = (out / "docs" / "results.md").read_text()
        run_results(replace(config, page_only=True))
        assert (out / "docs" / "results.md").read_text() == written
        yield out / "docs" / "results.md"


def test_the_page_tells_of_all_that_was_trained(page: Path) -> None:
    text = page.read_text()
    assert "from 13 of its 13 trainings, each" in text
    for method in ("limbshift", "oracle", "finetune", "random"):
        assert f"| `{method}` | 1 | " in text
    assert "(one seed)" not in text[text.index("## InvertedPendulumBody") :]
    assert "Random actions are not trained: their interval is for other tasks alone." in text.replace("\n", " ")
    assert "The controller that comes with the package (4.2 M steps): " in text
    assert (page.parent / "results" / "InvertedPendulumBody.png").read_bytes().startswith(b"\x89PNG")
    assert "Code: 13 trainings by " in text.replace("\n", " ")
    tuned = text[text.index("## InvertedPendulumBody (tuned)") :]
    assert (
        "- `ppo` was tuned on validation tasks for 24 minutes of one core, by 12 trainings of 2 minutes, losers given"
        " up early: learning_rate 0.001\n"
    ) in tuned
    assert "| `ppo` | 1 | " in tuned
    assert "\n| `ReacherGoal` | 0.002 M env steps | 1 | " in text
    milestone = next(line for line in text.splitlines() if "return per episode in 64 trials of held-out tasks" in line)
    assert milestone.endswith("| **missed** |"), "no pendulum returns 1000 in 200 steps"
    gap = next(line for line in text.splitlines() if line.startswith("| 2 | 1 | "))
    met, unmet, difference = (float(part) for part in gap.split("|")[3:6])
    assert difference == pytest.approx(met - unmet, abs=1)


def test_each_training_has_a_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = functools.partial(CompareConfig, num_envs=4, episodes=2, horizon=5, num_tasks=4)
    monkeypatch.setattr(plan, "CompareConfig", small)
    for module in (run, markdown):
        monkeypatch.setattr(
            module, "COMPARISONS", [Comparison("InvertedPendulumBody", {"steps": 80}, {"no-memory": 1})]
        )
        for name in ("ADAPTING", "OVERFITTING", "MILESTONES"):
            monkeypatch.setattr(module, name, ())
    monkeypatch.setattr(run, "on_each_core", on_each_core)
    monkeypatch.setattr(Trainer, "iterate", None)  # in this process alone
    written = run_results(ResultsConfig(tmp_path / "runs", tmp_path / "results.md"))
    assert "from 2 of its 2 trainings" in written.read_text()


def method(name: str, iqm: float, ahead: Interval | None) -> MethodResult:
    score, lead = Score(iqm, 0.0, None, (iqm,)), Lead(0.4, ahead, (0.3, 0.5))
    return MethodResult(name, "", 1.0, 1.0, score, score, score, score, lead, lead, {}, [])


def test_what_was_hoped_for_is_met_or_missed() -> None:
    ours, near, far = (
        method("limbshift", 0.91, None),
        method("ppo", 0.5, (-0.1, 0.9)),
        method("recurrent-ppo", 0.1, (0.1, 0.7)),
    )
    found = hopes({"HalfCheetahDir": [ours, near, far], "HalfCheetahVel": [ours, method("ppo", 0.5, None)]})[4:-1]
    assert [[line.split("|")[column].strip() for column in (1, 4)] for line in found] == [
        ["HalfCheetahDir: score of limbshift", "met"],
        ["HalfCheetahDir: lead of limbshift over ppo", "**missed**"],
        ["HalfCheetahDir: lead of limbshift over recurrent-ppo", "met"],
        ["HalfCheetahDir: score of ppo", "**missed**"],
        ["HalfCheetahVel: score of limbshift", "met"],
        ["HalfCheetahVel: lead of limbshift over ppo", "too few seeds"],
    ]
    assert "| 0.40 (seeds 0.30, 0.50) | too few seeds |" in found[-1]


def trained(settings: dict[str, Any], pace: Pace | None) -> TrainingRun:
    """By no code that anyone knows."""
    provenance = Provenance(None, None, settings, "0", {}, "Here")
    look = HeldoutCurvePoint(1.0, 100, [[1.0]])
    return TrainingRun("limbshift", 0, "Here", [look], {"heldout": [[1.0]]}, provenance=provenance, pace=pace)


def test_a_belief_network_is_told_and_where_its_pace_was_not_measured() -> None:
    believing = {"belief_size": 64, "ppo": {"told_share": 0.6}}
    assert belief_network([]) == belief_network([trained({}, None)]) == []
    told = "`limbshift` has a belief network of 64 units here: it is told its task for the first 60% of its budget, and"
    timed, paced = (belief_network([trained(believing, pace)])[0] for pace in (None, Pace("There", 100.0)))
    assert timed == f"{told} then sees that network's guess ([docs/learning.md](learning.md#a-belief-network))."
    assert paced.startswith(
        f"{timed} It was never trained so on There: its pace there is that of an earlier `limbshift`"
    )
    searching = belief_network([trained({**believing, "candidates": 128}, None)])[0]
    assert searching.startswith(
        "`limbshift` searches here: it is told its task while it is trained, and later holds one of 128"
    )


def test_the_page_in_the_repository_is_of_the_trainings_beside_it() -> None:
    text = (DOCS / "results.md").read_text()
    comparisons = (*plan.COMPARISONS, *plan.ADAPTING, *plan.OVERFITTING)
    there = sum(path.is_file() for comparison in comparisons for path in comparison.files(DOCS / "results"))
    assert f"from {there} of its 411 trainings" in text.replace("\n", " ")
    for comparison in plan.COMPARISONS:
        assert (f"\n## {comparison.name}\n" in text) == comparison.begun(DOCS / "results")


def test_the_evidence_is_what_was_promised() -> None:
    seeds = {comparison.name: comparison.seeds for comparison in plan.COMPARISONS if not comparison.tuned}
    assert len(seeds) == 10
    for family, by_method in seeds.items():
        assert by_method.keys() == {"limbshift", "rl2", "no-memory", "oracle", "ppo", "recurrent-ppo", "rma"}
        assert set(by_method.values()) in ({5}, {3}), family
    assert sum(set(by_method.values()) == {5} for by_method in seeds.values()) == 5
    assert plan.COMPARISONS[7].directory(Path("results")) == Path("results/AntGoal-sparse")
    (tuned,) = (comparison for comparison in plan.COMPARISONS if comparison.tuned)
    assert tuned.seeds == {"limbshift": 3, "oracle": 3, "ppo": 3, "recurrent-ppo": 3}
    assert tuned.directory(Path("results")) == Path("results/Walker2dRandParams-tuned")
    assert [comparison.train_tasks for comparison in plan.OVERFITTING] == [2, 8, 32, 128]
    everything = [*plan.COMPARISONS, *plan.ADAPTING, *plan.OVERFITTING]
    assert len({comparison.directory(Path()) for comparison in everything}) == len(everything), "none shares another's"
    assert {comparison.family for comparison in everything} == {*families()}


def test_trainings_go_seed_by_seed_over_all_families(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a part of them is a page on all families already."""
    done: list[str] = []

    def named(jobs: Iterable[Job[object]]) -> list[object]:
        done.extend(job.name for job in jobs)
        return []

    comparisons = [
        Comparison(family, {"minutes": 1.0}, {"limbshift": 2}) for family in ("ReacherGoal", "InvertedPendulumBody")
    ]
    for module in (run, markdown):
        monkeypatch.setattr(module, "COMPARISONS", comparisons)
        monkeypatch.setattr(module, "ADAPTING", ())
        monkeypatch.setattr(module, "OVERFITTING", ())
        monkeypatch.setattr(module, "MILESTONES", ())
    monkeypatch.setattr(run, "on_each_core", named)
    run_results(ResultsConfig(tmp_path / "runs", tmp_path / "results.md"))
    assert [name.split(": ")[1] for name in done] == [
        "random, seed 0", "limbshift, seed 0", "random, seed 0", "limbshift, seed 0", "limbshift, seed 1",
        "limbshift, seed 1",
    ]  # fmt: skip
    assert (done[0], done[-1]) == ("ReacherGoal: random, seed 0", "InvertedPendulumBody: limbshift, seed 1")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--page", ""], ". is a directory, expected a file's path"),
        (["--page-only", "--out", "mistyped"], "out is mistyped, which holds no training, expected the directory of"),
    ],
)
def test_what_cannot_be_written_is_told_before_any_work(
    given: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run, "on_each_core", lambda jobs: pytest.fail("trained"))
    with pytest.raises(InputError, match=re.escape(told)):
        run_results(tyro.cli(ResultsConfig, args=["--out", "runs", "--page", "results.md", *given]))
    assert not [*tmp_path.iterdir()]
