"""Rank 0 orders, the others follow, and a wish to stop comes back."""

import os
import signal
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from torch import Tensor

from limbshift.experiments.ranks.orders import Leader, follow
from limbshift.meta.ranks.alone import ALONE, Alone
from limbshift.meta.ranks.errors import RankError
from limbshift.meta.rl2.trainer import GradientError


class Table:
    """Where two threads meet."""

    def __init__(self) -> None:
        self.barrier = threading.Barrier(2, timeout=30)
        self.places: list[Any] = [None, None]


class AtTable(Alone):
    """One of two ranks, in two threads of one process."""

    size = 2

    def __init__(self, rank: int, table: Table) -> None:
        self.rank = rank
        self.table = table
        self.left = False

    def _both(self, value: Any) -> list[Any]:
        self.table.barrier.wait()
        self.table.places[self.rank] = value
        self.table.barrier.wait()
        return list(self.table.places)

    def total(self, tensor: Tensor) -> Tensor:
        return torch.stack(self._both(tensor)).sum(dim=0)

    def share(self, value: Mapping[str, Any]) -> dict[str, Any]:
        return dict(self._both(value)[0])

    def gather(self, value: Mapping[str, Any]) -> list[dict[str, Any]]:
        return self._both(dict(value))

    def leave(self) -> None:
        self.left = True


def trainer_at(rank: int, table: Table) -> Mock:
    trainer = Mock(ranks=AtTable(rank, table))
    trainer.rank_state.return_value = {"generator": rank}
    trainer.state_dict.side_effect = lambda others: {"steps": 7, "ranks": others}
    return trainer


@pytest.fixture
def trainers() -> list[Mock]:
    table = Table()
    return [trainer_at(rank, table) for rank in range(2)]


def test_the_others_do_what_rank_0_does(trainers: list[Mock]) -> None:
    came: list[object] = []
    thread = threading.Thread(target=lambda: came.append(follow(trainers[1])))
    thread.start()
    leader = Leader(trainers[0])
    leader.begin(Path("runs/one"))
    leader.load_state_dict({"steps": 3, "ranks": [{"generator": 9}]})
    leader.iterate(0.25)
    leader.iterate(0.5)
    saved = leader.state_dict()
    leader.stop(1.0)
    thread.join(timeout=30)
    state = {"steps": 7, "ranks": [{"generator": 1}]}
    assert saved == state
    loaded = {"steps": 3, "ranks": [{"generator": 9}]}  # in which each rank finds its own
    assert [call.args for call in trainers[1].load_state_dict.call_args_list] == [(state,), (loaded,)]
    trainers[0].load_state_dict.assert_called_once_with(loaded)
    for trainer in trainers:
        assert [call.args for call in trainer.iterate.call_args_list] == [(0.25,), (0.5,)]
        assert trainer.ranks.left
    assert came == [(Path("runs/one"), True)]
    assert not leader.asked_to_stop


def test_a_signal_to_one_rank_reaches_rank_0(trainers: list[Mock]) -> None:
    def lead() -> None:
        leader.iterate(0.25)
        asked.append(leader.asked_to_stop)
        leader.iterate(0.5)
        asked.append(leader.asked_to_stop)
        leader.stop(0.5)

    asked: list[bool] = []
    leader = Leader(trainers[0])

    def once(spent: float) -> None:
        if spent == 0.25:
            os.kill(os.getpid(), signal.SIGTERM)

    trainers[1].iterate.side_effect = once
    thread = threading.Thread(target=lead)
    thread.start()
    _, finished = follow(trainers[1])
    thread.join(timeout=30)
    assert asked == [False, True]
    assert not finished


def test_gradients_that_are_not_finite_are_told_by_rank_0(trainers: list[Mock]) -> None:
    trainers[1].iterate.side_effect = GradientError("gradients were not finite", {})
    thread = threading.Thread(target=lambda: Leader(trainers[0]).iterate(0.5))
    thread.start()
    with pytest.raises(RankError, match="gradients were not finite"):
        follow(trainers[1])
    thread.join(timeout=30)


def test_alone_nobody_is_ordered() -> None:
    trainer = Mock(ranks=ALONE)
    trainer.rank_state.return_value = {}
    leader = Leader(trainer)
    leader.begin(Path("runs/one"))
    assert leader.iterate(0.5) is trainer.iterate.return_value
    leader.state_dict()
    trainer.state_dict.assert_called_once_with([])
    leader.stop(1.0)
    assert not leader.asked_to_stop
