"""What a trial is, point by point, on a sled whose motion is worked by hand.

The sled starts at rest within 0.1 m of the middle and has fallen past 1 m. A slot is 4 steps, a trial 3 slots.
"""

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from limbshift.envs.catalogue import families, make_family
from limbshift.envs.errors import ActionError, InputError
from limbshift.envs.family import TaskFamily
from limbshift.envs.trial_env import TrialEnv, TrialStep, trial_layout
from limbshift.meta.rl2.advantages import generalised_advantages
from tests.envs.robots.suite import trained
from tests.envs.sled import Sledding

SLOT, TRIAL = Sledding.horizon, Sledding.horizon * Sledding.episodes_per_trial


def actions(*values: float) -> Tensor:
    return torch.tensor(values).unsqueeze(-1)


def trials(num_envs: int = 2, *, seed: int = 0, split: str = "train", observe_task: bool = False) -> TrialEnv:
    return TrialEnv(Sledding(), num_envs, split=split, seed=seed, observe_task=observe_task)


def play(env: TrialEnv, steps: int, action: float = 0.5) -> list[TrialStep]:
    return [env.step(torch.full((env.num_envs, 1), action)) for _ in range(steps)]


def throw_off(env: TrialEnv, sim: int) -> None:
    """Put a sled beyond the end of the rail, so that it falls in the next step."""
    env.task_env.physics.state("qpos")[sim, 0] = 1.5


def blow_up(env: TrialEnv, sim: int) -> None:
    """Give a sled a velocity that MuJoCo takes for a divergence in the next step."""
    env.task_env.physics.state("qvel")[sim, 0] = 1e15


def is_start(env: TrialEnv, obs: Tensor) -> Tensor:
    """(N,) whether this is the initial state of an episode: at rest in the middle, where no played one is."""
    position, velocity = obs[:, env.layout.obs].T
    return torch.logical_and(position.abs() <= 0.1, velocity == 0)


# A trial is K slots of `horizon` steps on one task, one episode each.


def test_a_trial_is_its_slots_and_no_longer() -> None:
    env = trials()
    assert (env.episodes_per_trial, env.horizon, env.steps_per_trial) == (3, 4, 12)
    assert is_start(env, env.reset()).all()
    task = env.task_env.task_values()
    for step in range(1, TRIAL + 1):
        result = play(env, 1)[0]
        assert result.trial_over == (step == TRIAL)
        assert is_start(env, result.obs).tolist() == [step in (SLOT, 2 * SLOT)] * 2
        assert all((env.task_env.task_values()[name] == value).all() for name, value in task.items())
    env.reset()
    assert all((env.task_env.task_values()[name] != value).all() for name, value in task.items())


def test_the_shape_of_a_trial_is_the_familys_unless_given() -> None:
    assert trials().steps_per_trial == 12
    given = TrialEnv(Sledding(), 1, episodes_per_trial=2, horizon=5)
    given.reset()
    results = play(given, 10)
    assert [result.trial_over for result in results] == [False] * 9 + [True]
    assert [is_start(given, result.obs).item() for result in results] == [False] * 4 + [True] + [False] * 5


def test_a_trial_may_be_played_again_on_tasks_that_are_set() -> None:
    env = trials()
    env.task_env.set_tasks([{"mass": 2.0}, {"price": 4.0}], env.task_env.all_envs)
    for _ in range(2):
        assert is_start(env, env.begin_trials()).all()
        assert [result.trial_over for result in play(env, TRIAL)] == [False] * (TRIAL - 1) + [True]
    assert env.task_env.task["mass"].tolist() == [2.0, 1.0]
    assert env.task_env.task["price"].tolist() == [0.0, 4.0]


# An episode that ends early restarts at once inside its slot.


@pytest.mark.parametrize("end", [throw_off, blow_up])
def test_an_episode_that_ends_early_restarts_at_once_in_its_slot(end: Callable[[TrialEnv, int], None]) -> None:
    env = trials()
    env.reset()
    play(env, 1)
    end(env, 0)
    result = play(env, 1)[0]
    assert result.terminated.tolist() == [True, False]
    assert result.diverged.tolist() == [end is blow_up, False]
    assert is_start(env, result.obs).tolist() == [True, False]
    assert result.obs[:, env.layout.boundary].tolist() == [[1.0], [0.0]]
    starts = [is_start(env, later.obs).tolist() for later in play(env, SLOT)]
    assert starts == [[False, False], [True, True], [False, False], [False, False]], "the slot ends when it would have"


def test_a_robot_that_falls_at_each_step_restarts_at_each() -> None:
    env = trials()
    env.reset()
    positions = set()
    for step in range(1, TRIAL):
        throw_off(env, 0)
        result = play(env, 1)[0]
        assert result.terminated.tolist() == [True, False]
        assert is_start(env, result.obs).tolist() == [True, step % SLOT == 0]
        positions.add(result.obs[0, 0].item())
    assert len(positions) == TRIAL - 1


def test_a_fall_on_the_last_step_is_left_to_the_reset() -> None:
    env = trials()
    env.reset()
    play(env, TRIAL - 1)
    throw_off(env, 0)
    result = play(env, 1)[0]
    assert result.trial_over
    assert result.terminated.tolist() == [True, False]
    assert result.obs[:, env.layout.boundary].tolist() == [[0.0], [0.0]]
    assert result.obs[0, 0] > 1, "the final state is the fallen one"


# The policy sees the observation, the previous action and reward, and a boundary bit.


def test_the_parts_of_an_observation_lie_side_by_side() -> None:
    layout = trial_layout(17, 6)
    assert layout == (slice(0, 17), slice(17, 23), slice(23, 24), slice(24, 25), slice(25, 25))
    assert trial_layout(17, 6, 3).task == slice(25, 28)


def test_the_first_step_of_a_trial_has_a_boundary_and_no_past() -> None:
    env = trials()
    for _ in range(2):
        obs = env.reset()
        assert obs.dtype == torch.float32
        assert obs.shape == (2, env.obs_dim) == (2, 5)
        assert obs[:, 2:].tolist() == [[0.0, 0.0, 1.0]] * 2
        play(env, TRIAL)


def test_the_previous_action_is_the_one_that_was_executed() -> None:
    env = trials(3)
    env.reset()
    obs = env.step(actions(0.25, 3.0, -7.0)).obs
    assert obs[:, env.layout.previous_action].tolist() == [[0.25], [1.0], [-1.0]]


def test_the_previous_reward_is_the_last_one() -> None:
    env = trials()
    env.task_env.set_tasks([{"price": 2.0}, {"price": -1.0}], env.task_env.all_envs)
    env.begin_trials()
    # From rest the mean velocity is 0.15 a: 2 * 0.15 - 0.5 and -0.075 - 0.125; at v = 0.2 it is 0.2 and -0.1 - 0.075.
    for action, expected in ((actions(1.0, 0.5), [-0.2, -0.2]), (actions(0.0, 0.0), [0.4, -0.1])):
        result = env.step(action)
        assert result.reward.tolist() == pytest.approx(expected)
        assert result.obs[:, env.layout.previous_reward].squeeze(-1).tolist() == pytest.approx(expected)
        assert result.obs[:, env.layout.boundary].tolist() == [[0.0], [0.0]]


def test_a_restart_carries_the_last_action_and_reward_of_the_episode_that_ended() -> None:
    env = trials()
    env.task_env.set_tasks([{"price": 2.0}] * 2, env.task_env.all_envs)
    env.begin_trials()
    throw_off(env, 0)
    obs = env.step(actions(1.0, -1.0)).obs  # a fall
    assert is_start(env, obs).tolist() == [True, False]
    torch.testing.assert_close(obs[:, 2:], torch.tensor([[1.0, -0.2, 1.0], [-1.0, -0.8, 0.0]]))
    play(env, 2, action=0.0)
    obs = env.step(actions(5.0, 0.0)).obs  # a time limit: the first sled, at rest, earns -0.2; the second 2 * -0.2
    assert is_start(env, obs).all()
    torch.testing.assert_close(obs[:, 2:], torch.tensor([[1.0, -0.2, 1.0], [0.0, -0.4, 1.0]]))


def test_a_divergence_carries_a_finite_reward_of_zero() -> None:
    env = trials()
    env.reset()
    env.task_env.physics.state("qvel")[0, 0] = math.nan
    obs = env.step(actions(0.5, 0.5)).obs
    assert obs.isfinite().all()
    assert obs[0, 2:].tolist() == [0.5, 0.0, 1.0]


# Credit flows over time limits inside a trial, and ends at falls.


def test_time_limits_do_not_terminate() -> None:
    env = trials()
    env.reset()
    assert not torch.stack([result.terminated for result in play(env, TRIAL)]).any()


def test_credit_flows_over_a_time_limit_and_ends_at_a_fall() -> None:
    env = TrialEnv(Sledding(), 2, episodes_per_trial=2, horizon=2)
    env.reset()
    terminated = []
    for step in range(4):
        if step == 1:
            throw_off(env, 0)  # in the same step as the slot's time limit
        terminated.append(play(env, 1)[0].terminated)
    reward = torch.tensor([[1.0, 1.0], [2.0, 2.0], [4.0, 4.0], [8.0, 8.0]])
    value = torch.zeros(5, 2)
    value[-1] = 16  # what follows the trial
    # By halves from the end: 8 + 16/2 = 16, 4 + 16/2 = 12, then for the sled that fell 2, 1 + 2/2 = 2;
    # for the one that did not, 2 + 12/2 = 8 and 1 + 8/2 = 5.
    expected = torch.tensor([[2.0, 5.0], [2.0, 8.0], [12.0, 12.0], [16.0, 16.0]])
    advantage = generalised_advantages(reward, value, torch.stack(terminated), gamma=0.5, gae_lambda=1.0)
    assert torch.equal(advantage, expected)


# No stale step: what is acted on after an episode ends is the first of the new one.


@pytest.mark.parametrize("slots_end", [True, False])
def test_the_observation_after_an_end_is_the_new_episodes_first(slots_end: bool) -> None:
    env = trials()
    env.reset()
    if slots_end:
        play(env, SLOT - 1)
    else:
        throw_off(env, 0)
        throw_off(env, 1)
    obs = play(env, 1)[0].obs
    assert torch.equal(obs[:, env.layout.obs], env.task_env.observe())
    position, velocity = env.task_env.physics.state("qpos").clone(), env.task_env.physics.state("qvel").clone()
    assert not velocity.any()
    # Acting on it moves that very state: x' = x + 0.015 a / m.
    moved = play(env, 1, action=1.0)[0].obs[:, :1]
    torch.testing.assert_close(moved, (position + 0.015 / env.task_env.task["mass"].unsqueeze(-1)).float())


@pytest.mark.parametrize("name", families())
def test_a_first_observation_is_the_same_wherever_in_the_trial_it_comes(name: str) -> None:
    """Derived fields that a robot senses must not be those of the episode before."""
    env = TrialEnv(make_family(name), 2, episodes_per_trial=2, horizon=3)
    env.reset()
    for _ in range(3):
        obs = env.step(torch.ones(2, env.task_env.action_dim)).obs
    position = env.task_env.robot.position(env.task_env.physics).clone()
    env.task_env.physics.forward(env.task_env.all_envs)
    assert torch.equal(obs[:, env.layout.obs], env.task_env.observe())
    assert torch.equal(position, env.task_env.robot.position(env.task_env.physics))


# Only the learner sees normalised rewards.


def test_rewards_are_those_of_the_task() -> None:
    env = trials(1)
    env.task_env.set_tasks([{"price": 1000.0}], env.task_env.all_envs)
    for _ in range(2):
        env.begin_trials()
        rewards = [result.reward.item() for result in play(env, SLOT, action=1.0)]
        # v is 0, 0.2, 0.4, 0.6 before the steps, and the mean velocity 0.15 more.
        assert rewards == pytest.approx([149.5, 349.5, 549.5, 749.5])
    obs = play(env, 1, action=1.0)[0].obs
    assert obs[0, env.layout.previous_reward].item() == pytest.approx(149.5)


# The task is not in the observation, unless it is asked for.


def test_the_task_cannot_be_seen() -> None:
    env = trials(16)
    assert env.reset().shape == (16, env.obs_dim)
    assert env.layout.task == slice(env.obs_dim, env.obs_dim)
    env.task_env.physics.state("qpos").zero_()
    seen = env.task_env.observe()
    assert len(env.task_env.task["mass"].unique()) == 16
    assert torch.equal(seen, torch.zeros_like(seen))


def test_an_oracle_sees_the_encoded_task() -> None:
    env = trials(observe_task=True)
    env.task_env.set_tasks([{"mass": 2.0, "price": 1.0}, {"mass": 0.5, "price": -3.0}], env.task_env.all_envs)
    expected = torch.tensor([[1.0, 0.0], [-1.0, -1.0]])  # mass over (0.5, 2) by logarithms, price over (-3, 5)
    seen = [env.begin_trials(), *(result.obs for result in play(env, TRIAL))]
    assert all(torch.allclose(obs[:, env.layout.task], expected, atol=1e-6) for obs in seen)
    assert env.obs_dim == trials().obs_dim + 2
    env.reset()
    assert not torch.equal(play(env, 1)[0].obs[:, env.layout.task], expected)


@pytest.mark.parametrize("name", families())
def test_an_oracle_sees_numbers_between_minus_one_and_one(name: str) -> None:
    env = TrialEnv(make_family(name), 64, observe_task=True)
    encoded = env.reset()[:, env.layout.task]
    encoding_dim = env.task_env.family.task_space.encoding_dim
    assert encoded.shape == (64, encoding_dim)
    assert (encoded.abs() <= 1 + 1e-6).all()
    # At most three of a family's parameters are never changed in training, for what is held out or extrapolated to.
    # A number of a one-hot code is 1 in at least one of the 64, whose standard deviation is then 1 / 8.
    family = env.task_env.family
    constant = [parameter.encoding_dim for parameter in family.parameters if not trained(family, parameter)]
    assert len(constant) <= 3
    assert (encoded.std(dim=0) > 0.12).sum() >= encoding_dim - sum(constant)


# Edits start from the nominal robot, each time, and reach all that MuJoCo derives from them.


def test_tasks_of_later_trials_do_not_build_on_earlier_ones() -> None:
    env = trials()
    for _ in range(3):
        env.reset()
        expected = 2 * env.task_env.task["mass"]
        for sim in range(2):
            model, _ = env.task_env.physics.snapshot(sim)
            assert model.body_mass[1] == pytest.approx(expected[sim].item())
            assert model.body_subtreemass[0] == pytest.approx(expected[sim].item())
            assert model.dof_M0[0] == pytest.approx(expected[sim].item())
        obs = play(env, 1, action=1.0)[0].obs
        torch.testing.assert_close(obs[:, 1], (0.2 / env.task_env.task["mass"]).float())  # v' = 0.2 a / m


# One seed makes everything, and each task its own numbers.


def starts(family: TaskFamily, num_envs: int, count: int, action: float = 0.5, seed: int = 0) -> Tensor:
    """(count, K, trial_obs_dim - 3) the states in which the slots of the first trials start, with their tasks."""
    env = TrialEnv(family, num_envs, observe_task=True, seed=seed)
    found: list[Tensor] = []
    while len(found) * num_envs < count:
        obs = [env.reset(), *(result.obs for result in play(env, env.steps_per_trial - 1, action))]
        slots = torch.stack(obs[:: env.horizon], dim=1)  # (N, K, trial_obs_dim)
        found.append(torch.cat([slots[..., env.layout.obs], slots[..., env.layout.task]], dim=-1))
    return torch.cat(found)[:count]


def test_trials_depend_on_their_number_alone() -> None:
    expected = starts(Sledding(), 6, count=6)
    assert torch.equal(starts(Sledding(), 1, count=6), expected)
    assert torch.equal(starts(Sledding(), 4, count=6), expected)
    assert len(expected[..., 0].unique()) == 6 * 3
    assert not torch.isin(starts(Sledding(), 6, count=6, seed=1)[..., 0], expected[..., 0]).any()


def test_how_a_policy_falls_changes_no_slots_start() -> None:
    env, falling = trials(), trials()
    for each in (env, falling):
        each.reset()
    for step in range(1, TRIAL):
        if step % 3:
            throw_off(falling, 0)
        first, second = play(env, 1)[0].obs, play(falling, 1)[0].obs
        if step % SLOT == 0:
            assert torch.equal(first[:, env.layout.obs], second[:, env.layout.obs])


def test_equal_seeds_give_equal_trials() -> None:
    runs = []
    for seed in (3, 3, 4):
        env = trials(seed=seed)
        obs = [env.reset(), *(result.obs for result in play(env, TRIAL))]
        runs.append(torch.stack(obs))
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_splits_draw_other_numbers_from_equal_seeds() -> None:
    first, second = (trials(8, split=split).reset()[:, 0] for split in ("train", "heldout"))
    assert not torch.isin(first, second).any()


@pytest.mark.parametrize("shape", [(1,), (1, 1), (2,), (2, 2), (1, 2, 1)])
def test_actions_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    """None is meant for all, though some could be spread over all."""
    env = trials()
    env.reset()
    with pytest.raises(ActionError, match=re.escape(f"shape of actions is {shape}, expected (2, 1)")):
        env.step(torch.zeros(shape))
    with pytest.raises(ActionError, match=re.escape(f"shape of actions is {shape}, expected (2, 1)")):
        env.task_env.step(np.zeros(shape))


@pytest.mark.parametrize("name", ["num_envs", "episodes_per_trial", "horizon"])
def test_a_trial_has_at_least_one_of_each(name: str) -> None:
    given: dict[str, Any] = {"num_envs": 1, name: 0}
    with pytest.raises(InputError, match=f"{name} is 0, expected 1 at least"):
        TrialEnv(Sledding(), **given)
