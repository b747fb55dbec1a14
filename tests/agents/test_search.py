"""A search among candidate tasks: what rules a candidate out, and which is held for true."""

import pytest
import torch
from torch import Tensor

from limbshift.agents.belief.candidates import candidates_of
from limbshift.agents.belief.search import MOST_EVIDENCE, REWARD_ERROR, RULED_OUT, CandidateSearch
from limbshift.agents.heads import RELUCTANCE, CandidateHead


def make_search() -> CandidateSearch:
    """Returns a search among the places 0, 1 and 2 that predicts a reward of 1 where the robot, which sees its place,
    stands at the candidate, of 0 at a distance of 1 or more, and in between on straight lines."""
    search = CandidateSearch(seen_dim=3, size=3, num_candidates=3, task_dim=1)
    with torch.no_grad():
        search.head.candidates.copy_(torch.tensor([[0.0], [1.0], [2.0]]))
        # place - task, and task - place, and a constant of 1
        search.encoder.weight.copy_(torch.tensor([[1.0], [-1.0], [0.0]]))
        search.encoder.bias.copy_(torch.tensor([0.0, 0.0, 1.0]))
        search.task.weight.copy_(torch.tensor([[-1.0], [1.0], [0.0]]))
        # 1 - |place - task|, where that is positive
        search.hidden.weight.copy_(torch.tensor([[-1.0, -1.0, 1.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]))
        search.hidden.bias.zero_()
        search.reward.weight.copy_(torch.tensor([[1.0, 0.0, 0.0]]))
        search.reward.bias.zero_()
    return search


def steps(*rows: tuple[float, float, float]) -> Tensor:
    """Returns one robot's steps: place, reward, boundary."""
    return torch.tensor([[row] for row in rows])


def test_a_reward_that_does_not_come_rules_out_the_candidates_that_it_was_predicted_for() -> None:
    with torch.no_grad():
        likelihood, (last,) = make_search()(steps((0.0, 0.0, 1.0), (0.5, 0.0, 0.0), (0.0, 0.0, 0.0)), ())
    half = -(0.5**2) / (2 * REWARD_ERROR**2)  # -1.39: both of the places half a metre away
    assert torch.allclose(likelihood[:, 0], torch.tensor([
        [0.0, 0.0, 0.0],  # where an episode starts, the reward is that of another place
        [half, half, 0.0],
        [half - MOST_EVIDENCE, half, 0.0],  # 1 / (2 * 0.3^2) = 5.6 is more than one reward may count
    ]))  # fmt: skip
    assert torch.equal(last, likelihood[-1])


def test_a_reward_that_comes_rules_out_the_others() -> None:
    with torch.no_grad():
        likelihood, _ = make_search()(steps((1.0, 1.0, 0.0)), ())
    assert likelihood[0, 0].tolist() == [-MOST_EVIDENCE, 0.0, -MOST_EVIDENCE]


def test_once_all_are_ruled_out_the_search_begins_anew() -> None:
    search = make_search()
    held, state = [], ()
    for place in [0.0] * 8 + [1.0] * 8 + [2.0] * 20:
        with torch.no_grad():
            likelihood, state = search(steps((place, 0.0, 0.0)), state)
        assert likelihood.max() == 0
        assert likelihood.min() >= RULED_OUT
        held.append(int(search.head(likelihood[0])))
    assert held[0] == 0
    assert [held[7], held[15], held[-1]] == [1, 2, 0]


def test_step_by_step_it_infers_what_it_does_of_a_whole_trial() -> None:
    torch.manual_seed(0)
    search = CandidateSearch(seen_dim=5, size=4, num_candidates=6, task_dim=2)
    torch.nn.init.normal_(search.head.candidates)
    seen = torch.randn(300, 2, 5)  # more rows than are predicted at once
    with torch.no_grad():
        whole, _ = search(seen, ())
        state, parts = (), []
        for part in seen.split(70):
            likelihood, state = search(part, state)
            parts.append(likelihood)
    assert torch.allclose(torch.cat(parts), whole, atol=1e-5)


def test_rewards_are_learnt_from_true_tasks_where_they_follow() -> None:
    search = make_search()
    seen = steps((0.0, 0.5, 0.0), (1.0, 0.0, 0.0), (1.0, 7.0, 1.0))
    # 1 is predicted of the first, 0 of the second; the third starts an episode
    assert search.missed(seen, (), torch.zeros(3, 1, 1)).item() == pytest.approx(0.25 / 3)


def test_the_first_in_order_is_held_for_true_until_it_is_unlikelier_by_far() -> None:
    head = CandidateHead(num_candidates=3, task_dim=1)
    head.candidates[:, 0] = torch.tensor([5.0, 6.0, 7.0])
    step = RELUCTANCE / 2
    likelihood = torch.tensor(
        [[0.1 - step, 0.0, 0.0], [-0.1 - step, 0.0, 0.0], [-30.0, -30.0, 0.0], [-30.0, -1.0, 0.0]]
    )
    assert head(likelihood)[:, 0].tolist() == [5.0, 6.0, 7.0, 6.0]


def test_candidates_leave_no_part_of_a_disc_out() -> None:
    radius, angle = torch.rand(4096, generator=torch.Generator().manual_seed(0)).sqrt(), torch.linspace(0, 500, 4096)
    tasks = torch.stack([radius * angle.cos(), radius * angle.sin()], dim=-1)
    found = candidates_of(tasks, 64)
    assert torch.cdist(tasks, found).amin(dim=1).max() < 0.2
    assert found[0].norm() < 0.1  # from the middle
    for count in (4, 16):  # the first few are spread over all of it
        assert torch.cdist(tasks, found[:count]).amin(dim=1).max() < 2.4 / count**0.5
