"""What a trainer makes of what other ranks give."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from limbshift.meta.ranks.alone import Alone
from limbshift.meta.ranks.errors import RankError
from limbshift.meta.ranks.reading import read_together
from limbshift.meta.seeds import rank_seed
from tests.meta.ranks.pair import trainer_of


class BesideAnother(Alone):
    """Rank 0 of two, of which the other gives numbers of its own."""

    size = 2

    def __init__(self, *others: float, gathered: Mapping[str, Any] | None = None) -> None:
        self.others = torch.tensor(others)
        self.gathered = dict(gathered or {})

    def average(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        (tensor,) = tensors
        return ((tensor + self.others) / 2,)

    def gather(self, value: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [dict(value), self.gathered]


def test_figures_are_means_over_the_ranks() -> None:
    """(1 + 3) / 2, (5 + 0) / 2 and (1 + 0) / 2."""
    figures = {"pair": torch.tensor([1.0, 5.0]), "sound": torch.tensor(True)}
    read = read_together(figures, BesideAnother(3.0, 0.0, 0.0))
    assert read == {"pair": [2.0, 2.5], "sound": [0.5]}


def test_a_reward_that_is_no_number_elsewhere_ends_this_rank_too() -> None:
    trainer = trainer_of(Alone(), overlap=False)
    storage = trainer.experience.take()
    trainer._read(storage, None, 0.0)
    unsound = BesideAnother(0.0)  # added to all figures, of which "sound" becomes 1 / 2
    trainer.ranks = unsound
    with pytest.raises(RankError, match="a reward of another rank is no finite number"):
        trainer._read(storage, None, 0.0)


def test_a_divergence_of_another_rank_is_the_runs() -> None:
    theirs = {"task_index": 6, "actions": torch.ones(3, 2)}
    trainer = trainer_of(Alone(), overlap=False)
    trainer.storage = trainer.experience.take()
    trainer.ranks = BesideAnother(gathered=theirs)
    assert trainer._first_divergence() == theirs
    trainer.storage.diverged[4, 1] = True
    own = trainer._first_divergence()
    assert own["task_index"] == 1
    assert torch.equal(own["actions"], trainer.storage.action[:5, 1])


def test_seeds_of_ranks_are_all_different() -> None:
    seeds = {rank_seed(seed, rank) for seed in range(20) for rank in range(50)}
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert [rank_seed(seed, 0) for seed in range(3)] == [0, 1, 2]
