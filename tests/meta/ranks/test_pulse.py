"""Whether a rank that is gone is missed."""

import threading
from collections import Counter

import pytest

from limbshift.meta.ranks import pulse
from limbshift.meta.ranks.pulse import Pulse


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse, "PERIOD", 0.02)
    monkeypatch.setattr(pulse, "PATIENCE", 0.6)


class Board:
    """Counts, as a store does."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def add(self, key: str, value: int) -> int:
        self.counts[key] += value
        return self.counts[key]


class Missing:
    """Notes who is given up."""

    def __init__(self) -> None:
        self.told = list[str]()
        self.was_told = threading.Event()

    def __call__(self, message: str) -> None:
        self.told.append(message)
        self.was_told.set()


def test_a_rank_that_beats_no_more_is_given_up_by_rank_0() -> None:
    store, missing = Board(), [Missing() for _ in range(3)]
    pulses = [Pulse(store, rank, 3, give_up=missing[rank]) for rank in range(3)]
    assert not missing[0].was_told.wait(1.2)  # twice as long as it would take
    assert pulses[0].silent([1, 2]) == []
    pulses[2].stop()
    assert missing[0].was_told.wait(30)
    assert missing[0].told == ["rank 2 is not heard of any more, expected a sign each second"]
    assert pulses[0].silent([1, 2]) == [2]
    assert not missing[1].told  # which listens for rank 0 alone
    pulses[0].stop()
    assert missing[1].was_told.wait(30)
    assert missing[1].told == ["rank 0 is not heard of any more, expected a sign each second"]
    pulses[1].stop()


@pytest.mark.parametrize("fails", ["at once", "never"])
def test_where_signs_cannot_be_kept_rank_0s_host_is_gone(fails: str) -> None:
    """Its store refuses, or hangs as where a cable was pulled."""

    class Broken:
        def add(self, key: str, value: int) -> int:
            if fails == "at once":
                raise RuntimeError("Connection reset by peer")
            hanging.wait(30)
            return 0

    missing, hanging = Missing(), threading.Event()
    beating = Pulse(Broken(), 1, 2, give_up=missing)
    assert missing.was_told.wait(30)
    hanging.set()
    beating.stop()
    assert missing.told == ["the host of rank 0 is not heard of any more, expected a sign each second"]
    if fails == "at once":
        assert beating.silent([0]) == [0]


def test_who_has_left_is_not_missed() -> None:
    missing = Missing()
    beating = Pulse(Board(), 0, 2, give_up=missing)
    beating.stop()
    assert not missing.was_told.wait(1.2)
