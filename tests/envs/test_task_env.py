"""Tasks stepped together: control steps worked by hand, and what each number is drawn from."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from limbshift.envs.catalogue import families, make_family
from limbshift.envs.errors import ActionError, FamilyError
from limbshift.envs.family import Motion, TaskFamily
from limbshift.envs.task_env import TaskEnv
from limbshift.envs.tasks.parameter import TaskError
from tests.envs.sled import Sledding

FIRST = torch.tensor([True, False])


def actions(*values: float) -> Tensor:
    return torch.tensor(values).unsqueeze(-1)


def placed(family: TaskFamily, *states: tuple[float, float]) -> TaskEnv:
    """Sleds on nominal tasks, at these positions and velocities."""
    env = TaskEnv(family, len(states))
    env.set_tasks([{"price": 2.0}] * len(states), env.all_envs)
    env.begin_episodes(env.all_envs)
    for name, column in zip(("qpos", "qvel"), torch.tensor(states, dtype=torch.float64).T, strict=True):
        env.physics.state(name)[:, 0] = column
    return env


def started(family: TaskFamily, num_envs: int, split: str = "train", seed: int = 0) -> TaskEnv:
    env = TaskEnv(family, num_envs, split, seed=seed)
    env.begin_tasks(env.all_envs)
    env.begin_episodes(env.all_envs)
    return env


def drawn(family: TaskFamily, num_envs: int, count: int, split: str = "train", seed: int = 0) -> tuple[Tensor, Tensor]:
    """(count, P) tasks and (count, 2, nq + nv) states in which their first two episodes start, in order of tasks."""
    env = TaskEnv(family, num_envs, split, seed=seed)
    tasks: list[Tensor] = []
    states: list[Tensor] = []
    while len(tasks) * num_envs < count:
        env.begin_tasks(env.all_envs)
        tasks.append(torch.stack(tuple(env.task.values()), dim=-1))
        episodes = []
        for _ in range(2):
            env.begin_episodes(env.all_envs)
            episodes.append(torch.cat([env.physics.state("qpos"), env.physics.state("qvel")], dim=-1))
        states.append(torch.stack(episodes, dim=1))
    return torch.cat(tasks)[:count], torch.cat(states)[:count]


def test_a_control_step_is_as_worked_by_hand() -> None:
    # v' = v + 0.2 a, x' = x + 0.1 v + 0.015 a; the mean velocity (x' - x) / 0.1 is v + 0.15 a.
    env = placed(Sledding(), (0.0, 0.0), (0.5, -1.0))
    step = env.step(actions(1.0, 0.5))
    assert env.physics.state("qvel")[:, 0].tolist() == pytest.approx([0.2, -0.9])
    assert env.physics.state("qpos")[:, 0].tolist() == pytest.approx([0.015, 0.4075])
    assert step.terms["sold"].tolist() == pytest.approx([0.3, -1.85])
    assert step.terms["control"].tolist() == pytest.approx([-0.5, -0.125])
    assert step.reward.tolist() == pytest.approx([-0.2, -1.975])
    assert not step.terminated.any()
    assert not step.diverged.any()


def test_half_the_mass_is_twice_as_fast() -> None:
    env = TaskEnv(Sledding(), 2)
    env.set_tasks([{"mass": 0.5}, {"mass": 2.0}], env.all_envs)
    env.begin_episodes(env.all_envs)
    env.step(actions(1.0, 1.0))
    assert env.physics.state("qvel")[:, 0].tolist() == pytest.approx([0.4, 0.1])


def test_a_variant_is_paid_by_its_own_equation() -> None:
    step = placed(Sledding("free"), (0.0, 0.0)).step(actions(1.0))
    assert step.reward.tolist() == pytest.approx([0.3])


def test_actions_are_clipped_to_the_motors_range() -> None:
    env = placed(Sledding(), (0.0, 0.0), (0.0, 0.0))
    step = env.step(actions(7.0, -1.5))
    assert step.action.tolist() == [[1.0], [-1.0]]
    assert env.physics.state("qvel")[:, 0].tolist() == pytest.approx([0.2, -0.2])
    assert step.terms["control"].tolist() == pytest.approx([-0.5, -0.5])


def test_a_fall_terminates_and_is_paid_for() -> None:
    env = placed(Sledding(), (0.95, 1.0), (0.0, 0.0))
    step = env.step(actions(0.0, 0.0))
    assert step.terminated.tolist() == [True, False]
    assert step.diverged.tolist() == [False, False]
    assert step.reward.tolist() == pytest.approx([2.0, 0.0])
    assert env.physics.state("qpos")[0, 0] == pytest.approx(1.05), "it never begins an episode by itself"


@pytest.mark.parametrize("velocity", [1e15, math.nan])
def test_a_divergence_terminates_and_is_worth_nothing(velocity: float) -> None:
    env = placed(Sledding(), (0.1, velocity), (0.1, 1.0))
    step = env.step(actions(1.0, 0.0))
    assert step.diverged.tolist() == [True, False]
    assert step.terminated.tolist() == [True, False]
    assert step.reward.tolist() == pytest.approx([0.0, 2.0])
    assert env.observe().isfinite().all()


def test_observations_are_new_and_of_single_precision() -> None:
    env = placed(Sledding(), (0.5, -1.0), (0.25, 2.0))
    obs = env.observe()
    assert obs.dtype == torch.float32
    assert obs.tolist() == [[0.5, -1.0], [0.25, 2.0]]
    assert env.observe(actions(3.0, 4.0)).tolist() == [[0.5, -1.0, 3.0], [0.25, 2.0, 4.0]]
    env.step(actions(1.0, 1.0))
    assert obs.tolist() == [[0.5, -1.0], [0.25, 2.0]]
    obs.zero_()
    assert env.physics.state("qvel").all()


def test_episodes_begin_only_where_asked() -> None:
    env = placed(Sledding(), (0.5, -1.0), (0.25, 2.0))
    env.begin_episodes(FIRST)
    assert abs(env.physics.state("qpos")[0, 0]) <= 0.1
    assert env.observe()[1].tolist() == [0.25, 2.0]


def test_tasks_begin_only_where_asked() -> None:
    env = started(Sledding(), 2)
    before = env.task_values()
    env.begin_tasks(FIRST)
    for name, values in env.task_values().items():
        assert values[0] != before[name][0]
        assert values[1] == before[name][1]
    assert env.task_index.tolist() == [2, 1]


def test_task_values_are_a_copy() -> None:
    env = TaskEnv(Sledding(), 2)
    env.set_tasks([{"price": 2.0}, {"price": 1.0, "mass": 4.0}], env.all_envs)
    values = env.task_values()
    assert {name: value.tolist() for name, value in values.items()} == {"mass": [1.0, 4.0], "price": [2.0, 1.0]}
    values["price"][:] = 0
    assert env.task["price"].tolist() == [2.0, 1.0]


def test_an_encoded_task_is_scaled_over_its_range() -> None:
    env = TaskEnv(Sledding(), 2)
    # mass is log-uniform over (0.5, 2), price uniform over (-3, 5).
    env.set_tasks([{"mass": 1.0, "price": 5.0}, {"mass": 0.5, "price": 0.0}], env.all_envs)
    encoded = env.encoded_task()
    assert encoded.dtype == torch.float32
    torch.testing.assert_close(encoded, torch.tensor([[0.0, 1.0], [-1.0, -0.25]]))


FAMILIES = (Sledding(), *(make_family(name) for name in families()))
every_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)


@every_family
def test_tasks_and_initial_states_depend_on_their_number_alone(family: TaskFamily) -> None:
    tasks, states = drawn(family, 12, count=12)
    for num_envs in (1, 4, 5):
        other_tasks, other_states = drawn(family, num_envs, count=12)
        assert torch.equal(other_tasks, tasks)
        assert torch.equal(other_states, states)


@every_family
def test_no_two_simulations_or_episodes_draw_the_same_numbers(family: TaskFamily) -> None:
    _, states = drawn(family, 16, count=32)
    assert len(states.sum(dim=-1).unique()) == 32 * 2


@every_family
def test_streams_of_splits_variants_and_seeds_differ(family: TaskFamily) -> None:
    own = drawn(family, 16, 16)
    others = [drawn(family, 16, 16, split) for split in family.task_space.splits[1:]]
    others += [drawn(family, 16, 16, seed=seed) for seed in (1, 2**31, -1)]
    others += [drawn(make_variant(family, name), 16, 16) for name in family.variants if name != "default"]
    for tasks, states in others:
        assert not torch.isin(states.sum(dim=-1), own[1].sum(dim=-1)).any()
        assert not torch.equal(tasks, own[0])


def make_variant(family: TaskFamily, variant: str) -> TaskFamily:
    return type(family)(variant)


def test_seeding_starts_over() -> None:
    env = started(Sledding(), 3, seed=4)
    first = env.observe(torch.stack(tuple(env.task.values()), dim=-1))
    env.begin_tasks(env.all_envs)
    env.begin_episodes(env.all_envs)
    for seed, same in ((5, False), (4, True)):
        env.seed(seed)
        env.begin_tasks(env.all_envs)
        env.begin_episodes(env.all_envs)
        again = env.observe(torch.stack(tuple(env.task.values()), dim=-1))
        assert torch.equal(again, first) == same


def test_tasks_that_are_set_take_the_same_initial_states_as_drawn_ones() -> None:
    drawn_env, set_env = started(Sledding(), 3), TaskEnv(Sledding(), 3)
    set_env.set_tasks([{}, {}, {}], set_env.all_envs)
    set_env.begin_episodes(set_env.all_envs)
    assert torch.equal(set_env.observe(), drawn_env.observe())


def test_restarts_leave_later_initial_states_as_they_are() -> None:
    env, falling = started(Sledding(), 2), started(Sledding(), 2)
    first = env.observe()
    for _ in range(3):
        falling.begin_episodes(FIRST, restart=True)
        assert falling.observe()[0, 0] != first[0, 0]
    for each in (env, falling):
        each.begin_episodes(each.all_envs)
    assert torch.equal(env.observe(), falling.observe())


def test_each_restart_is_another() -> None:
    env = started(Sledding(), 2)
    positions = [env.observe()[0, 0].item()]
    for _ in range(4):
        env.begin_episodes(FIRST, restart=True)
        positions.append(env.observe()[0, 0].item())
    assert len(set(positions)) == 5


def test_a_split_that_the_family_lacks_is_refused() -> None:
    with pytest.raises(TaskError, match=r"^split is 'extrapolation', expected one of train, heldout, validation$"):
        TaskEnv(make_family("HalfCheetahWiring"), 1, "extrapolation")


def test_as_many_tasks_as_simulations_are_expected() -> None:
    env = TaskEnv(Sledding(), 2)
    with pytest.raises(TaskError, match=r"^number of tasks is 3, expected 2$"):
        env.set_tasks([{}, {}, {}], env.all_envs)


def test_a_refused_task_changes_nothing() -> None:
    env = started(Sledding(), 2)
    before, index = env.task_values(), env.task_index.tolist()
    with pytest.raises(TaskError, match=r"^task parameter mass is 0, expected a number above 0$"):
        env.set_tasks([{"price": 1.0}, {"mass": 0.0}], env.all_envs)
    assert {name: value.tolist() for name, value in env.task_values().items()} == {
        name: value.tolist() for name, value in before.items()
    }
    assert env.task_index.tolist() == index


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (np.zeros((2, 2)), "shape of actions is (2, 2), expected (2, 1)"),
        (np.zeros(2), "shape of actions is (2,), expected (2, 1)"),
        (np.array([[0.0], [math.nan]]), "value in actions is nan, expected finite numbers"),
        (torch.tensor([[-math.inf], [0.0]]), "value in actions is -inf, expected finite numbers"),
        (np.array([[0.0], [1e4000 * np.longdouble(10) ** 400]]), "value in actions is inf, expected finite numbers"),
        ([[0.0], [None]], "dtype of actions is object, expected real numbers"),
        ([["left"], ["right"]], "dtype of actions is <U5, expected real numbers"),
        ([[True], [False]], "dtype of actions is bool, expected real numbers"),
        ([[1j], [0.0]], "dtype of actions is complex128, expected real numbers"),
        (torch.tensor([[1j], [0.0]]), "dtype of actions is complex64, expected real numbers"),
        ([[0.0], [0.0, 1.0]], "value of actions is [[0.0], [0.0, 1.0]], expected numbers of shape (2, 1)"),
        (None, "dtype of actions is object, expected real numbers"),
        ({"left": 1}, "dtype of actions is object, expected real numbers"),
    ],
)
def test_actions_from_outside_are_checked(action: object, message: str) -> None:
    with pytest.raises(ActionError) as caught:
        TaskEnv(Sledding(), 2).check_actions(action)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "action",
    [
        [[1], [0]],
        ((np.float16(1.0),), (0.0,)),
        torch.tensor([[1.0], [0.0]], requires_grad=True),
        *(np.array([[1.0], [0.0]]).astype(kind) for kind in ("f2", "f4", "f8", "g", "i1", "u2", "u4", "u8")),
        *(torch.tensor([[1.0], [0.0]]).to(kind) for kind in (torch.bfloat16, torch.float16, torch.int32)),
        np.array([[0.0], [1.0]])[::-1],
    ],
    ids=lambda action: f"{type(action).__name__} {getattr(action, 'dtype', '')}",
)
def test_actions_from_outside_may_be_of_any_kind(action: object) -> None:
    env = placed(Sledding(), (0.0, 0.0), (0.0, 0.0))
    assert env.step(env.check_actions(action)).action.tolist() == [[1.0], [0.0]]


class Paid(Sledding):
    """A sled whose reward is whatever the test says, given its place, (N,) m."""

    def __init__(self, terms: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.terms = terms

    def reward(self, motion: Motion, task: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """terms"""
        paid: dict[str, Tensor] = self.terms(motion.physics.state("qpos")[:, 0])
        return paid


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        (
            lambda place: {"run": place, "stay": place.unsqueeze(-1)},
            "reward term 'stay' of Paid is torch.float64 of (3, 1), expected a tensor of real numbers of (3,)",
        ),
        (
            lambda place: {"run": place.mean()},
            "reward term 'run' of Paid is torch.float64 of (), expected a tensor of real numbers of (3,)",
        ),
        (
            lambda place: {"run": place > 0, "stay": place < 0},
            "reward term 'run' of Paid is torch.bool of (3,), expected a tensor of real numbers of (3,)",
        ),
        (
            lambda place: {"run": place.numpy()},
            "reward term 'run' of Paid is ndarray, expected a tensor of real numbers of (3,)",
        ),
        (lambda place: {"run": 1.0}, "reward term 'run' of Paid is float, expected a tensor of real numbers of (3,)"),
        (lambda place: place, "reward of Paid is a Tensor, expected a mapping from term to tensor"),
        (lambda place: {}, "reward of Paid is empty, expected a mapping from term to tensor"),
        (lambda place: None, "reward of Paid is a NoneType, expected a mapping from term to tensor"),
    ],
)
def test_a_reward_that_is_not_one_number_for_each_robot_is_named(terms: Callable[[Tensor], Any], message: str) -> None:
    env = started(Paid(terms), 3)
    with pytest.raises(FamilyError) as caught:
        env.step(torch.zeros(3, 1))
    assert str(caught.value) == message


def test_whole_numbers_are_paid() -> None:
    env = started(Paid(lambda place: {"run": torch.tensor([1, 2, 3])}), 3)
    assert env.step(torch.zeros(3, 1)).reward.tolist() == [1.0, 2.0, 3.0]
