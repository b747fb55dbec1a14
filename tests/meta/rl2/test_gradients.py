"""Gradients by several threads: those of one, whatever comes first, and the same each time."""

import threading

import pytest
import torch
from torch import Tensor, nn

from limbshift.meta.rl2.gradients import MIN_PIECES, Gradients
from limbshift.meta.rl2.minibatches import Losses, Minibatch

STEPS, PIECES = 4, 3 * MIN_PIECES + 2


def make_batch() -> Minibatch:
    """Of which each step knows its piece, and each state too."""
    pieces = torch.arange(float(PIECES))
    rows = pieces.expand(STEPS, PIECES)
    seen = rows.unsqueeze(-1)
    state = pieces.unsqueeze(-1)
    return Minibatch(seen, seen, rows, rows, rows, seen, seen[..., :0], (state, -state))


def loss_of(layer: nn.Linear, batch: Minibatch) -> Losses:
    error = layer(batch.obs / PIECES).square().mean()
    return Losses(error, *(error * factor for factor in range(2, 8)))


def test_a_split_minibatch_is_whole() -> None:
    parts = make_batch().split(3)
    assert [part.num_pieces for part in parts] == [9, 9, 8]
    for part in parts:
        assert torch.equal(part.state[0].squeeze(-1), part.log_prob[0])
        assert torch.equal(part.state[1], -part.state[0])
        assert torch.equal(part.obs.squeeze(-1), part.log_prob)
    assert torch.cat([part.log_prob for part in parts], dim=1).tolist() == make_batch().log_prob.tolist()


@pytest.mark.parametrize("num_threads", [2, 3, 16])
def test_shares_add_up_to_the_whole(num_threads: int) -> None:
    layer = nn.Linear(1, 2)
    batch = make_batch()
    losses = Gradients([*layer.parameters()], 1).fill(lambda part: loss_of(layer, part), batch)
    whole = [parameter.grad for parameter in layer.parameters()]
    shared = Gradients([*layer.parameters()], num_threads).fill(lambda part: loss_of(layer, part), batch)
    torch.testing.assert_close(shared, losses)
    torch.testing.assert_close([parameter.grad for parameter in layer.parameters()], whole)
    assert not any(loss.requires_grad for loss in (*losses, *shared))


def test_which_share_is_done_first_changes_nothing() -> None:
    layer, results = nn.Linear(1, 64), list[Tensor]()
    gradients = Gradients([*layer.parameters()], 3)
    for last in range(3):
        others_done = threading.Semaphore(0)

        def loss(part: Minibatch, last: int = last, others_done: threading.Semaphore = others_done) -> Losses:
            number = int(part.log_prob[0, 0]) // (MIN_PIECES + 1)
            if number == last:
                for _ in range(2):
                    assert others_done.acquire(timeout=30)
            else:
                others_done.release()
            return loss_of(layer, part)

        gradients.fill(loss, make_batch())
        results.append(
            torch.cat([parameter.grad.flatten() for parameter in layer.parameters() if parameter.grad is not None])
        )
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


def test_a_fault_in_a_share_is_told() -> None:
    layer = nn.Linear(1, 2)

    def loss(part: Minibatch) -> Losses:
        if part.log_prob[0, 0] > 0:
            raise ArithmeticError("in the second share")
        return loss_of(layer, part)

    with pytest.raises(ArithmeticError, match="in the second share"):
        Gradients([*layer.parameters()], 2).fill(loss, make_batch())
