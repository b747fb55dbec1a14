"""Statistics and the measurement of adaptation, by hand."""

import math
from functools import partial

import numpy as np
import pytest
import torch

from limbshift.agents.recurrent import PolicySpec, RecurrentActorCritic
from limbshift.envs.catalogue import make_family
from limbshift.envs.errors import InputError
from limbshift.envs.task_step import Measured
from limbshift.envs.trial_env import TrialEnv
from limbshift.meta.evaluation.adaptation import (
    adaptation_curve,
    evaluate_adaptation,
)
from limbshift.meta.evaluation.adaptation_time import ADAPTATION_TIME, steps_to_adapt
from limbshift.meta.evaluation.shifts import shift_costs
from limbshift.meta.evaluation.statistics import bootstrap_interval, interquartile_mean, summarise, worst_decile
from limbshift.meta.evaluation.trials import TrialRewards, TrialSums, means_of, play, summed
from tests.envs.sled import Sledding


def test_the_interquartile_mean_by_hand() -> None:
    """Of 8 values a quarter, 2, goes at each end: (3 + 4 + 5 + 6) / 4 = 4.5."""
    assert interquartile_mean(np.array([100, 3, 1, 4, 5, 6, -50, 7.0])) == pytest.approx(4.5)


def test_the_worst_tenth_by_hand() -> None:
    """Of 20 values the 2 lowest: (1 + 2) / 2. Of 5 the lowest one."""
    assert worst_decile(np.arange(20, 0, -1.0)) == 1.5
    assert worst_decile(np.array([5.0, 3, 4, 9, 8])) == 3.0


def test_intervals_are_repeatable_and_hold_the_estimate() -> None:
    values = np.random.default_rng(0).normal(10, 2, 64)
    low, high = bootstrap_interval(values, 3) or (0, 0)
    assert (low, high) == bootstrap_interval(values, 3)
    assert (low, high) != bootstrap_interval(values, 4)
    assert low < interquartile_mean(values) < high
    assert 0.5 < high - low < 2.5  # about 4 standard deviations of the mean: 4 * 2 / 8 = 1, somewhat more for the IQM
    assert bootstrap_interval(np.full(9, 4.0), 0) == (4.0, 4.0)
    assert bootstrap_interval(np.array([4.0]), 0) is None


def test_a_summary_for_each_episode() -> None:
    first, second = summarise(np.array([[1.0, 10], [2, 20], [3, 30], [4, 40]]), 0)
    assert (first.iqm, first.mean, first.worst10) == (2.5, 2.5, 1.0)
    assert (second.iqm, second.mean, second.worst10) == (25.0, 25.0, 10.0)


def played(*episodes: list[float]) -> TrialSums:
    """Two identical trials with these rewards."""
    reward = np.array([episodes, episodes], dtype=float)
    shape = reward.shape[:2]
    return summed(TrialRewards(reward, np.zeros(shape, dtype=int), np.full(shape, reward.shape[2])))


def adaptation_steps(own: TrialSums, random: TrialSums) -> int | None:
    return steps_to_adapt(own.curve, random.curve)


RANDOM = played([0.0] * 60, [0.0] * 60)
LAST = [1.0] * 60
CLIMB = [step / 20 for step in range(20)] + [1.0] * 40


@pytest.mark.parametrize(
    ("first", "steps"),
    [
        (LAST, 20),  # good from the first step: as soon as there is a window
        # The last 20 steps must earn 0.9 * 20 = 18: 18 steps of 1.05, so that 48 are over.
        ([0.0] * 30 + [1.05] * 30, 48),
        # It climbs for 20 steps, a second at 0.05 s. When 40 - m steps are over, the last 20 lack m/20 + ... + 1/20 =
        # m (m + 1) / 40 of 20; at most 2 for m = 8, so that 32 are over: 1.6 s.
        (CLIMB, 32),
        ([2.0] * 60, 20),  # better than the last
        ([1.0] * 40 + [0.0] * 20, 20),  # what follows is not asked
        ([0.0] * 60, None),
    ],
)
def test_adaptation_time_by_hand(first: list[float], steps: int | None) -> None:
    assert adaptation_steps(played(first, LAST), RANDOM) == steps


def test_adaptation_time_of_negative_rewards() -> None:
    """From -3 to -1, 90 % of the way is -1.2: 2 of 20 steps at -3 and 18 at -0.9 are -1.11 a step, 3 are -1.215."""
    random = played([-3.0] * 60, [-3.0] * 60)
    assert adaptation_steps(played([-3.0] * 30 + [-0.9] * 30, [-1.0] * 60), random) == 48


def test_adaptation_time_within_a_single_episode() -> None:
    """Zero for 21 of 60 steps, then 1: 0.65 on average. 0.585 asks for 12 of 20, which earn it after 33 steps."""
    assert adaptation_steps(played([0.0] * 21 + [1.0] * 39), played([0.0] * 60)) == 33


def test_short_episodes_use_a_shorter_window() -> None:
    assert adaptation_steps(played([1.0] * 5, [1.0] * 5), played([0.0] * 5, [0.0] * 5)) == 5


def time_of(last: list[float], *, random: list[float], memory_off: list[float]) -> float | None:
    """Of trials whose 20 steps earn these each, on a robot of 0.05 s a step."""
    trials, *floors = (
        summed(
            TrialRewards(
                np.tile(np.array(rewards)[:, None, None], (1, 2, 20)),
                np.zeros((len(rewards), 2), dtype=int),
                np.full((len(rewards), 2), 20),
            )
        )
        for rewards in (last, random, memory_off)
    )
    return adaptation_curve(
        trials, random=floors[0], memory_off=floors[1], control_timestep=0.05, seed=0
    ).adaptation_time_s


@pytest.mark.parametrize(
    ("last", "random", "memory_off", "time"),
    [
        ([1.0, 1.1, 1.2, 1.3], [0.0, 0.1, 0.2, 0.3], [0.0, 0.1, 0.2, 0.3], 1.0),
        ([1.0, 1.1, 1.2, 1.3], [0.9, 1.1, 1.3, 1.5], [0.0, 0.1, 0.2, 0.3], None),  # no better than random actions
        ([1.0, 1.1, 1.2, 1.3], [0.0, 0.1, 0.2, 0.3], [1.0, 1.1, 1.2, 1.3], None),  # memory is worth nothing
        ([1.0], [0.0], [0.0], None),  # a single task has no interval
    ],
)
def test_nothing_is_adapted_to_where_nothing_was_learnt(
    last: list[float], random: list[float], memory_off: list[float], time: float | None
) -> None:
    assert time_of(last, random=random, memory_off=memory_off) == time


@pytest.mark.parametrize("name", ["HalfCheetahDir", "HalfCheetahLimbs"])
def test_an_untrained_controller_has_no_adaptation_time(name: str) -> None:
    """It stands nearly still, which costs less than random actions do, on these robots by far."""
    torch.manual_seed(0)
    policy = RecurrentActorCritic(PolicySpec(17, 6, hidden_size=8))
    result = evaluate_adaptation(policy, make_family(name), "heldout", num_tasks=32, episodes=2, horizon=60, seed=0)
    random = result.controls["random"]
    assert result.ci95[-1]
    assert random.ci95[-1]
    assert result.ci95[-1][0] > random.ci95[-1][1]
    assert [each.adaptation_time_s for each in (result, *result.controls.values())] == [None] * 4


def test_results_print_short_and_say_in_json_what_they_measure() -> None:
    policy, family = RecurrentActorCritic(PolicySpec(17, 6, hidden_size=8)), make_family("HalfCheetahDir")
    result = evaluate_adaptation(policy, family, "heldout", num_tasks=32, episodes=2, horizon=30, seed=0, shift_at=30)
    assert repr(result).startswith("<Adaptation on HalfCheetahDir, heldout tasks, 2 x 30: return by episode ")
    assert repr(result.controls["random"]).startswith("<AdaptationCurve: return by episode -")
    assert repr(result.controls["random"]).endswith(" (IQM of 32 tasks), not adapted within episode 1>")
    assert repr(result.shift).startswith("<Shift at step 30: reward per step ")
    assert max(len(repr(shown)) for shown in (result, result.shift)) < 200
    assert len(repr(result.controls)) < 500
    content = result.as_json()
    assert content["definitions"] == {"adaptation_time_s": ADAPTATION_TIME}
    assert content["controls"]["random"]["returns"] == result.controls["random"].returns


def test_what_follows_a_first_fall_does_not_count() -> None:
    """The sled is pushed off its rail; in each slot only what came before, and with, the first fall counts."""
    env = TrialEnv(Sledding(), 3, 2, horizon=30, seed=0)
    result = play(env, lambda obs: torch.ones(3, env.task_env.action_dim))
    assert result.falls.shape == (3, 2)
    assert (result.falls >= 2).all()
    assert result.reward.shape == (3, 2, 30)
    for slot, steps in zip(result.reward.reshape(6, 30), result.steps.flatten(), strict=True):
        last = np.flatnonzero(slot)[-1]
        assert 0 < last < 15
        assert steps == last + 1
        assert (slot[: last + 1] != 0).all()


def test_an_evaluation_is_paired_and_repeatable() -> None:
    torch.manual_seed(0)
    policy = RecurrentActorCritic(PolicySpec(17, 6, hidden_size=8))
    family = make_family("HalfCheetahLimbs")
    result, again, fewer = (
        evaluate_adaptation(policy, family, "heldout", num_tasks=n, episodes=2, horizon=6, seed=1) for n in (6, 6, 3)
    )
    assert result == again
    assert fewer.tasks == result.tasks[:3]
    np.testing.assert_allclose(fewer.returns, result.returns[:3], rtol=1e-5)
    assert len(result.controls["memory_off"].returns) == 6
    assert len({tuple(task.values()) for task in result.tasks}) == 6


@pytest.mark.parametrize("sample", [False, True])
def test_an_evaluation_in_parts_is_that_of_all_at_once(sample: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 7 tasks 3, 3 and 1: tasks, initial states, random actions and noise are those of their numbers."""
    torch.manual_seed(0)
    policy = RecurrentActorCritic(PolicySpec(17, 6, hidden_size=8))
    evaluate = partial(
        evaluate_adaptation,
        policy,
        make_family("HalfCheetahLimbs"),
        "heldout",
        num_tasks=7,
        episodes=2,
        horizon=6,
        seed=1,
        sample=sample,
        shift_at=8,
    )
    whole = evaluate()
    monkeypatch.setattr("limbshift.meta.evaluation.adaptation.MAX_AT_ONCE", 3)
    parts = evaluate()
    assert parts.tasks == whole.tasks
    assert whole.shift
    assert parts.shift
    assert parts.shift.tasks == whole.shift.tasks
    for one, other in zip((parts, *parts.controls.values()), (whole, *whole.controls.values()), strict=True):
        np.testing.assert_allclose(one.returns, other.returns, rtol=1e-5)
        np.testing.assert_allclose(one.mean_reward_per_step, other.mean_reward_per_step, rtol=1e-4, atol=1e-6)
        assert one.falls == other.falls


# Of 20 steps in a row from step s after the change, 10 - s earn -0.2 and the rest 2: 0.9 at worst. With random actions
# at 0, 1.8 of the 2 without the change is enough: reached from s = 9 on, 2 - 2.2 / 20 = 1.89.
def test_what_a_change_of_task_costs_by_hand() -> None:
    unchanged, random = played([2.0] * 40, [2.0] * 40), played([0.0] * 40, [0.0] * 40)
    changed = played([2.0] * 40, [-0.2] * 10 + [2.0] * 30)
    for at_step, without, with_it, steps in ((40, 2.0, 0.9, 9), (20, 2.0, 0.9, 29), (60, 2.0, 2.0, 0)):
        found = shift_costs(changed, unchanged, random=random, at_step=at_step)
        assert found[:2] == pytest.approx((without, with_it))
        assert found[2] == steps
    found = shift_costs(played([2.0] * 40, [0.0] * 40), unchanged, random=random, at_step=40)
    assert found[:2] == pytest.approx((2.0, 0.0))
    assert found[2] is None


def test_an_episode_that_begins_at_rest_is_no_cost_of_a_change() -> None:
    """Robots pick up speed for 10 steps of each slot, changed or not."""
    episode, random = [0.0] * 10 + [2.0] * 30, played([0.0] * 40, [0.0] * 40)
    for at_step in (20, 35, 40, 45):
        _, _, steps = shift_costs(played(episode, episode), played(episode, episode), random=random, at_step=at_step)
        assert steps == 0


def test_a_task_that_cannot_change_is_not_said_to_have_changed() -> None:
    policy = RecurrentActorCritic(PolicySpec(27, 8, hidden_size=8))
    evaluate = partial(evaluate_adaptation, policy, num_tasks=2, episodes=2, horizon=4, seed=0, shift_at=4)
    with pytest.raises(InputError, match="AntCrippled's heldout tasks, which cannot change, expected a split"):
        evaluate(make_family("AntCrippled"), "heldout")
    assert evaluate(make_family("AntCrippled"), "train").shift


def test_an_evaluation_with_a_change_holds_both_tasks() -> None:
    policy = RecurrentActorCritic(PolicySpec(17, 6, hidden_size=8))
    family = make_family("HalfCheetahDir")
    evaluate = partial(evaluate_adaptation, policy, family, "heldout", num_tasks=4, episodes=2, horizon=30, seed=0)
    result, plain = evaluate(shift_at=30), evaluate()
    assert result.shift
    assert plain.shift is None
    assert result.tasks == plain.tasks
    assert [{"direction": -task["direction"]} for task in result.shift.tasks] == result.tasks
    assert [returns[0] for returns in result.returns] == [returns[0] for returns in plain.returns]
    assert [returns[1] for returns in result.returns] != [returns[1] for returns in plain.returns]


@pytest.mark.parametrize(
    ("asked", "fell_at", "expected"),
    [
        # Two slots of three steps. Means of 1, 2, 3 and 4, 4, 4; from 2 they are off by 1, 0, 1 and by 2 each.
        (2.0, None, [[2.0, 2 / 3, 3.0], [4.0, 2.0, 4.0]]),
        (2.0, 1, [[1.5, 0.5, 2.0], [4.0, 2.0, 4.0]]),  # the step that ends in the fall counts, what follows does not
        (None, None, [[2.0, math.nan, 3.0], [4.0, math.nan, 4.0]]),
    ],
)
def test_measurements_by_hand(asked: float | None, fell_at: int | None, expected: list[list[float]]) -> None:
    speeds = [1.0, 2.0, 3.0, 4.0, 4.0, 4.0]
    seen = [Measured(torch.tensor([speed]), None if asked is None else torch.tensor([asked])) for speed in speeds]
    fell = torch.zeros(6, dtype=torch.bool)
    if fell_at is not None:
        fell[fell_at] = True
    np.testing.assert_allclose(means_of(seen, fell.view(2, 3, 1)), [expected], rtol=1e-6)


def test_what_is_measured_is_told_for_each_way_to_act() -> None:
    """A cheetah that holds its speed: its reward of -|v - asked| - 0.05 sum(a^2) is that distance and its motors' work.

    Untrained ones act by 0 but for a hundredth: what is measured is what is paid, to within that work.
    """
    torch.manual_seed(0)
    policy = RecurrentActorCritic(PolicySpec(17, 6, hidden_size=8))
    result = evaluate_adaptation(
        policy, make_family("HalfCheetahVel"), "heldout", num_tasks=5, episodes=2, horizon=10, seed=0
    )
    assert result.measured is not None
    assert result.measured.miss is not None
    assert (result.measured.quantity, result.measured.unit) == ("speed", "m/s")
    np.testing.assert_allclose(-np.array(result.returns) / 10, result.measured.miss, atol=0.01)
    assert np.shape(result.measured.at_end) == (5, 2)
    assert all(curve.measured for curve in result.controls.values())
