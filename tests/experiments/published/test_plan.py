"""The results page's own trainings: one that is interrupted is not recorded, and the same command goes on with it."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from limbshift.envs.errors import InputError
from limbshift.experiments.comparison.training_run import CELLS
from limbshift.experiments.published.plan import RETURNS, Comparison, Milestone, files_in, train_to
from limbshift.experiments.runs.controllers import load_controller
from limbshift.experiments.runs.directory import read_json
from limbshift.experiments.runs.resume import config_of
from limbshift.meta.rl2.trainer import Trainer

ITERATION = 4 * 2 * 200
"""Env steps."""
ITERATE = Trainer.iterate


def interrupted(trainer: Trainer, spent: float) -> Any:
    """An iteration in the midst of which the user presses Ctrl-C."""
    os.kill(os.getpid(), signal.SIGINT)
    return ITERATE(trainer, spent)


@pytest.fixture(autouse=True)
def ctrl_c_interrupts() -> Iterator[None]:
    """Also in tests that a shell runs in the background, where it has them ignore Ctrl-C."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes milestones' trainings smaller than those that are published."""
    sizes = {"num_envs": 4, "hidden_size": 8}
    monkeypatch.setattr("limbshift.experiments.published.plan.config_of", lambda given: config_of(given | sizes))
    monkeypatch.setattr("limbshift.experiments.runs.session.render_policy", lambda *_, **__: False)


def test_an_interrupted_milestone_is_not_recorded_and_goes_on(tmp_path: Path) -> None:
    milestone = Milestone("InvertedPendulumBody", 2 * ITERATION, 0.0)
    run = milestone.directory(tmp_path)
    with patch.object(Trainer, "iterate", interrupted), pytest.raises(KeyboardInterrupt):
        train_to(milestone, run)
    assert load_controller(run).card.steps == ITERATION
    assert not (run / RETURNS).exists()
    assert milestone.found(tmp_path) is None
    train_to(milestone, run)
    assert load_controller(run).card.steps == 2 * ITERATION
    assert len(read_json(run / RETURNS)["returns"]) == 64
    provenance = read_json(run / RETURNS)["provenance"]
    assert (provenance["settings"]["steps"], provenance["settings"]["episodes"]) == (2 * ITERATION, 2)
    assert milestone.found(tmp_path) is not None
    (run / RETURNS).write_text('{"returns": [["far"]], "provenance": {}}')
    with pytest.raises(InputError, match=r"returns.json: returns\[0\]\[0\] is .far., expected a number"):
        milestone.found(tmp_path)
    (run / RETURNS).write_text('{"returns": [[1.0], [2.0]], "provenance": {}}')
    with pytest.raises(InputError, match=r"returns.json holds returns of 1 episodes, expected 2"):
        milestone.found(tmp_path)


def test_a_milestone_that_was_begun_here_goes_on_elsewhere(tmp_path: Path) -> None:
    """As a machine of a cluster does it, which has none of this one's files."""
    milestone = Milestone("InvertedPendulumBody", 2 * ITERATION, 0.0)
    run = milestone.directory(tmp_path)
    with patch.object(Trainer, "iterate", interrupted), pytest.raises(KeyboardInterrupt):
        train_to(milestone, run)
    before = files_in(run)
    (job,) = milestone.jobs(tmp_path, "ray")
    with patch.object(Trainer, "iterate", autospec=True, side_effect=ITERATE) as iterate:
        files = job.work()
    assert iterate.call_count == 1, "the first iteration was not done again"
    assert files_in(run) == before
    job.keep(files)
    assert load_controller(run).card.steps == 2 * ITERATION
    assert milestone.found(tmp_path) is not None
    assert milestone.jobs(tmp_path, "ray") == milestone.jobs(tmp_path) == []


def test_an_interrupted_run_of_a_comparison_is_not_recorded(tmp_path: Path) -> None:
    comparison = Comparison("InvertedPendulumBody", {"minutes": 0.2}, {"no-memory": 1})
    _, (_, job) = comparison.jobs(tmp_path)  # random actions, and this
    with patch.object(Trainer, "iterate", interrupted), pytest.raises(KeyboardInterrupt):
        job()
    cells = comparison.directory(tmp_path) / CELLS
    assert not cells.exists() or list(cells.iterdir()) == []
