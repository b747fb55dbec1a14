"""Counter-based random numbers, against the published generator."""

import numpy as np
import pytest
import torch
from torch import Tensor

from limbshift.envs.tasks.streams import RandomStream, threefry2x32, threefry_arrays

ONES = 0xFFFFFFFF
KNOWN_ANSWERS = (
    ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    ((ONES, ONES), (ONES, ONES), (0x1CB996FC, 0xBB002BE7)),
    ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
)
"""Key, counter and result of threefry2x32 with 20 rounds, from Random123's file of known answers."""


def indices(*numbers: int) -> Tensor:
    return torch.tensor(numbers)


@pytest.mark.parametrize(("key", "counter", "expected"), KNOWN_ANSWERS)
def test_threefry_gives_the_published_answers(
    key: tuple[int, int], counter: tuple[int, int], expected: tuple[int, int]
) -> None:
    first, second = threefry2x32(key, indices(counter[0]), indices(counter[1]))
    assert (first.item(), second.item()) == expected


@pytest.mark.parametrize(("key", "counter", "expected"), KNOWN_ANSWERS)
def test_numpy_gives_the_published_answers(
    key: tuple[int, int], counter: tuple[int, int], expected: tuple[int, int]
) -> None:
    first, second = (np.array([word], dtype=np.uint32) for word in counter)
    assert threefry_arrays(key, first, second).item() == expected[0]
    assert (first.item(), second.item()) == counter, "the counters themselves were changed"


def test_numpy_draws_what_pytorch_does() -> None:
    """Indices from before the first task are negative; an index and an epoch may be as large as they come."""
    index = indices(-64, -1, 0, 1, 2**31, 2**32 - 1)
    epoch = indices(0, 3, 0, 2**16 - 1, 7, 2**16 - 1)
    on_host, on_device = (
        RandomStream("test", 3, on_host=on_host).uniform(index, epoch, 200) for on_host in (True, False)
    )
    assert torch.equal(on_host, on_device)


def test_a_row_depends_on_its_own_index_and_epoch_alone() -> None:
    stream = RandomStream("test", 3)
    together = stream.uniform(torch.arange(50), torch.arange(50) % 7, 5)
    alone = stream.uniform(indices(41), indices(41 % 7), 5)
    assert torch.equal(together[41:42], alone)


def test_the_first_numbers_do_not_depend_on_how_many_are_drawn() -> None:
    stream = RandomStream("test", 3)
    assert torch.equal(stream.uniform(indices(8), indices(1), 9)[:, :4], stream.uniform(indices(8), indices(1), 4))


@pytest.mark.parametrize("other", [("test", 4), ("best", 3), ("test", "3"), ("test3",)])
def test_streams_of_other_names_are_others(other: tuple[str | int, ...]) -> None:
    index, epoch = torch.arange(100), torch.zeros(100, dtype=torch.int64)
    first = RandomStream("test", 3).uniform(index, epoch, 2)
    assert not torch.isin(first, RandomStream(*other).uniform(index, epoch, 2)).any()


def test_no_number_comes_twice_over_indices_epochs_and_columns() -> None:
    index, epoch = torch.arange(20).repeat(20), torch.arange(20).repeat_interleave(20)
    drawn = RandomStream("test").uniform(index, epoch, 10)
    assert len(drawn.unique()) == 20 * 20 * 10


def test_numbers_are_uniform_and_uncorrelated() -> None:
    count = 20_000
    drawn = RandomStream("uniform", 0).uniform(torch.arange(count), torch.zeros(count, dtype=torch.int64), 3)
    assert drawn.dtype == torch.float64
    assert drawn.min() > 0
    assert drawn.max() < 1
    # A mean's deviation is sqrt(1/12/20000) = 0.002, a tenth's count's sqrt(20000 * 0.09) = 42; five of each.
    assert (drawn.mean(dim=0) - 0.5).abs().max() < 0.0102
    for column in drawn.T:
        assert (torch.histc(column, bins=10, min=0, max=1) - 2000).abs().max() < 212
    # A correlation's deviation is 1/sqrt(20000) = 0.007.
    assert (torch.corrcoef(drawn.T) - torch.eye(3)).abs().max() < 0.036


@pytest.mark.parametrize("on_host", [True, False])
def test_the_smallest_and_the_largest_word_stay_inside_the_open_interval(
    monkeypatch: pytest.MonkeyPatch, on_host: bool
) -> None:
    words = torch.tensor([[0, ONES]])
    monkeypatch.setattr("limbshift.envs.tasks.streams.threefry2x32", lambda key, x0, x1: (words, words))
    array = words.numpy().astype(np.uint32)
    monkeypatch.setattr("limbshift.envs.tasks.streams.threefry_arrays", lambda key, x0, x1: array)
    low, high = RandomStream("test", on_host=on_host).uniform(indices(0), indices(0), 2)[0].tolist()
    assert (low, high) == (2.0**-33, 1 - 2.0**-33)
