"""Few-shot regression: the tasks by hand, and that both learners learn to learn."""

import functools
import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from limbshift.experiments.examples.few_shot_regression import (
    EXAMPLES,
    KINDS,
    Kind,
    Learner,
    LSTMLearner,
    MAMLLearner,
    Tasks,
    TaskSampler,
    line,
    meta_test,
    meta_train,
    sinusoid,
)


def test_functions_by_hand() -> None:
    """Slope 4 * 0.75 - 2 = 1 and offset 2 * 0.25 - 1 = -0.5; amplitude 0.1 + 4.9 and phase pi / 2 (cosine)."""
    x = torch.tensor([[0.0], [0.5], [1.0]])
    assert line(x, torch.tensor([[0.75, 0.25]])).squeeze().tolist() == [-0.5, 0.0, 0.5]
    values = sinusoid(x * math.pi, torch.tensor([[1.0, 0.5]])).squeeze().tolist()
    assert values == pytest.approx([5.0, 0.0, -5.0], abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_tasks_depend_on_their_split_seed_and_number_alone(kind: Kind) -> None:
    together = TaskSampler(kind, "meta_train", 0).draw(6)
    sampler = TaskSampler(kind, "meta_train", 0)
    apart = [sampler.draw(2) for _ in range(3)]
    assert torch.equal(together.x, torch.cat([tasks.x for tasks in apart], dim=1))
    assert torch.equal(together.y, torch.cat([tasks.y for tasks in apart], dim=1))
    for other in (TaskSampler(kind, "meta_test", 0), TaskSampler(kind, "meta_train", 1)):
        assert not torch.isin(other.draw(6).y, together.y).any()


def test_the_lstm_never_sees_the_answer_that_it_is_to_give() -> None:
    torch.manual_seed(0)  # among untrained networks some hardly look at what they see
    learner, tasks = LSTMLearner(4), TaskSampler("lines", "meta_train", 0).draw(3)
    changed = Tasks(tasks.x, torch.cat([tasks.y[:5], tasks.y[5:] + 1]))
    before, after = learner.forward(tasks), learner.forward(changed)
    assert torch.equal(before[:6], after[:6])
    assert not torch.isclose(before[6:], after[6:]).any()


def straight_learner() -> tuple[MAMLLearner, nn.Linear]:
    """MAML over w x + b, from w = b = 0."""
    layer = nn.Linear(1, 1)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    learner = MAMLLearner(inner_lr=0.5, inner_steps=1)
    learner.network = nn.Sequential(layer)
    return learner, layer


def test_maml_takes_the_learners_steps() -> None:
    """Of w x + b from w = b = 0, at rate 0.5, on the one example (1, 2).

    The error's slopes are 2 (w + b - 2) = -4 for both, so that w = b = 2 and at x = 3 it says 8; the error towards 5
    is 9. With no example it says 0 there, and the error is 25.
    """
    learner, _ = straight_learner()
    x, y = torch.ones(EXAMPLES + 1, 1), 2 * torch.ones(EXAMPLES + 1, 1)
    x[-1], y[-1] = 3.0, 5.0
    errors = learner.errors(Tasks(x, y)).squeeze()
    assert errors[:3].tolist() == [25.0, 9.0, 9.0]  # the second example is the first once more


def test_mamls_meta_gradient_goes_through_the_learners_steps() -> None:
    """As before, from w = b = v: after a step w = b = v - (2v - 2) = 2 - v, the error is (8 - 4v - 5)^2.

    Its slope at v = 0 is -24, which the two parameters share.
    """
    learner, layer = straight_learner()
    x, y = torch.ones(EXAMPLES + 1, 1), 2 * torch.ones(EXAMPLES + 1, 1)
    x[-1], y[-1] = 3.0, 5.0
    learner.loss(Tasks(x, y)).backward()
    assert layer.weight.grad is not None
    assert layer.bias.grad is not None
    assert layer.weight.grad.item() + layer.bias.grad.item() == pytest.approx(-24.0)


@pytest.mark.parametrize(
    ("learner", "rate", "iterations"),
    [(LSTMLearner, 2e-2, 300), (functools.partial(MAMLLearner, inner_lr=0.1), 5e-3, 60)],
    ids=["LSTM", "MAML"],
)
def test_lines_never_met_are_learnt_from_ten_points(
    learner: Callable[[], Learner], rate: float, iterations: int
) -> None:
    """At most 0.7 % of the variance was left by the LSTM over four seeds, 4.7 % by MAML over ten."""
    torch.manual_seed(0)
    learning = learner()
    sampler = TaskSampler("lines", "meta_train", 0)
    meta_train(learning, sampler, outer_lr=rate, iterations=iterations, num_tasks=64)
    error = meta_test(learning, TaskSampler("lines", "meta_test", 0))
    assert error[10] < 0.1
    assert error[0] > error[2] > error[5] > error[10]
