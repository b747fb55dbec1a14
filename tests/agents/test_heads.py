"""Action heads whose weights are made from what is remembered."""

import pytest
import torch

from limbshift.agents.heads import MAX_ROWS, HyperHead
from limbshift.agents.recurrent import PolicySpec, RecurrentActorCritic


def test_means_worked_by_hand() -> None:
    """Of one action: what is remembered is (4, 6, 0, 0), which is h = (2, 3, 0, 0) divided by the root of 4.

    The encoding is (5, 7, 0, 0). The first two weights on it are h1 = 2 and h2 + 1 = 4, the bias is h1 - h2 = -1:
    2 * 5 + 4 * 7 - 1 = 37.
    """
    head = HyperHead(size=4, action_dim=1)
    with torch.no_grad():
        head.weight.zero_()
        head.weight[[0, 1, 4], :2] = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, -1.0]])
        head.bias.copy_(torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0]))
        assert head(torch.tensor([[4.0, 6.0, 0.0, 0.0, 5.0, 7.0, 0.0, 0.0]])).tolist() == [[37.0]]


def test_each_action_has_its_own_rows() -> None:
    """Bias alone: 3 actions whose weights on the two numbers of the encoding and whose biases are 0, 1, 2 and so on."""
    head = HyperHead(size=2, action_dim=3)
    with torch.no_grad():
        head.weight.zero_()
        head.bias.copy_(torch.arange(9.0))
        # 10 * 0 + 100 * 1 + 2, 10 * 3 + 100 * 4 + 5, 10 * 6 + 100 * 7 + 8
        assert head(torch.tensor([9.0, 9.0, 10.0, 100.0]).expand(4, 5, 4))[3, 4].tolist() == [102.0, 435.0, 768.0]


@pytest.mark.parametrize("memory", [True, False])
def test_it_starts_as_a_linear_head_on_the_encoding(memory: bool) -> None:
    """Orthogonal weights of gain 0.01, so that W W^T is 0.0001 times the identity; no bias, and nothing remembered."""
    torch.manual_seed(0)
    policy = RecurrentActorCritic(PolicySpec(3, 2, hidden_size=8, head="hyper", memory=memory))
    weight, bias = policy.action_head.bias.detach().view(2, 9).split([8, 1], dim=1)
    torch.testing.assert_close(weight @ weight.T, 1e-4 * torch.eye(2))
    assert not bias.any()
    with torch.no_grad():
        read, _ = policy.unroll(torch.randn(5, 4, policy.spec.trial_obs_dim), ())
        torch.testing.assert_close(policy.actions(read).mean, read[..., 8:] @ weight.T)


def test_the_value_and_other_weights_start_as_with_a_linear_head() -> None:
    made = []
    for head in ("linear", "hyper"):
        torch.manual_seed(0)
        policy = RecurrentActorCritic(PolicySpec(3, 2, hidden_size=8, head=head))
        made.append((policy.value_head.weight.square().sum(), policy.value_head.bias, policy.encoder.bias))
    torch.testing.assert_close(*made)


def test_many_rows_are_read_as_few_are() -> None:
    head = HyperHead(size=2, action_dim=2)
    rows = torch.randn(MAX_ROWS + 3, 4)
    with torch.no_grad():
        torch.testing.assert_close(head(rows)[-5:], head(rows[-5:]))
