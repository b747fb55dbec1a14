"""Two ranks of N trials learn as one of 2N."""

import copy
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from limbshift.envs.errors import InputError
from limbshift.meta.ranks.alone import ALONE
from limbshift.meta.threads import torch_threads
from tests.meta.ranks.pair import ATTENDING, LSTM, learn, trainer_of

ROOT = Path(__file__).parents[3]
HOWS = {"in turn": (False, 1, LSTM), "ahead, by two threads": (True, 2, LSTM), "by attention": (False, 1, ATTENDING)}
"""Whether trials overlap, the learning threads, and the network."""


class Pair(NamedTuple):
    """What two ranks came to."""

    learnt: list[dict[str, dict[str, torch.Tensor]]]
    """By rank."""
    state: dict[str, Any]
    """After two iterations."""


def environment(rank: int, size: int, port: int) -> dict[str, str]:
    """As torchrun sets it."""
    meeting = {"RANK": rank, "WORLD_SIZE": size, "MASTER_ADDR": "localhost", "MASTER_PORT": port}
    return {**os.environ, "OMP_NUM_THREADS": "1", **{name: str(value) for name, value in meeting.items()}}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    out, port = tmp_path_factory.mktemp("learnt"), free_port()
    program = [sys.executable, "-m", "tests.meta.ranks.pair", str(out)]
    started = [subprocess.Popen(program, cwd=ROOT, env=environment(rank, 2, port)) for rank in range(2)]
    assert [process.wait(timeout=120) for process in started] == [0, 0]
    learnt = [torch.load(out / f"{rank}.pt", weights_only=True) for rank in range(2)]
    return Pair(learnt, torch.load(out / "state-0.pt", weights_only=True))


@pytest.mark.parametrize("how", HOWS)
def test_two_ranks_learn_as_one_of_twice_the_trials(pair: Pair, how: str) -> None:
    overlap, threads, network = HOWS[how]
    with torch_threads(1):
        one = learn(ALONE, overlap=overlap, threads=threads, network=network)
    two = pair.learnt[0][how]
    assert one.keys() == two.keys()
    assert one["2 steps"] == 3 * 4 * 20
    assert one["tasks"].tolist() == [8, 9, 10, 11]
    for name in ("policy encoder.weight", "head weight"):  # what is compared has been learnt
        assert (one[f"2 {name}"] - one[f"1 {name}"]).abs().max() > 1e-4
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=2e-4, atol=2e-5, msg=f"{name}: {value} and {two[name]}")


@pytest.mark.parametrize("how", HOWS)
def test_ranks_are_alike_bit_for_bit(pair: Pair, how: str) -> None:
    first, second = (learnt[how] for learnt in pair.learnt)
    assert first.keys() == second.keys()
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_as_many_ranks_go_on_as_if_they_had_not_stopped(pair: Pair) -> None:
    assert not any(difference.any() for learnt in pair.learnt for difference in learnt["gone on"].values())


def test_generators_differ_from_rank_to_rank(pair: Pair) -> None:
    """Each rank has its noise, and its order of pieces."""
    (other,) = pair.state["ranks"]
    assert not torch.equal(other["generator"], pair.state["generator"])
    assert not torch.equal(other["collector"], pair.state["experience"]["generator"])


def test_another_number_of_ranks_goes_on_with_the_tasks_that_follow(pair: Pair) -> None:
    """Two ranks of two trials have learnt from tasks 0 to 7, and played 8 to 11 ahead, which are played again."""
    trainer = trainer_of(ALONE, overlap=True)
    with pytest.raises(InputError, match=r"task_index is torch\.int64 of shape \(2,\)"):  # of other --num-envs
        trainer.load_state_dict(copy.deepcopy(pair.state))
    trainer = trainer_of(ALONE, overlap=True, trials=2)
    trainer.load_state_dict(copy.deepcopy(pair.state))
    assert trainer.progress[::2] == (2 * 4 * 20, 2)
    tasks = []
    for number in range(3):
        trainer.iterate(number / 10)
        tasks.append(trainer.storage.task_index.tolist())
    assert tasks == [[8, 9], [10, 11], [12, 13]]
    again = trainer.state_dict()
    assert again["ranks"] == []
    trainer.load_state_dict(copy.deepcopy(again))


@pytest.mark.parametrize(
    ("ranks", "message"),
    [
        (3, "ranks is 3, expected a list"),
        ([{}], r"ranks\[0\] has no 'generator', expected one"),
        ([{"generator": torch.zeros(3), "collector": torch.zeros(3)}], "generator is torch.float32"),
        ([{"generator": 0, "collector": 0, "more": 0}], r"ranks\[0\] has 'more', expected nothing of that name"),
    ],
)
def test_generators_of_other_ranks_are_checked(pair: Pair, ranks: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        trainer_of(ALONE, overlap=True, trials=2).check({**pair.state, "ranks": ranks})


@pytest.mark.parametrize(("steps", "right"), [(159, False), (40, False), (80, True), (200, True)])
def test_steps_are_those_of_some_numbers_of_ranks(pair: Pair, steps: int, right: bool) -> None:
    """Two iterations of 40 steps a rank."""
    trainer = trainer_of(ALONE, overlap=True, trials=2)
    state = {**pair.state, "progress": (steps, 0.0, 2)}
    if right:
        trainer.check(state)
        return
    with pytest.raises(InputError, match=f"progress is of {steps} steps in 2 iterations, expected 40 in each"):
        trainer.check(state)
