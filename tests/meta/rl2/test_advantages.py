"""Advantages, by hand."""

import numpy as np
import pytest
import torch
from torch import Tensor

from limbshift.meta.rl2.advantages import RewardScaler, discounted_sums, explained_variance, generalised_advantages


def column(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).unsqueeze(-1)


NEVER = column(0, 0, 0).bool()


def test_credit_flows_back_from_the_trials_end() -> None:
    """gamma 0.5, lambda 0.5; the end is truncated: worth the last value, 8.

    delta = r + 0.5 V' - V: 1 + 0.5*4 - 2 = 1; 0 + 0.5*6 - 4 = -1; 2 + 0.5*8 - 6 = 0.
    A = delta + 0.25 A': A2 = 0, A1 = -1, A0 = 1 - 0.25 = 0.75.
    """
    advantage = generalised_advantages(column(1, 0, 2), column(2, 4, 6, 8), NEVER, gamma=0.5, gae_lambda=0.5)
    assert advantage.squeeze().tolist() == [0.75, -1.0, 0.0]


def test_credit_ends_at_a_termination() -> None:
    """Terminated at step 1: delta1 = 0 - 4 = -4, nothing of step 2 comes back. A1 = -4, A0 = 1 + 0.25*-4 = 0."""
    advantage = generalised_advantages(
        column(1, 0, 2), column(2, 4, 6, 8), column(0, 1, 0).bool(), gamma=0.5, gae_lambda=0.5
    )
    assert advantage.squeeze().tolist() == [0.0, -4.0, 0.0]


def test_with_lambda_1_advantages_are_returns_less_values() -> None:
    """gamma 1, lambda 1: 1 + 2 + 3 + 10 - V."""
    advantage = generalised_advantages(column(1, 2, 3), column(5, 5, 5, 10), NEVER, gamma=1.0, gae_lambda=1.0)
    assert advantage.squeeze().tolist() == [11.0, 10.0, 8.0]


def test_sums_start_anew_after_a_termination() -> None:
    """gamma 0.5: 1, 0.5 + 2 = 2.5 (terminated), 4."""
    assert discounted_sums(column(1, 2, 4), column(0, 1, 0).bool(), 0.5).squeeze().tolist() == [1.0, 2.5, 4.0]


@pytest.mark.parametrize(
    ("values", "explained"),
    [
        ((1.0, 3.0, 5.0), 1.0),
        ((2.0, 4.0, 6.0), 1.0),  # off by the same everywhere
        ((7.0, 7.0, 7.0), 0.0),
        ((1.0, 3.0, 4.0), 11 / 12),  # errors 0, 0, 1 of variance 2 / 9; targets of variance 8 / 3
        ((5.0, 3.0, 1.0), -3.0),  # errors -4, 0, 4 of variance 32 / 3
    ],
)
def test_explained_variance_by_hand(values: tuple[float, ...], explained: float) -> None:
    assert explained_variance(column(*values), column(1, 3, 5)).item() == pytest.approx(explained, abs=1e-6)


def test_targets_that_do_not_vary_leave_nothing_to_explain() -> None:
    for values in (column(2, 2, 2), column(1, 2, 3)):
        assert explained_variance(values, column(2, 2, 2)).isnan()


def test_the_scaler_divides_by_the_standard_deviation_of_all_sums() -> None:
    scaler = RewardScaler(0.9, torch.device("cpu"))
    assert scaler.scale == 1.0
    batches = [torch.randn(20, 8, generator=torch.Generator().manual_seed(seed)) * 3 + 1 for seed in range(4)]
    never = torch.zeros(20, 8, dtype=torch.bool)
    for batch in batches:
        scaler.update(batch, never)
    sums = np.concatenate([discounted_sums(batch, never, 0.9).numpy().ravel() for batch in batches])
    assert float(scaler.scale) == pytest.approx(1 / sums.std(), rel=1e-5)
