"""Jobs: the order in which they are done and kept, what is done where one fails, and where they run."""

import os
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch

from limbshift.envs.errors import InputError, RunFailure
from limbshift.experiments.cli import answer, main
from limbshift.experiments.comparison.config import CompareConfig, portable
from limbshift.experiments.jobs.job import Job, Outcomes, in_turn, keep_all
from limbshift.experiments.jobs.own_files import in_folder
from limbshift.experiments.jobs.side_by_side import alone_on_a_core, on_each_core, own_core, side_by_side
from limbshift.experiments.published.run import ResultsConfig, run_results
from limbshift.experiments.runs.families import load_family
from limbshift.experiments.runs.own_code import files_of
from limbshift.meta.threads import torch_threads
from tests.experiments.jobs.works import cores, die_first, refuse, stumble


@pytest.fixture(autouse=True)
def own_temporary_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that no other program's jobs hold the cores."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def in_own_process(job: Job[int]) -> Future[int | Exception]:
    """Starts a job in a process of its own, which may die."""
    pool = ProcessPoolExecutor(1, get_context("spawn"))
    future: Future[int | Exception] = pool.submit(job.work)
    future.add_done_callback(lambda _: pool.shutdown(wait=False))
    return future


def done_elsewhere(jobs: Iterator[Job[int]] | list[Job[int]], said: list[str], room: int = 2) -> Outcomes[int]:
    return side_by_side(jobs, in_own_process, room=lambda: room, lost=(BrokenProcessPool,), say=said.append)


@pytest.mark.parametrize("elsewhere", [False, True], ids=["local", "one-core"])
def test_the_next_job_is_asked_for_when_the_last_was_kept(elsewhere: bool) -> None:
    events: list[str] = []

    def asked() -> Iterator[Job[int]]:
        for number in (2, 1):
            events.append(f"ask {number}")
            yield Job(str(number), partial(abs, -number), lambda value: events.append(f"keep {value}"))

    keep_all(done_elsewhere(asked(), [], room=1) if elsewhere else in_turn(asked()))
    assert events == ["ask 2", "keep 2", "ask 1", "keep 1"]


def test_as_many_jobs_run_as_there_is_room_for() -> None:
    started: list[str] = []
    room = 2

    def submit(job: Job[int]) -> Future[int | Exception]:
        started.append(job.name)
        future: Future[int | Exception] = Future()
        future.set_result(job.work())
        return future

    jobs = [Job(str(number), partial(abs, number), lambda _: None) for number in range(5)]
    done = iter(side_by_side(jobs, submit, room=lambda: room, lost=(), say=print))
    assert next(done)[1] == 0
    assert started == ["0", "1"]
    room = 4  # machines join
    assert [next(done)[1], next(done)[1]] == [1, 2]
    assert started == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize(("deaths", "begun"), [(0, 1), (1, 2), (2, 3)])
def test_a_job_whose_worker_is_killed_is_started_again(deaths: int, begun: int, tmp_path: Path) -> None:
    said: list[str] = []
    kept: list[int] = []
    (tmp_path / "marks").mkdir()
    keep_all(done_elsewhere([Job("this", partial(die_first, tmp_path / "marks", deaths), kept.append)], said))
    assert kept == [begun]
    assert said == ["this: its worker died, started again"] * deaths


def test_a_job_whose_worker_is_always_killed_is_given_up_and_the_others_are_done(tmp_path: Path) -> None:
    (tmp_path / "marks").mkdir()
    kept: list[int] = []
    failed: list[Exception] = []
    jobs = [
        Job("doomed", partial(die_first, tmp_path / "marks", 99), kept.append),
        Job("first", partial(abs, -1), kept.append),
        Job("second", partial(abs, -2), kept.append),
    ]
    with pytest.raises(RunFailure, match="its worker died 3 times, the last time since: A process in the process pool"):
        keep_all(done_elsewhere(jobs, []), failed)
    assert sorted(kept) == [1, 2]
    assert len(list((tmp_path / "marks").iterdir())) == 3
    assert len(failed) == 1


def test_a_jobs_own_error_starts_nothing_again() -> None:
    said: list[str] = []
    kept: list[int] = []
    with pytest.raises(KeyError, match="two"):
        keep_all(done_elsewhere([Job("bad", stumble, kept.append), Job("good", partial(abs, -1), kept.append)], said))
    assert (kept, said) == ([1], [])


def test_an_error_on_this_machine_ends_all(tmp_path: Path) -> None:
    kept: list[int] = []
    with pytest.raises(ValueError, match="minutes is 0"):
        keep_all(in_turn([Job("bad", refuse, kept.append), Job("good", partial(abs, -1), kept.append)]))
    assert kept == []


@pytest.fixture
def cores_that_nobody_else_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another run of limbshift on this machine may have taken some of them."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)


@pytest.mark.usefixtures("cores_that_nobody_else_takes")
def test_each_job_has_a_core_of_its_own() -> None:
    all_cores = os.sched_getaffinity(0)
    kept: list[set[int]] = []
    keep_all(on_each_core([Job(str(number), cores, kept.append) for number in range(3)]))
    assert len(kept) == 3
    assert all(len(own) == 1 and own <= all_cores for own in kept)
    assert os.sched_getaffinity(0) == all_cores


@pytest.mark.usefixtures("cores_that_nobody_else_takes")
def test_a_worker_that_dies_or_fails_takes_no_other_job_with_it(tmp_path: Path) -> None:
    (marks := tmp_path / "marks").mkdir()
    kept: list[int] = []
    told: list[str] = []
    jobs = [Job("refused", refuse, kept.append), Job("dying", partial(die_first, marks, 1), kept.append)]
    with pytest.raises(InputError, match="minutes is 0, expected more"):
        keep_all(on_each_core(jobs, say=told.append))
    assert kept == [2]
    assert told == ["dying: its worker died, started again"]


@pytest.mark.usefixtures("cores_that_nobody_else_takes")
def test_no_two_jobs_have_the_same_core() -> None:
    all_cores = os.sched_getaffinity(0)
    if len(all_cores) < 2:
        pytest.skip("this machine has one core")
    with own_core(), ThreadPoolExecutor(1, initializer=os.sched_setaffinity, initargs=(0, all_cores)) as other:
        mine = os.sched_getaffinity(0)
        theirs = other.submit(alone_on_a_core, cores).result()
        assert len(mine) == len(theirs) == 1
        assert mine != theirs
    with own_core():
        assert os.sched_getaffinity(0) == {min(all_cores)}, "it was given back"


def test_a_job_alone_on_a_core_has_one_thread() -> None:
    with torch_threads(2):
        assert alone_on_a_core(torch.get_num_threads) == 1
        assert torch.get_num_threads() == 2


FAMILY = """
from limbshift.envs.robots.half_cheetah import HalfCheetahDir
from {neighbour} import HORIZON

class Own(HalfCheetahDir):
    '''Run either way.'''
    horizon = HORIZON
"""


@pytest.mark.parametrize("place", ["own_family_{}.py", "own_family_{}"], ids=["file", "module"])
def test_a_family_of_the_users_own_is_taken_along_with_its_neighbours(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    (here / "data").mkdir(parents=True)
    kind = "file" if place.endswith(".py") else "module"
    file, neighbour = f"own_family_{kind}.py", f"own_neighbour_{kind}"
    (here / file).write_text(FAMILY.format(neighbour=neighbour))
    (here / f"{neighbour}.py").write_text("HORIZON = 17")
    (here / "data" / "unread.py").write_text("1 / 0")
    monkeypatch.chdir(here)
    config = CompareConfig(family_file=f"{place.format(kind)}:Own", out=tmp_path / "out", engine="ray")
    assert config.family_file is not None
    assert load_family(config.family_file).horizon == 17
    there, files = portable(config)
    assert files.keys() == {file, f"{neighbour}.py"}
    for name in (neighbour, f"own_family_{kind}"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    (here / file).unlink()
    (here / f"{neighbour}.py").unlink()
    with in_folder(files):
        assert Path.cwd() != here
        assert there.family_file is not None
        assert load_family(there.family_file).horizon == 17
    assert Path.cwd() == here


def test_a_family_that_comes_with_limbshift_needs_no_files() -> None:
    config = CompareConfig("HalfCheetahDir", out=Path("out"), engine="ray")
    assert portable(config) == (config, {})
    assert files_of("limbshift.envs.robots.half_cheetah") == {}


@pytest.mark.parametrize("command", ["compare", "tune", "results"])
def test_without_the_extra_the_command_to_install_it_is_told(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("limbshift.experiments.jobs.engine.find_spec", lambda name: None)
    out = tmp_path / "out"
    if command == "results":
        assert answer(lambda: run_results(ResultsConfig(out, tmp_path / "page.md", engine="ray"))) == 2
    else:
        assert main([command, "HalfCheetahDir", "--out", str(out), "--engine", "ray"]) == 2
    assert capsys.readouterr().err == "limbshift: engine ray needs ray: pip install '.[cluster]'\n"
    assert not list(tmp_path.iterdir())


def test_another_engine_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "HalfCheetahDir", "--out", str(tmp_path / "out"), "--engine", "spark"]) == 2
    assert capsys.readouterr().err == "limbshift: --engine is 'spark', expected one of local, ray\n"
