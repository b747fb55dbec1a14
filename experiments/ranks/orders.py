"""What rank 0 does with its trainer, the others do with theirs: it gives orders, and they take them."""

from enum import IntEnum, auto
from pathlib import Path
from typing import Any

import torch

from limbshift.experiments.runs.interrupt import graceful_interrupt
from limbshift.meta.ranks.alone import Ranks
from limbshift.meta.ranks.errors import RankError
from limbshift.meta.rl2.iteration import Iteration
from limbshift.meta.rl2.trainer import GradientError, Trainer


class Order(IntEnum):
    """What the others are to do."""

    BEGIN = auto()
    LOAD = auto()
    ITERATE = auto()
    SAVE = auto()
    STOP = auto()


class Leader:
    """Rank 0's way to its trainer. Where it is the only rank there is nobody to order."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self.asked_to_stop = False
        """Whether another rank was sent SIGINT or SIGTERM."""

    def begin(self, run: Path) -> None:
        """Tells the others the run's directory, and gives them the untrained policy: other hosts may make another."""
        if self.trainer.ranks.size > 1:
            self._order(Order.BEGIN)
            self.trainer.ranks.share({"run": str(run), "state": self._gathered()})

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from a state, every rank from its own part of it."""
        self.trainer.load_state_dict(state)
        if self.trainer.ranks.size > 1:
            self._order(Order.LOAD)
            self.trainer.ranks.share(state)

    def iterate(self, spent: float) -> Iteration:
        self._order(Order.ITERATE, spent)
        return self.trainer.iterate(spent)

    def state_dict(self) -> dict[str, Any]:
        """Returns the trainer's state, with what the others' have of their own."""
        self._order(Order.SAVE)
        return self._gathered()

    def stop(self, spent: float) -> None:
        """Ends the others; spent: the share of the budget that is."""
        self._order(Order.STOP, spent)
        self.trainer.ranks.leave()

    def _gathered(self) -> dict[str, Any]:
        return self.trainer.state_dict(self.trainer.ranks.gather(self.trainer.rank_state())[1:])

    def _order(self, order: Order, spent: float = 0.0) -> None:
        _, asked = _exchange(self.trainer.ranks, order, spent)
        self.asked_to_stop |= asked


def follow(trainer: Trainer) -> tuple[Path, bool]:
    """Does what rank 0 orders until the end; returns the run's directory, and whether the budget is spent."""
    ranks, run = trainer.ranks, Path()
    with graceful_interrupt() as interrupt:
        while True:
            (order, spent), _ = _exchange(ranks, asked=interrupt.requested)
            if order == Order.BEGIN:
                ranks.gather(trainer.rank_state())
                begun = ranks.share({})
                run = Path(begun["run"])
                trainer.load_state_dict(begun["state"])
            elif order == Order.LOAD:
                trainer.load_state_dict(ranks.share({}))
            elif order == Order.ITERATE:
                try:
                    trainer.iterate(spent)
                except GradientError as error:  # all ranks', of which rank 0 tells
                    raise RankError(str(error)) from error
            elif order == Order.SAVE:
                ranks.gather(trainer.rank_state())
            else:
                ranks.leave()
                return run, spent >= 1


def _exchange(
    ranks: Ranks, order: int = 0, spent: float = 0.0, *, asked: bool = False
) -> tuple[tuple[int, float], bool]:
    """Returns what rank 0 orders, and whether a rank was asked to stop: in one sum, to which each adds its own."""
    words = ranks.total(torch.tensor([float(order), spent, float(asked)], dtype=torch.float64))
    given, share, requests = words.tolist()
    return (int(given), share), requests > 0
