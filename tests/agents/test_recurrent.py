"""The recurrent actor-critic, against the textbook and against itself."""

import math
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from limbshift.agents import RecurrentCell
from limbshift.agents.belief.network import BeliefNetwork
from limbshift.agents.gaussian import Gaussian
from limbshift.agents.recurrent import PolicySpec, RecurrentActorCritic

SPEC = PolicySpec(obs_dim=3, action_dim=2, hidden_size=8)
ACTION, REWARD, BOUNDARY = slice(3, 5), 5, 6
"""Where the previous action, the previous reward and the boundary lie after three observations."""


def make_policy(spec: PolicySpec = SPEC, seed: int = 0) -> RecurrentActorCritic:
    torch.manual_seed(seed)
    return RecurrentActorCritic(spec)


def trial_obs(spec: PolicySpec = SPEC, steps: int = 7, num_envs: int = 4) -> Tensor:
    return torch.randn(steps, num_envs, spec.trial_obs_dim, generator=torch.Generator().manual_seed(1))


def spec_of(cell: RecurrentCell, **given: Any) -> PolicySpec:
    """Of sizes at which a transformer's window ends before the trials do."""
    return PolicySpec(3, 2, hidden_size=8, cell=cell, context=5 if cell == "transformer" else 0, **given)


@torch.no_grad()
def features(policy: RecurrentActorCritic, obs: Tensor) -> Tensor:
    return policy.unroll(obs, policy.initial_state(obs.shape[1]))[0]


@pytest.mark.parametrize("memory", [True, False])
@pytest.mark.parametrize("cell", get_args(RecurrentCell))
def test_step_and_unroll_agree(cell: RecurrentCell, memory: bool) -> None:
    policy = make_policy(spec_of(cell, memory=memory))
    obs = trial_obs()
    state = policy.initial_state(4)
    stepped = []
    for each in obs:
        features_now, state = policy.step(each, state)
        stepped.append(features_now)
    unrolled, last = policy.unroll(obs, policy.initial_state(4))
    torch.testing.assert_close(torch.stack(stepped), unrolled)
    torch.testing.assert_close(state, last)
    torch.testing.assert_close(policy.unroll(obs, ())[0], unrolled)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_what_is_believed_is_the_own_guess_unless_it_is_told(cell: RecurrentCell) -> None:
    policy = make_policy(spec_of(cell, belief_size=4, belief_dim=2))
    assert isinstance(policy.belief, BeliefNetwork)
    torch.nn.init.normal_(policy.belief.head.weight)
    obs, state, stepped = trial_obs(), policy.initial_state(4), []
    assert [part.shape[1] for part in state] == [8, 8, 4, 4][-3 if cell == "gru" else 0 :]
    for each in obs:
        now, state = policy.step(each, state)
        stepped.append(now)
    unrolled, last = policy.unroll(obs, ())
    torch.testing.assert_close(torch.stack(stepped), unrolled)
    torch.testing.assert_close(state, last)
    guesses = policy.guesses(unrolled)
    assert guesses.abs().min() > 0
    torch.testing.assert_close(policy.unroll(obs, (), guesses)[0], unrolled)
    told, _ = policy.unroll(obs, (), guesses + 1)
    assert torch.equal(policy.guesses(told), guesses)
    assert (policy.actions(told).mean - policy.actions(unrolled).mean).abs().max() > 0
    assert policy.guesses(unrolled[0, 0]).shape == (2,)
    assert make_policy().guesses(features(make_policy(), obs)).shape == (7, 4, 0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"belief_size": 4}, "belief_dim is 0 where belief_size is 4, expected both or neither"),
        ({"belief_dim": 4}, "belief_dim is 4 where belief_size is 0, expected both or neither"),
        ({"belief_size": 4, "belief_dim": 1, "task_dim": 1}, "expected 0 for a policy that sees its task"),
        ({"belief_size": 4, "belief_dim": 1, "memory": False}, "expected 0 for a policy without memory"),
        ({"belief_size": 4, "belief_dim": 1, "cell": "transformer", "context": 2}, "whose cell is transformer"),
        ({"num_candidates": 4}, "num_candidates is 4, expected 0 for a policy that has no belief network"),
        (
            {"belief_size": 4, "belief_dim": 1, "num_candidates": 4, "sees_reward": False},
            "num_candidates is 4, expected 0 for a policy that does not see its reward",
        ),
    ],
)
def test_a_belief_network_that_does_not_fit_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RecurrentActorCritic(PolicySpec(3, 2, hidden_size=8, **given))


@pytest.mark.parametrize("cell", get_args(RecurrentCell))
def test_rows_that_begin_anew_meet_their_first_step(cell: RecurrentCell) -> None:
    policy, obs = make_policy(spec_of(cell)), trial_obs()
    with torch.no_grad():
        _, state = policy.unroll(obs[:3], ())
        later, _ = policy.unroll(obs[3:], policy.restarted(state, torch.tensor([True, False, False, True])))
    torch.testing.assert_close(later[:, [0, 3]], features(policy, obs[3:, [0, 3]]))
    torch.testing.assert_close(later[:, [1, 2]], features(policy, obs[:, [1, 2]])[3:])


@pytest.mark.parametrize("memory", [True, False])
@pytest.mark.parametrize("cell", get_args(RecurrentCell))
def test_all_weights_learn_from_what_was_done(cell: RecurrentCell, memory: bool) -> None:
    """Of a hypernetwork too, once it no longer makes the same whatever is remembered."""
    policy, obs = make_policy(spec_of(cell, head="hyper", memory=memory)), trial_obs()
    torch.nn.init.normal_(policy.action_head.weight)
    read, _ = policy.unroll(obs, ())
    total = policy.actions(read).log_prob(torch.ones(7, 4, 2)).sum() + policy.values(read).square().sum()
    gradients = torch.autograd.grad(total, list(policy.parameters()))
    idle = [name for (name, _), each in zip(policy.named_parameters(), gradients, strict=True) if not each.any()]
    assert all("weight_hh" in name for name in idle) if not memory and cell != "transformer" else not idle


def test_the_lstm_is_the_textbooks() -> None:
    """Hochreiter and Schmidhuber (1997) with forget gates, in PyTorch's order: input, forget, candidate, output."""
    policy = make_policy()
    lstm = policy.recurrent
    obs = trial_obs(steps=3)
    hidden, cell = torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(2))
    output, state = policy.unroll(obs, (hidden, cell))
    weights_in = lstm.get_parameter("weight_ih_l0").chunk(4)
    weights_back = lstm.get_parameter("weight_hh_l0").chunk(4)
    biases = (lstm.get_parameter("bias_ih_l0") + lstm.get_parameter("bias_hh_l0")).chunk(4)
    for t in range(3):
        x = torch.tanh(policy.encoder(policy.normaliser(obs[t])))
        gates = [x @ w.T + hidden @ u.T + b for w, u, b in zip(weights_in, weights_back, biases, strict=True)]
        keep_new, keep_old, show = torch.sigmoid(gates[0]), torch.sigmoid(gates[1]), torch.sigmoid(gates[3])
        cell = keep_old * cell + keep_new * torch.tanh(gates[2])
        hidden = show * torch.tanh(cell)
        torch.testing.assert_close(output[t], torch.cat([hidden, x], dim=-1))
    torch.testing.assert_close(state, (hidden, cell))


def test_one_lstm_step_worked_by_hand() -> None:
    """One unit, all weights 1, biases 0, input x = 0.5, h = 0.2, c = 0.4: every gate sees 0.7.

    sigmoid(0.7) = 0.668188, tanh(0.7) = 0.604368; c' = 0.668188 (0.4 + 0.604368) = 0.671106;
    h' = 0.668188 tanh(0.671106) = 0.668188 * 0.585707 = 0.391362.
    """
    policy = make_policy(PolicySpec(1, 1, hidden_size=1))
    with torch.no_grad():
        for name, parameter in policy.recurrent.named_parameters():
            parameter.fill_(1.0 if "weight" in name else 0.0)
        output, (_, cell) = policy.recurrent(
            torch.full((1, 1, 1), 0.5), (torch.full((1, 1, 1), 0.2), torch.full((1, 1, 1), 0.4))
        )
    assert cell.item() == pytest.approx(0.671106, abs=1e-6)
    assert output.item() == pytest.approx(0.391362, abs=1e-6)


def test_one_gru_step_worked_by_hand() -> None:
    """One unit, all weights 1, biases 0, input x = 0.5, h = 0.2: both gates see 0.7, sigmoid(0.7) = 0.668188.

    The candidate is tanh(0.5 + 0.668188 * 0.2) = tanh(0.633638) = 0.560552;
    h' = (1 - 0.668188) 0.560576 + 0.668188 * 0.2 = 0.319636 (Cho et al., 2014, in PyTorch's form).
    """
    policy = make_policy(PolicySpec(1, 1, hidden_size=1, cell="gru"))
    with torch.no_grad():
        for name, parameter in policy.recurrent.named_parameters():
            parameter.fill_(1.0 if "weight" in name else 0.0)
        output, _ = policy.recurrent(torch.full((1, 1, 1), 0.5), torch.full((1, 1, 1), 0.2))
    assert output.item() == pytest.approx(0.319636, abs=1e-6)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_an_untrained_cell_keeps_what_it_remembers(cell: RecurrentCell) -> None:
    """Its candidate silenced, it remembers sigmoid(2) = 0.880797 of what it did."""
    policy = make_policy(PolicySpec(3, 2, hidden_size=8, cell=cell))
    with torch.no_grad():
        for name, parameter in policy.recurrent.named_parameters():
            if "weight" in name:
                parameter.zero_()
            else:
                parameter[16:24] = 0.0  # the candidate's
        remembered = tuple(torch.ones(1, 8) for _ in policy.initial_state(1))
        _, state = policy.step(torch.zeros(1, policy.spec.trial_obs_dim), remembered)
    torch.testing.assert_close(state[-1], torch.full((1, 8), 0.880797))


def changed(obs: Tensor, where: int | slice) -> Tensor:
    """The observations with other numbers there, at the first step alone."""
    other = obs.clone()
    other[0, :, where] += 1.0
    return other


@pytest.mark.parametrize("cell", get_args(RecurrentCell))
@pytest.mark.parametrize("where", [ACTION, REWARD, BOUNDARY], ids=["action", "reward", "boundary"])
def test_without_memory_nothing_of_the_past_is_seen(where: int | slice, cell: RecurrentCell) -> None:
    obs = trial_obs()
    policy = make_policy(spec_of(cell, memory=False))
    assert torch.equal(features(policy, obs), features(policy, changed(obs, where)))
    assert torch.equal(features(policy, obs)[1:], features(policy, changed(obs, slice(0, 3)))[1:])
    remembering = make_policy(spec_of(cell))
    assert not torch.equal(features(remembering, obs)[1:], features(remembering, changed(obs, where))[1:])


def test_a_hidden_reward_is_not_seen() -> None:
    obs = trial_obs()
    policy = make_policy(PolicySpec(3, 2, hidden_size=8, sees_reward=False))
    assert torch.equal(features(policy, obs), features(policy, changed(obs, REWARD)))
    assert not torch.equal(features(policy, obs), features(policy, changed(obs, ACTION)))


def test_the_oracle_sees_its_task() -> None:
    spec = PolicySpec(3, 2, task_dim=2, hidden_size=8)
    obs = trial_obs(spec)
    assert not torch.equal(features(make_policy(spec), obs), features(make_policy(spec), changed(obs, slice(7, 9))))


def test_the_gaussian_is_torchs() -> None:
    mean, log_std, action = torch.randn(3, 5, 2, generator=torch.Generator().manual_seed(3)).unbind()
    ours = Gaussian(mean, log_std[0])
    theirs = torch.distributions.Independent(torch.distributions.Normal(mean, log_std[0].exp().expand(5, 2)), 1)
    torch.testing.assert_close(ours.log_prob(action), theirs.log_prob(action))
    torch.testing.assert_close(ours.entropy().expand(5), theirs.entropy())


def test_a_log_probability_worked_by_hand() -> None:
    """Two actions one standard deviation off: -0.5 (1 + 1) - 2 * 0.5 ln(2 pi) = -1 - ln(2 pi)."""
    ours = Gaussian(torch.zeros(2), torch.zeros(2))
    assert ours.log_prob(torch.tensor([1.0, -1.0])).item() == pytest.approx(-1 - math.log(2 * math.pi))
