"""Jobs on a Ray cluster of two machines, both of which are this one."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.cluster_utils import Cluster

from limbshift.envs.errors import InputError, RunFailure
from limbshift.experiments.cli import main
from limbshift.experiments.comparison.config import CompareConfig
from limbshift.experiments.jobs import cluster as jobs_on_cluster
from limbshift.experiments.jobs.cluster import address_to_join, joined_cluster, on_cluster
from limbshift.experiments.jobs.job import Job, keep_all
from limbshift.experiments.published import markdown, plan, run
from limbshift.meta.threads import torch_threads
from tests.experiments.jobs import works

pytestmark = pytest.mark.slow  # Ray is installed for the slow checks alone

SHAPE = ["--num-envs", "4", "--episodes", "2", "--horizon", "5", "--tasks", "4"]
GRID = ["HalfCheetahDir", "--methods", "limbshift", "ppo", "maml", "--steps", "200", "--seeds", "2", *SHAPE]
CELLS = {f"{method}-{seed}.json" for method in ("limbshift", "ppo", "maml") for seed in (0, 1)} | {"random-0.json"}


@pytest.fixture(autouse=True, scope="module")
def no_token() -> Iterator[None]:
    """Ray would write one into the home of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        yield


@pytest.fixture(scope="module")
def two_machines(no_token: None) -> Iterator[Cluster]:
    """Each with one core."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        cluster.add_node(num_cpus=1)
        patch.setenv("RAY_ADDRESS", cluster.address)
        ray.cloudpickle.register_pickle_by_value(works)  # the workers need not find the tests
        yield cluster
        cluster.shutdown()


def cells(out: Path) -> dict[str, Any]:
    """The files of trainings, but for the time that those took."""
    found = {path.name: json.loads(path.read_text()) for path in (out / "cells").glob("[!.]*")}
    for look in (look for cell in found.values() for look in cell["looks"]):
        del look["seconds"]
    return found


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the trainings of the grid give on this machine."""
    out = tmp_path_factory.mktemp("grid") / "local"
    with torch_threads(2):
        assert main(["compare", *GRID, "--out", str(out)]) == 0
    return cells(out)


def test_the_cluster_gives_what_this_machine_gives(
    two_machines: Cluster, local: dict[str, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *GRID, "--out", str(tmp_path / "out"), "--engine", "ray"]) == 0
    first, *lines = capfd.readouterr().out.splitlines()
    assert first == "Ray cluster: machines 2, CPU cores 2"
    assert sum("IQM of the return" in line for line in lines) == len(lines) - 2 == len(CELLS)
    found = cells(tmp_path / "out")
    assert found.keys() == local.keys() == CELLS
    assert found == local
    assert len({json.dumps(cell["splits"]) for cell in found.values()}) > 4, "there is something to be told apart"
    assert (tmp_path / "out" / "index.html").is_file()


@pytest.mark.parametrize(
    ("number", "ended"),
    [(signal.SIGINT, (1, "limbshift: interrupted\n")), (signal.SIGTERM, (128 + signal.SIGTERM, ""))],
    ids=["SIGINT", "SIGTERM"],
)
def test_an_interrupted_grid_goes_on(
    number: int, ended: tuple[int, str], two_machines: Cluster, local: dict[str, Any], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "limbshift.experiments.cli", "compare", *GRID, "--out", str(out)]
    driver = subprocess.Popen([*command, "--engine", "ray"], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while len(cells_there(out)) < 2:
        assert driver.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    driver.send_signal(number)
    _, said = driver.communicate(timeout=60)
    assert (driver.returncode, said) == ended
    before = {path: path.stat().st_mtime_ns for path in cells_there(out)}
    assert 2 <= len(before) < len(CELLS)
    assert main(["compare", *GRID, "--out", str(out), "--engine", "ray"]) == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert cells(out) == local


def cells_there(out: Path) -> list[Path]:
    return list((out / "cells").glob("[!.]*.json"))


def test_a_job_whose_worker_is_killed_is_started_again(
    two_machines: Cluster, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    kept: list[int] = []
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    jobs = [
        Job("killed twice", partial(works.die_first, tmp_path / "one", 2), kept.append),
        Job("doomed", partial(works.die_first, tmp_path / "two", 99), kept.append),
        Job("wrong", works.refuse, kept.append),
        Job("broken", works.stumble, kept.append),
        Job("well", partial(abs, -7), kept.append),
    ]
    failed: list[Exception] = []
    with joined_cluster(), pytest.raises((InputError, RunFailure)):
        keep_all(on_cluster(jobs, {}, say=said.append), failed)
    assert sorted(kept) == [3, 7]
    assert (
        sorted(said)
        == ["doomed: its worker died, started again"] * 2 + ["killed twice: its worker died, started again"] * 2
    )
    messages = {str(error).partition(":")[0]: error for error in failed}
    assert str(messages["doomed"]).startswith("doomed: its worker died 3 times, the last time since: The worker died")
    assert str(messages["wrong"]) == "wrong: minutes is 0, expected more"
    assert isinstance(messages["wrong"], InputError)
    assert str(messages["broken"]) == "broken: KeyError: 'two'"
    assert isinstance(messages["broken"], RunFailure)
    assert capfd.readouterr() == ("", "")


def test_a_job_on_a_machine_that_is_gone_is_started_again(two_machines: Cluster, tmp_path: Path) -> None:
    """Three jobs on three machines, one of which is lost before any of them is over."""
    said: list[str] = []
    kept: list[int] = []
    third = two_machines.add_node(num_cpus=1)
    jobs = [Job(name, partial(works.wait, tmp_path, name), kept.append) for name in ("one", "two", "three")]

    def lose_a_machine() -> None:
        while len(list(tmp_path.iterdir())) < len(jobs):
            time.sleep(0.05)
        two_machines.remove_node(third)
        (tmp_path / "go on").touch()

    with joined_cluster(), ThreadPoolExecutor(1) as pool:
        losing = pool.submit(lose_a_machine)
        keep_all(on_cluster(jobs, {}, say=said.append))
        losing.result()
    assert sorted(kept) == [1, 1, 2]
    assert len(said) == 1
    assert said[0].endswith(": its worker died, started again")


def test_other_versions_on_other_machines_are_refused(two_machines: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_on_cluster, "version", lambda name: "9.9")
    with joined_cluster(), pytest.raises(InputError, match=r"one: limbshift on .* is 0\.1\.0, expected 9\.9 as here"):
        keep_all(on_cluster([Job("one", partial(abs, -1), print)], {}, say=print))


def free_port() -> int:
    """A port at which nothing answers."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("nonsense", "RAY_ADDRESS is nonsense, expected HOST:PORT of a Ray cluster that this machine belongs to"),
        ("127.0.0.1:port", "RAY_ADDRESS is 127.0.0.1:port, expected HOST:PORT"),
        ("ray://127.0.0.1:10001", "RAY_ADDRESS is ray://127.0.0.1:10001, expected HOST:PORT"),
        ("127.0.0.1:99999", "where nothing answers"),
        (None, "where nothing answers"),
    ],
)
def test_an_address_without_a_cluster_is_refused_at_once(
    address: str | None, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address or f"127.0.0.1:{free_port()}")
    assert main(["compare", *GRID, "--out", str(tmp_path / "out"), "--engine", "ray"]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not list((tmp_path / "out").glob("*"))


def test_a_cluster_that_is_gone_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray notes in a file which cluster a machine belongs to, and leaves it there when that is killed."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        noted = f"127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setattr(jobs_on_cluster, "find_bootstrap_address", lambda folder: noted)
        assert address_to_join() is None
    assert address_to_join() == "local"
    monkeypatch.setattr(jobs_on_cluster, "find_bootstrap_address", lambda folder: None)
    assert address_to_join() is None
    monkeypatch.setenv("RAY_ADDRESS", "local")
    assert address_to_join() == "local"


def test_tuning_on_one_core_of_a_cluster_is_tuning_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five trainings, none of which depends on the time that it takes."""
    monkeypatch.setenv("RAY_ADDRESS", "local")
    printed = {}
    for engine in ("local", "ray"):
        asked = iter([0.0] * 7)  # the end is reckoned from the first, and six trainings begin before it
        monkeypatch.setattr("limbshift.experiments.commands.tune.monotonic", lambda asked=asked: next(asked, 1e9))
        out = tmp_path / f"{engine}.json"
        with torch_threads(2):
            arguments = ["--trial-steps", "300", "--out", str(out), "--engine", engine, *SHAPE]
            if engine == "ray":
                ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
            assert main(["tune", "HalfCheetahDir", *arguments]) == 0
        printed[engine] = [line for line in capsys.readouterr().out.splitlines() if line[:1].isdigit()]
    ray.shutdown()
    assert len(printed["local"]) == 6
    assert printed["ray"] == printed["local"]
    assert (tmp_path / "ray.json").read_text() == (tmp_path / "local.json").read_text()
    assert json.loads((tmp_path / "ray.json").read_text())["steps"] == 300


def test_the_results_page_is_of_trainings_on_the_cluster(
    two_machines: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = partial(CompareConfig, num_envs=4, episodes=2, horizon=5, num_tasks=4)
    monkeypatch.setattr(plan, "CompareConfig", small)
    for module in (plan, run, markdown):
        comparisons = (plan.Comparison("InvertedPendulumBody", {"minutes": 0.02}, {"limbshift": 1, "oracle": 1}),)
        monkeypatch.setattr(module, "COMPARISONS", comparisons)
        monkeypatch.setattr(module, "ADAPTING", ())
        monkeypatch.setattr(module, "OVERFITTING", ())
        monkeypatch.setattr(module, "MILESTONES", (plan.Milestone("InvertedPendulumBody", 1, 0.0),))
    page = run.run_results(run.ResultsConfig(tmp_path / "out", tmp_path / "page.md", engine="ray"))
    assert "from 3 of its 3 trainings" in page.read_text()
    trained = tmp_path / "out" / "InvertedPendulumBody-1e-06M-steps"
    assert {"config.json", "controller.safetensors", "returns.json"} <= {path.name for path in trained.iterdir()}


def test_nothing_is_told_to_rays_makers(two_machines: Cluster) -> None:
    with joined_cluster():
        assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
