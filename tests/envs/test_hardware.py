"""Late actions and sensors that err, on the robot that can be worked out by hand and on all others."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from limbshift.envs.catalogue import families, make_family
from limbshift.envs.family import Motion, TaskFamily
from limbshift.envs.hardware import ACTION_DELAY, HARDWARE, OBS_BIAS
from limbshift.envs.task_env import TaskEnv
from limbshift.envs.tasks.parameter import TaskError, TaskParameter
from limbshift.envs.tasks.streams import RandomStream
from limbshift.envs.tasks.task_space import TaskSpace
from tests.envs.sled import Sledding


class RemoteSledding(Sledding):
    """A sled behind a slow wire, with poor sensors."""

    parameters: tuple[TaskParameter, ...] = (*Sledding.parameters, *HARDWARE)


def sleds(*tasks: dict[str, float]) -> TaskEnv:
    env = TaskEnv(RemoteSledding(), len(tasks))
    env.set_tasks(tasks, env.all_envs)
    env.begin_episodes(env.all_envs)
    env.physics.reset(env.all_envs)
    return env


def test_a_delayed_action_arrives_so_many_steps_later() -> None:
    env = sleds({}, {"action_delay": 1}, {"action_delay": 3})
    speeds = []
    for action in (1.0, 0.0, 0.0, 0.0):
        env.step(torch.full((3, 1), action))
        speeds.append(env.physics.state("qvel")[:, 0].tolist())
    # A push of 1 for a control step gives the sled 0.2 m/s, which it keeps.
    expected = [[0.2, 0.0, 0.0], [0.2, 0.2, 0.0], [0.2, 0.2, 0.0], [0.2, 0.2, 0.2]]
    assert speeds == [pytest.approx(row) for row in expected]


def delay(*choices: float) -> TaskParameter:
    return replace(ACTION_DELAY, name="lag", high=max(choices), choices=choices)


def lagging(*parameters: TaskParameter, tasks: Sequence[Mapping[str, float]]) -> TaskEnv:
    """Sleds at rest whose delays are these parameters."""
    family = Sledding()
    family.parameters = (*Sledding.parameters, *parameters)
    family.task_space = TaskSpace(family.parameters)
    env = TaskEnv(family, len(tasks))
    env.set_tasks(tasks, env.all_envs)
    env.begin_episodes(env.all_envs)
    env.physics.reset(env.all_envs)
    return env


def arrivals(env: TaskEnv, steps: int) -> list[list[float]]:
    """Speeds after each step, of which the first alone is a push, of 0.2 m/s."""
    speeds = []
    for step in range(steps):
        env.step(torch.full((env.num_envs, 1), float(step == 0)))
        speeds.append(env.physics.state("qvel")[:, 0].tolist())
    return speeds


def test_a_delay_may_be_as_long_as_the_family_says() -> None:
    env = lagging(delay(0.0, 5.0), tasks=[{"lag": 5.0}, {}])
    expected = [[0.0, 0.2]] * 5 + [[0.2, 0.2]]
    assert arrivals(env, 6) == [pytest.approx(row) for row in expected]


def test_two_delays_add_up() -> None:
    env = lagging(ACTION_DELAY, delay(0.0, 2.0), tasks=[{"lag": 2.0, "action_delay": 3.0}])
    assert arrivals(env, 6) == [pytest.approx([speed]) for speed in (0.0, 0.0, 0.0, 0.0, 0.0, 0.2)]


@pytest.mark.parametrize(("value", "found"), [(6.0, "6"), (2.5, "2.5"), (-1.0, "-1")])
def test_a_delay_that_the_family_does_not_have_is_refused(value: float, found: str) -> None:
    with pytest.raises(TaskError, match=f"^task parameter lag is {found}, expected 0 or 1 or 5$"):
        lagging(delay(0.0, 1.0, 5.0), tasks=[{"lag": value}])


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        (delay(0.0, 2.5), "lag delays actions by 2.5 control steps, expected a whole number"),
        (
            replace(ACTION_DELAY, choices=()),
            "action_delay delays actions by 0 to 3 control steps, expected choices that are whole numbers",
        ),
    ],
)
def test_delays_that_are_no_whole_numbers_of_steps_are_refused(parameter: TaskParameter, message: str) -> None:
    with pytest.raises(TaskError) as caught:
        lagging(parameter, tasks=[{}])
    assert str(caught.value) == f"task parameter {message}"


def test_a_sensor_errs_by_its_effect_whatever_its_name() -> None:
    drift = replace(OBS_BIAS, name="drift")
    named, renamed = (lagging(parameter, tasks=[{parameter.name: 0.1}]) for parameter in (OBS_BIAS, drift))
    assert renamed.observe().all()
    assert torch.equal(renamed.observe(), named.observe())


def test_an_action_on_its_way_is_lost_when_an_episode_begins() -> None:
    env = sleds({"action_delay": 2}, {"action_delay": 2})
    env.step(torch.ones(2, 1))
    env.begin_episodes(torch.tensor([True, False]))
    env.physics.state("qvel").zero_()
    for _ in range(2):
        env.step(torch.zeros(2, 1))
    assert env.physics.state("qvel")[:, 0].tolist() == pytest.approx([0.0, 0.2])


def test_the_price_is_paid_for_what_was_sent() -> None:
    step = sleds({"action_delay": 3}).step(torch.full((1, 1), 2.0))
    assert step.action.tolist() == [[1.0]]
    assert step.terms["control"].tolist() == [-0.5]


def test_noise_changes_with_each_step_and_bias_does_not() -> None:
    env = sleds({"obs_noise": 0.1}, {"obs_bias": 0.1}, {})
    seen = []
    for _ in range(50):
        seen.append(env.observe())
        assert torch.equal(env.observe(), seen[-1]), "looking twice tells two things"
        env.step(torch.zeros(3, 1))
    noise, bias, none = torch.stack(seen).unbind(dim=1)
    # 100 numbers with a deviation of 0.1: their own deviation is 0.1 to within 0.007, four times that is allowed.
    assert noise.std() == pytest.approx(0.1, abs=0.03)
    assert len(noise[:, 0].unique()) == 50
    assert torch.equal(bias, bias[:1].expand_as(bias))
    assert (bias[0] != 0).all()
    assert not none.any()


def test_biases_are_drawn_once_for_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a copy errs as the original does."""
    env = sleds({"obs_bias": 0.1}, {"obs_bias": 0.2})
    drawn, uniform = list[tuple[int, int]](), RandomStream.uniform

    def counted(stream: RandomStream, index: Tensor, epoch: Tensor, size: int) -> Tensor:
        drawn.append(stream.key)
        return uniform(stream, index, epoch, size)

    monkeypatch.setattr(RandomStream, "uniform", counted)
    for _ in range(2):
        env.set_tasks([{"obs_bias": 0.1}, {"obs_bias": 0.2}], torch.tensor([True, False]))
        drawn.clear()
        for _ in range(3):
            env.observe()
        # The noise, and with it the first time the bias.
        assert sorted(map(drawn.count, set(drawn))) == [1, 3]
    copied = copy.deepcopy(env)
    assert torch.equal(copied.observe(), env.observe())


def test_biases_of_different_tasks_differ_and_repeat_with_the_seed() -> None:
    first, again = sleds({"obs_bias": 0.1}, {"obs_bias": 0.1}), sleds({"obs_bias": 0.1}, {"obs_bias": 0.1})
    assert torch.equal(first.observe(), again.observe())
    assert not torch.equal(first.observe()[0], first.observe()[1])
    first.set_tasks([{"obs_bias": 0.1}] * 2, first.all_envs)
    first.begin_episodes(first.all_envs)
    first.physics.reset(first.all_envs)
    assert not torch.equal(first.observe(), again.observe())


@pytest.mark.parametrize("name", families())
def test_every_robot_can_be_late_and_err(name: str) -> None:
    class Remote(TaskFamily):
        """The robot alone, behind an interface."""

        robot = make_family(name).robot
        parameters = HARDWARE

        def reward(self, motion: Motion, task: Mapping[str, Tensor]) -> dict[str, Tensor]:
            """0"""
            return {"nothing": torch.zeros_like(motion.action[:, 0])}

    Remote.name = "Remote"
    plain, remote = TaskEnv(make_family(name), 4), TaskEnv(Remote(), 4)
    for env, task in ((plain, {}), (remote, {"action_delay": 2.0, "obs_noise": 0.01, "obs_bias": 0.01})):
        env.set_tasks([task] * 4, env.all_envs)
        env.begin_episodes(env.all_envs)
        env.physics.reset(env.all_envs)
        env.physics.forward(env.all_envs)
    assert 0 < (remote.observe() - plain.observe()).abs().max() < 0.1
