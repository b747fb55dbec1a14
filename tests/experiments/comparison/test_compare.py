"""Comparing methods: runs, what is read off them, and the page."""

import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from stable_baselines3.common.vec_env import VecNormalize

from limbshift.envs.catalogue import make_family
from limbshift.envs.errors import InputError
from limbshift.envs.trial_env import TrialEnv
from limbshift.experiments.cli import main
from limbshift.experiments.comparison.compare import check_comparison
from limbshift.experiments.comparison.config import CompareConfig
from limbshift.experiments.comparison.html import columns_of, told
from limbshift.experiments.comparison.methods import METHODS
from limbshift.experiments.comparison.summary import summarise_methods
from limbshift.experiments.comparison.timed_training import (
    CLOCKS,
    HeldoutCurvePoint,
    MakeAct,
    Pace,
    Setting,
    TimedTraining,
    usual_setting,
)
from limbshift.experiments.comparison.trainers import TRAIN, Ours
from limbshift.experiments.comparison.training_run import TrainingRun, finals_at
from limbshift.experiments.runs.directory import locked
from limbshift.meta.evaluation.scores import Lead, Score
from limbshift.meta.evaluation.trials import random_actor
from limbshift.meta.threads import torch_threads

SHAPE = ["--minutes", "0.02", "--num-envs", "4", "--episodes", "2", "--horizon", "5", "--tasks", "4"]

FAMILY = make_family("InvertedPendulumBody")
TRAINED = [name for name in METHODS if name != "random"]
GUESSING = ("limbshift", "hyper", "transformer", "belief")
"""Methods whose memory learns to tell the task."""


def compare(out: Path, *arguments: str) -> int:
    return main(["compare", "InvertedPendulumBody", "--out", str(out), *SHAPE, *arguments])


@pytest.fixture(autouse=True, scope="module")
def steady_clock() -> Iterator[None]:
    """A tenth of a second between glances at the clock, so that a slow machine trains as long as a fast one."""
    ticks = itertools.count()
    with patch.dict(CLOCKS, wall=lambda: next(ticks) / 10):
        yield


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of every method, with one seed."""
    out = tmp_path_factory.mktemp("comparison") / "all"
    assert compare(out, "--seeds", "1", "--methods", *TRAINED) == 0
    return out


def test_every_method_is_trained_and_told_of(results: Path) -> None:
    content = json.loads((results / "results.json").read_text())
    assert [method["method"] for method in content["methods"]] == list(METHODS)
    assert (content["family"], content["version"]) == ("InvertedPendulumBody", "0.1.0")
    for cell in content["cells"]:
        assert np.shape(cell["splits"]["heldout"]) == (4, 2)
        assert cell["splits"].keys() == {"train", "heldout"}
        seconds, steps = (cell["looks"][-1][name] for name in ("seconds", "steps"))
        assert (seconds, steps) == (0, 0) if cell["method"] == "random" else steps > 0 and seconds >= 1.2
        assert np.shape(cell["trials"]["longer"]) == (4, 10)
        assert len(cell["trials"]["task_error"]) == (10 if cell["method"] in GUESSING else 0)
        assert cell["provenance"]["settings"]["method"] == cell["method"]
    assert [cell["method"] for cell in content["cells"]] == list(METHODS)
    assert {each["parameter"] for each in content["by_parameter"]} <= set(FAMILY.task_space.names)


def test_the_page_needs_nothing_beside_it(results: Path) -> None:
    text = (results / "index.html").read_text()
    page, scripts = text[: text.index("<script>")], re.findall(r"<script[^>]*>", text)
    for name in METHODS:
        assert f"<b>{name}</b>" in page
    assert page.count('class="chart"') >= 4
    assert "What the memory knows" in page
    assert not any(word in page for word in ("<img", " src=", "http"))
    assert re.findall(r"<link[^>]*>", page) == ['<link rel="icon" href="data:,">']
    assert set(scripts) == {"<script>", '<script type="application/json">'}


def test_an_interrupted_comparison_goes_on(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path.name: path.read_text() for path in (results / "cells").iterdir()}
    (results / "cells" / "ppo-0.json").unlink()
    (results / "cells" / ".ppo-0-half.json").write_text("{")  # as a killed process would leave it
    assert compare(results, "--seeds", "1", "--methods", *TRAINED) == 0
    assert capsys.readouterr().out.count("seed ") == 1
    after = {path.name: path.read_text() for path in (results / "cells").glob("[!.]*")}
    assert after.keys() == before.keys()
    assert {name for name in before if after[name] != before[name]} <= {"ppo-0.json"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--methods", "dreamer"], "method is 'dreamer', expected some of limbshift, rl2"),
        (["--minutes", "0.01"], "a comparison whose minutes is 0.02, expected 0.01 as here"),
        (["--seeds", "0"], "seeds is 0, expected a number above 0"),
    ],
)
def test_bad_input_is_one_line(
    results: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare(results, *arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1


def test_without_an_oracle_it_is_said_what_would_give_scores(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare(tmp_path / "out", "--methods", "random") == 0
    first, second, _ = capsys.readouterr().out.splitlines()
    own = json.loads((tmp_path / "out" / "results.json").read_text())["methods"][0]
    told = own["returns"]["iqm"]
    assert first == f"random, seed 0: 0 s, 0 steps, IQM of the return in the last episode {told:.1f}"
    assert (
        second == "no scores: add oracle to --methods to have returns scaled from random actions (0) to the oracle (1)"
    )
    assert own["score"] is None
    page = " ".join((tmp_path / "out" / "index.html").read_text().split())
    assert "add oracle to --methods" in page
    assert "Random actions are not trained: their interval is for other tasks alone." in page
    assert "add oracle to --methods" not in (results / "index.html").read_text()


def test_all_legends_have_the_order_of_the_table(results: Path) -> None:
    """In the chart by gradient steps too, where most methods are levels."""
    page = (results / "index.html").read_text()
    legends = [re.findall(r'value="([^"]*)"', legend) for legend in re.findall(r"<fieldset>.*?</fieldset>", page, re.S)]
    assert len(legends) >= 4
    assert [legend for legend in legends if legend != [name for name in METHODS if name in legend]] == []


def test_what_ours_and_maml_are_told_reaches_them(tmp_path: Path) -> None:
    settings = []

    def train(setting: Setting, timed: TimedTraining) -> MakeAct:
        settings.append(setting)
        return TRAIN["random"](setting, timed)

    with patch.dict("limbshift.experiments.comparison.compare.TRAIN", {"limbshift": train}):
        arguments = ["--methods", "limbshift", "--cell", "gru", "--hide-reward", "--first-order", "--seeds", "1"]
        assert compare(tmp_path / "out", *arguments) == 0
    (setting,) = settings
    assert (setting.cell, setting.hide_reward, setting.first_order) == ("gru", True, True)
    assert (setting.num_envs, setting.episodes, setting.horizon) == (4, 2, 5)


def test_each_of_ours_learns_something_else() -> None:
    family = make_family("HalfCheetahDir")
    returns = {}
    for name in ("limbshift", "rl2", "hyper", "transformer", "no-memory", "oracle"):
        observes_task = METHODS[name].observes_task
        env = TrialEnv(family, 4, 2, horizon=5, split="heldout", observe_task=observes_task)
        timed = TimedTraining(env, 0, seconds=40.0, num_looks=1, clock=map(float, itertools.count()).__next__)
        usual = usual_setting(family, 0, num_envs=4, episodes=2, horizon=5)
        TRAIN[name](usual.tuned(METHODS[name].network), timed)
        returns[name] = timed.looks[-1].returns
    assert all(one != other for one, other in itertools.combinations(returns.values(), 2))


@pytest.mark.parametrize("name", ["limbshift", "rl2", "maml", "ppo", "recurrent-ppo", "finetune"])
def test_all_explore_as_the_family_asks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    family = make_family("AntDirForwardBack")
    assert family.initial_log_std != make_family("HalfCheetahDir").initial_log_std
    explored = []

    class NoTime(TimedTraining):
        def run(self, iterate: Any, *_: object) -> None:
            explored.append(iterate.__self__.policy.log_std)  # of a trainer or of MAML

    monkeypatch.setattr(
        "limbshift.experiments.comparison.sb3_baselines.learn",
        lambda algorithm, *_, **__: explored.append(algorithm.policy.log_std),
    )
    setting = usual_setting(family, 0, num_envs=4, episodes=2, horizon=5)
    TRAIN[name](setting, NoTime(TrialEnv(family, 4, 2, horizon=5, split="heldout"), 0, 1.0, 1))
    assert explored[0].tolist() == pytest.approx([family.initial_log_std] * 8)


@pytest.mark.parametrize(("name", "guesses"), [("AntDir", True), ("Walker2dRandParams", False)])
def test_the_memory_is_asked_for_the_task_where_it_learnt_to_tell_it(name: str, guesses: bool) -> None:
    family = make_family(name)
    timed = TimedTraining(TrialEnv(family, 4, 2, horizon=5, split="heldout"), 0, 0.0, 1, steps=1)
    make_act = TRAIN["limbshift"](usual_setting(family, 0, num_envs=4, episodes=2, horizon=5), timed)
    assert isinstance(make_act, Ours)
    assert (make_act.guesses is not None) is guesses


def cell(method: str, seed: int, *finals: float, steps: int = 100) -> TrainingRun:
    """Whose returns in the last episode are these, at its end, and a tenth of that at 50 steps."""
    returns = [[0.0, value] for value in finals]
    early = [[0.0, value / 10] for value in finals]
    looks = [HeldoutCurvePoint(1.0, min(steps // 2, 50), early), HeldoutCurvePoint(2.0, steps, returns)]
    return TrainingRun(method, seed, "a CPU", looks, {"heldout": returns})


def test_scores_by_hand() -> None:
    """Random actions return 0, the oracle 10. At 50 steps, where the oracle ends, ours was at a tenth of its end."""
    runs = [
        cell("limbshift", 0, 8.0, 8.0, steps=1000),
        cell("limbshift", 1, 6.0, 6.0, steps=1000),
        cell("oracle", 0, 10.0, 10.0, steps=50),
        cell("random", 0, 0.0, 0.0, steps=0),
    ]
    ours, oracle, random = summarise_methods(runs)
    assert (ours.steps, ours.seconds, ours.by_seed) == (1000.0, 2.0, [8.0, 6.0])
    assert ours.score == Score(0.7, 0.6, None, (0.8, 0.6))
    assert ours.score_at_equal_steps == ours.first_at_equal_steps == ours.score
    assert oracle.first_at_equal_steps is not None
    assert oracle.score_at_equal_steps == oracle.score
    assert oracle.first_at_equal_steps.iqm == pytest.approx(0.07)
    assert [method.score and method.score.iqm for method in (oracle, random)] == [1.0, 0.0]
    assert [method.first_lead.value for method in (ours, oracle, random)] == pytest.approx([0.0, -0.3, 0.7])
    assert oracle.first_lead_at_equal_steps.value == pytest.approx(-0.93)
    ours, random = summarise_methods([*runs[:2], runs[-1]])
    assert ours.score is random.score is None, "no oracle, no score"
    assert random.first_lead.value == 7.0, "in returns"


def test_the_lead_that_is_told_is_of_a_method_that_learns_unseeing() -> None:
    """Columns that hold nothing are left out: here scores, as no oracle beats random actions."""
    oracle, ppo, random = cell("oracle", 0, -1.0), cell("ppo", 0, 3.0), cell("random", 0, 0.0, steps=0)
    columns = columns_of(summarise_methods([oracle, ppo, random]))
    assert list(columns) == ["seeds", "lead of ppo", "lead at equal steps", "return", "M steps", "steps/s"]
    assert columns["lead of ppo"] == ["4.00", "-", "3.00"], "one seed, as their column says"
    assert columns["seeds"] == ["1", "1", "1"]
    assert columns_of(summarise_methods([random])).keys() == {"seeds", "return", "M steps", "steps/s"}
    assert "lead of oracle" in columns_of(summarise_methods([cell("oracle", 0, 2.0), random]))


def test_three_seeds_have_intervals_and_two_have_points() -> None:
    runs = [
        *(cell("limbshift", seed, 8.0 + seed, 6.0 + seed) for seed in range(3)),
        *(cell("oracle", seed, 9.9, 10.1 + seed) for seed in range(2)),
        cell("random", 0, 0.0, 0.1, steps=0),
    ]
    ours, oracle, random = summarise_methods(runs)
    assert told(oracle.returns) == "10.00 (seeds 10.00, 10.50)"
    assert ours.returns.ci95
    assert random.returns.ci95
    assert oracle.first_lead.ci95 is None
    assert random.first_lead.ci95


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Score(0.934, 0.0, (0.88, 0.97), (0.9, 0.9, 1.0)), "0.93 (0.88 to 0.97)"),
        (Score(934.4, 0.0, None, (930.2, 938.6)), "934 (seeds 930, 939)"),
        (Lead(0.5, None, (0.5,)), "0.50 (one seed)"),
        (Lead(0.5, None, ()), "0.50"),
        (Score(1.0, 1.0, (1.0, 1.0), (1.0, 1.0, 1.0)), "1.00"),
        (None, "-"),
    ],
)
def test_what_is_told_of_a_number(found: Score | Lead | None, words: str) -> None:
    assert told(found) == words


def test_returns_between_looks_lie_on_a_line() -> None:
    own = cell("limbshift", 0, 8.0, 4.0)  # 0.8 and 0.4 after 50 steps
    for steps, expected in ((10, (0.8, 0.4)), (50, (0.8, 0.4)), (75, (4.4, 2.2)), (100, (8.0, 4.0)), (999, (8.0, 4.0))):
        assert finals_at([own], steps)[0] == pytest.approx(expected)


def test_looking_takes_no_training_time() -> None:
    """A clock that goes on by a second at each glance, and by a hundred while a policy is looked at."""
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += 1
        return now

    def make_act(env: TrialEnv) -> object:
        nonlocal now
        now += 100
        return random_actor(env, 0)

    env = TrialEnv(make_family("InvertedPendulumBody"), 2, 1, horizon=3, split="heldout")
    timed = TimedTraining(env, 0, seconds=4.0, num_looks=2, clock=clock)
    timed.begin()
    looking: MakeAct = make_act  # type: ignore[assignment]  # object keeps the signature short
    assert [timed(step, looking) for step in range(1, 5)] == [True, True, True, False]
    assert [(look.seconds, look.steps) for look in timed.looks] == [(2.0, 2), (4.0, 4)]
    assert timed.looks[0].returns == timed.looks[1].returns, "each look plays the same"


def test_a_budget_of_steps_takes_no_account_of_time() -> None:
    """Of 10 steps in iterations of 4, whatever a second is: looks when a half, 5, and all 10 are over, at 8 and 12."""
    env = TrialEnv(make_family("InvertedPendulumBody"), 2, 1, horizon=3, split="heldout")
    clock = map(float, itertools.count(step=1000)).__next__
    timed = TimedTraining(env, 0, seconds=1.0, num_looks=2, clock=clock, steps=10)
    shares: list[float] = []
    timed.run(shares.append, lambda: 4 * len(shares), lambda env: random_actor(env, 0))
    assert shares == [0.0, 0.4, 0.8]
    assert [look.steps for look in timed.looks] == [8, 12]
    env.close()


def test_a_pace_turns_env_steps_into_seconds() -> None:
    """Of 4 s at 2.5 steps a second, which are 10 steps, in iterations of 4."""
    env = TrialEnv(make_family("InvertedPendulumBody"), 2, 1, horizon=3, split="heldout")
    clock = map(float, itertools.count(step=1000)).__next__
    timed = TimedTraining(env, 0, seconds=4.0, num_looks=2, clock=clock, pace=Pace("another one", 2.5))
    shares: list[float] = []
    timed.run(shares.append, lambda: 4 * len(shares), lambda env: random_actor(env, 0))
    assert shares == [0.0, 0.4, 0.8]
    assert [(look.seconds, look.steps) for look in timed.looks] == [(3.2, 8), (4.8, 12)]
    env.close()


def test_a_comparison_by_steps_does_not_depend_on_the_number_of_cores(tmp_path: Path) -> None:
    def train(setting: Setting, timed: TimedTraining) -> MakeAct:
        threads.append(torch.get_num_threads())
        return TRAIN["random"](setting, timed)

    threads: list[int] = []
    arguments = ["--methods", "limbshift", "--seeds", "1"]
    with torch_threads(2), patch.dict("limbshift.experiments.comparison.compare.TRAIN", {"limbshift": train}):
        assert compare(tmp_path / "steps", *arguments, "--steps", "50") == 0
        assert compare(tmp_path / "minutes", *arguments) == 0
        assert torch.get_num_threads() == 2
    assert threads == [1, 2]


def test_a_comparison_by_steps_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The ceiling has three times as many; an iteration is of 4 trials of 2 x 5 steps."""
    out = tmp_path / "out"
    arguments = ["--methods", "limbshift", "ceiling", "--seeds", "1", "--steps", "50"]
    assert compare(out, *arguments) == 0
    content = json.loads((out / "results.json").read_text())
    assert (content["steps"], content["minutes"]) == (50, None)
    assert {cell["method"]: cell["looks"][-1]["steps"] for cell in content["cells"]} == {
        "limbshift": 80, "ceiling": 160, "random": 0,
    }  # fmt: skip
    assert (
        "was trained for 50 env steps (and what its last iteration made beyond them) with 4 robots"
        in (out / "index.html").read_text()
    )
    assert compare(out, *arguments[:-1], "60") == 2
    assert "a comparison whose steps is 50, expected 60 as here" in capsys.readouterr().err


def test_a_budget_below_one_iteration_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(tmp_path / "out", "--methods", "limbshift", "--minutes", "1e-6") == 2
    assert "minutes is 1e-06, expected more than one iteration takes, " in capsys.readouterr().err
    assert not list((tmp_path / "out").glob("cells/*"))


def test_without_the_extra_the_command_to_install_it_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("limbshift.experiments.comparison.methods.find_spec", lambda name: None)
    assert compare(tmp_path / "out", "--methods", "limbshift", "sac") == 2
    assert capsys.readouterr().err == "limbshift: method sac needs stable_baselines3: pip install '.[sb3]'\n"
    assert not (tmp_path / "out").exists()


def write_preset(path: Path, method: str | None, **settings: object) -> Path:
    """A preset's file; without a method it is ours, as those of earlier versions."""
    about = {"method": method} if method else {}
    search = {"minutes": 2.0, "trainings": 8, "search_minutes": 10.0}
    path.write_text(json.dumps({"format": "limbshift-preset-1", **about, **search, "settings": settings}))
    return path


def test_presets_are_taken_by_the_methods_that_they_are_for(tmp_path: Path) -> None:
    """One that was tuned for limbshift is the oracle's too, and one of ppo finetune's; recurrent-ppo has its usual."""
    ours = write_preset(tmp_path / "ours.json", None, hidden_size=16, cell="gru", no_memory=False)
    ppo = write_preset(tmp_path / "ppo.json", "ppo", gamma=0.9, **{"ppo.learning_rate": 1e-3})
    told: dict[str, Setting] = {}
    usual = usual_setting(make_family("InvertedPendulumBody"), 0, num_envs=4, episodes=2, horizon=5)

    def remember(name: str) -> Any:
        def train(setting: Setting, timed: TimedTraining) -> MakeAct:
            told[name] = replace(setting, family=usual.family)
            return TRAIN["random"](setting, timed)

        return train

    names = ["limbshift", "oracle", "ppo", "finetune", "recurrent-ppo"]
    with patch.dict("limbshift.experiments.comparison.compare.TRAIN", {name: remember(name) for name in names}):
        arguments = ["--methods", *names, "--seeds", "1", "--presets", str(ours), str(ppo)]
        assert compare(tmp_path / "out", *arguments) == 0
        assert compare(tmp_path / "out", *arguments) == 0, "nothing is left to be trained"
    assert told["limbshift"] == told["oracle"]
    assert (told["limbshift"].hidden_size, told["limbshift"].cell, told["limbshift"].ppo) == (16, "gru", usual.ppo)
    assert told["ppo"] == told["finetune"]
    assert (told["ppo"].hidden_size, told["ppo"].gamma, told["ppo"].ppo.learning_rate) == (128, 0.9, 1e-3)
    assert (told["recurrent-ppo"].gamma, told["recurrent-ppo"].ppo) == (usual.gamma, usual.ppo)
    content = json.loads((tmp_path / "out/results.json").read_text())
    (of_ppo,) = [cell["provenance"]["settings"] for cell in content["cells"] if cell["method"] == "ppo"]
    assert (of_ppo["gamma"], of_ppo["ppo"]["learning_rate"]) == (0.9, 1e-3)
    page = " ".join((tmp_path / "out/index.html").read_text().split())
    search = "in a search by 8 trainings of 2.0 minutes, 10.0 minutes in all."
    assert f"ppo has the settings that were best on validation tasks {search}" in page


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        ("sac", {}, "method in {path} is 'sac', expected one of limbshift, ppo, recurrent-ppo"),
        ("limbshift", {"no_memory": True}, "{path} sets no_memory, expected cell, head, hidden_size,"),
        ("limbshift", {"horizon": 5}, "{path} sets horizon, expected cell, head, hidden_size,"),
        ("limbshift", {"gamma": 2.0}, "{path}: gamma is 2.0, expected a number from 0 to 1"),
        ("limbshift", {"ppo.learning_rate": "fast"}, "ppo in {path}: learning_rate is 'fast', expected a number"),
        ("recurrent-ppo", {}, "presets has settings of recurrent-ppo, expected those of methods that are compared"),
    ],
)
def test_a_preset_that_cannot_be_taken_is_one_line(
    method: str, settings: dict[str, object], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_preset(tmp_path / "preset.json", method, **settings)
    assert compare(tmp_path / "out", "--methods", "limbshift", "ppo", "--presets", str(path)) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"limbshift: {message.format(path=path)}"), error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_cell_beside_a_preset_of_another_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_preset(tmp_path / "preset.json", "limbshift", cell="transformer")
    asked = ["--methods", "limbshift", "--presets", str(path), "--cell", "gru"]
    assert compare(tmp_path / "out", *asked) == 2
    told = "cell is gru, expected transformer, as the preset of limbshift has it, or no --cell"
    assert capsys.readouterr().err == f"limbshift: {told}\n"


@pytest.mark.parametrize("name", ["ppo", "recurrent-ppo"])
def test_rivals_too_play_on_one_thread_and_learn_on_all(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: dict[str, set[int]] = {"playing": set(), "learning": set()}
    env = TrialEnv(make_family("HalfCheetahDir"), 4, 2, horizon=5, split="heldout")
    timed = TimedTraining(env, 0, seconds=4.0, num_looks=1, clock=map(float, itertools.count()).__next__)
    step, zero_grad = VecNormalize.step, torch.optim.Adam.zero_grad

    def stepping(self: Any, *given: Any) -> Any:
        threads["playing"].add(torch.get_num_threads())
        return step(self, *given)

    def learning(self: Any, *given: Any) -> None:
        threads["learning"].add(torch.get_num_threads())
        zero_grad(self, *given)

    monkeypatch.setattr(VecNormalize, "step", stepping)
    monkeypatch.setattr(torch.optim.Adam, "zero_grad", learning)
    with torch_threads(2):
        TRAIN[name](usual_setting(make_family("HalfCheetahDir"), 0, num_envs=4, episodes=2, horizon=5), timed)
        assert torch.get_num_threads() == 2
    assert threads == {"playing": {1}, "learning": {2}}
    env.close()


def test_a_directory_is_of_one_comparison_at_a_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with locked(tmp_path / "out"):
        assert compare(tmp_path / "out", "--methods", "limbshift") == 2
    assert "out is in use by another process, expected one that is free" in capsys.readouterr().err


def test_a_student_that_was_never_trained_is_no_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(tmp_path / "out", "--methods", "rma", "--seeds", "1", "--steps", "1") == 2
    assert "the budget of rma ends with its teacher's first iteration, expected one of two" in capsys.readouterr().err
    assert not (tmp_path / "out/cells/rma-0.json").exists()


def test_minutes_are_counted_by_the_clock_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the core's own time what else runs on it takes nothing of a training's budget; the two are not mixed."""
    asked: list[str] = []
    for name in ("wall", "core"):

        def now(name: str = name) -> float:
            asked.append(name)
            return 100.0 * len(asked)

        monkeypatch.setitem(CLOCKS, name, now)
        assert compare(tmp_path / name, "--methods", "no-memory", "--minutes", "15", "--clock", name) == 0
        assert set(asked) == {name}
        asked.clear()
    assert compare(tmp_path / "wall", "--methods", "no-memory", "--minutes", "15", "--clock", "core") == 2
    assert "holds a comparison whose clock is wall, expected core as here" in capsys.readouterr().err


def test_an_older_comparison_was_timed_by_the_clock_on_the_wall(tmp_path: Path) -> None:
    config = CompareConfig("InvertedPendulumBody", out=tmp_path, methods=("no-memory",))
    (tmp_path / "comparison.json").write_text(json.dumps({**check_comparison(config).about, "clock": "core"}))
    with pytest.raises(InputError, match="clock is core, expected wall"):
        check_comparison(config)
    content = json.loads((tmp_path / "comparison.json").read_text())
    del content["clock"]
    (tmp_path / "comparison.json").write_text(json.dumps(content))
    check_comparison(config)
    with pytest.raises(InputError, match=r"minutes is 2\.0, expected None"):
        check_comparison(replace(config, steps=100))
