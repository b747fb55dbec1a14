"""A robot moved and read through NumPy: to the bits of PyTorch's way, and robots of any kind."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from limbshift.envs.adapters.gym_vector import TaskFamilyVectorEnv
from limbshift.envs.catalogue import families, make_family
from limbshift.envs.family import Motion, TaskFamily
from limbshift.envs.live_robot import LiveArrays, LiveRobot
from limbshift.envs.mjcf.families import MjcfFamily
from limbshift.envs.mjcf.robot import MjcfRobot
from limbshift.envs.physics.models import gymnasium_xml
from limbshift.envs.physics.mujoco_batch import MujocoPhysics
from limbshift.envs.physics.protocol import Physics
from limbshift.envs.task_env import TaskEnv
from limbshift.envs.task_step import TaskStep
from limbshift.envs.trial_env import TrialEnv
from tests.envs.runaway import Runaway
from tests.envs.sled import Sled, Sledding


def variants(name: str) -> list[TaskFamily]:
    return [make_family(name, variant) for variant in make_family(name).variants]


def own_robot() -> TaskFamily:
    return MjcfFamily("Limbs", MjcfRobot.from_xml(gymnasium_xml("ant.xml")))


FAMILIES = (Sledding(), Runaway(), own_robot(), *(family for name in families() for family in variants(name)))
every_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: f"{family.name} {family.variant}")


def bits(step: TaskStep, obs: Tensor) -> list[tuple[torch.dtype, bytes]]:
    tensors = (*step[:-1], *step.terms.values(), obs)
    return [(tensor.dtype, tensor.numpy().tobytes()) for tensor in tensors]


@every_family
def test_numpy_gives_the_bits_of_pytorch(family: TaskFamily) -> None:
    """With actions beyond their bounds, falls, restarts, and a divergence; sooner or later all tasks change."""
    quick, slow = TaskEnv(family, 3, seed=2), TaskEnv(family, 3, seed=2)
    assert isinstance(quick._live, LiveArrays)
    slow._live = LiveRobot(slow.robot, slow.physics)
    for env in (quick, slow):
        env.begin_tasks(env.all_envs)
        env.begin_episodes(env.all_envs)
    generator = torch.Generator().manual_seed(0)
    for number in range(12):
        action = quick.action_high * (3 * torch.rand(3, quick.action_dim, generator=generator) - 1.5)
        told = []
        for env in (quick, slow):
            if number == 6:
                env.physics.state("qvel")[1, 0] = 1e15
            step = env.step(action)
            told.append(bits(step, env.observe(action, step.terminated.unsqueeze(-1))))
            env.begin_tasks(step.diverged)
            env.begin_episodes(step.terminated, restart=True)
            told[-1].append((torch.float32, np.asarray(env.observe_native()).tobytes()))
        assert told[0] == told[1], f"step {number}"


class Counting(Sled):
    """A sled that senses, beside its place, how often it was asked; half of what it senses is its own memory."""

    def __init__(self) -> None:
        self.asked = torch.zeros(2, 1, dtype=torch.float64)

    def observe(self, physics: Physics) -> tuple[Tensor, ...]:
        self.asked += 1
        return physics.state("qpos"), self.asked

    def position(self, physics: Physics) -> Tensor:
        return 2 * physics.state("qpos")[:, 0]


class Counted(Sledding):
    robot = Counting()


def test_what_a_robots_formulas_make_is_asked_for_each_time() -> None:
    env = TaskEnv(Counted(), 2)
    env.set_tasks([{"price": 1.0}] * 2, env.all_envs)
    env.begin_episodes(env.all_envs)
    first, second = (env.observe() for _ in range(2))
    assert (second[:, 1] - first[:, 1]).tolist() == [1.0, 1.0]
    env.physics.state("qpos").zero_()
    # From rest under a = 1 the sled moves by 0.015 m in 0.1 s: a mean of 0.15 m/s, of which its position is the double.
    assert env.step(torch.ones(2, 1)).terms["sold"].tolist() == pytest.approx([0.3, 0.3])
    assert env.observe()[:, 0].tolist() == pytest.approx([0.015, 0.015])


class Smooth(Sledding):
    """Pays for each change of action, and remembers the last one and the last velocity as they were handed to it."""

    def __init__(self) -> None:
        super().__init__()
        self.before: list[Motion] = []

    def reward(self, motion: Motion, task: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """-|a - a_before|"""
        self.before.append(motion)
        last = self.before[-2] if len(self.before) > 1 else motion
        return {"rate": -(motion.action - last.action).abs()[:, 0], "gain": motion.velocity - last.velocity}


def test_what_a_reward_keeps_of_a_step_does_not_change_later() -> None:
    env = TaskEnv(Smooth(), 1)
    env.begin_episodes(env.all_envs)
    env.physics.state("qvel").zero_()
    steps = [env.step(torch.tensor([[action]])) for action in (0.5, 0.5, -1.0, 1.0)]
    assert [step.terms["rate"].item() for step in steps] == [0.0, 0.0, -1.5, -2.0]
    # v' = v + 0.2 a, and a step's mean velocity is v + 0.15 a: 0.075, 0.175, 0.05 and 0.15 m/s.
    gains = [step.terms["gain"].item() for step in steps]
    assert gains == pytest.approx([0.0, 0.1, -0.125, 0.1])


class Odd(Sledding):
    """Pays what PyTorch holds as the negative of something, and more than float32 can hold."""

    def reward(self, motion: Motion, task: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """-v + 1e39"""
        return {"minus": torch._neg_view(motion.velocity), "much": torch.full_like(motion.velocity, 1e39)}


def test_odd_rewards_are_told_as_they_are() -> None:
    """And no warning of NumPy's is raised, which would be an error here."""
    envs = TaskFamilyVectorEnv(Odd(), 2, seed=0)
    envs.reset()
    *_, infos = envs.step(envs.action_space.sample())
    assert (infos["reward_terms"]["minus"] != 0).all()
    assert (infos["reward_terms"]["much"] == 1e39).all()
    trials = TrialEnv(Odd(), 2, 1, horizon=3)
    trials.reset()
    step = trials.step(torch.zeros(2, 1))
    assert (step.reward > 9e38).all()
    assert step.obs[:, trials.layout.previous_reward].isinf().all()


def test_actions_are_left_as_they_were_given() -> None:
    env = TaskEnv(Sledding(), 2)
    env.begin_episodes(env.all_envs)
    given = np.array([[3.0], [-0.5]])
    moved = env.move(given)
    assert given.tolist() == [[3.0], [-0.5]]
    assert moved.action.tolist() == [[1.0], [-0.5]]
    moved.action.zero_()
    assert given.tolist() == [[3.0], [-0.5]]
    assert env.physics.state("ctrl").tolist() == [[1.0], [-0.5]]


def test_a_gradient_and_half_precision_may_come_along() -> None:
    env = TaskEnv(Sledding(), 2)
    env.begin_episodes(env.all_envs)
    assert env.step(torch.tensor([[2.0], [0.5]], requires_grad=True)).action.tolist() == [[1.0], [0.5]]
    assert env.step(torch.tensor([[2.0], [0.5]], dtype=torch.bfloat16)).action.tolist() == [[1.0], [0.5]]


@pytest.mark.parametrize(
    "kind",
    [Tensor.numpy, Tensor.bfloat16, Tensor.half, Tensor.double, Tensor.requires_grad_],
    ids=["array", "bfloat16", "half", "double", "gradient"],
)
def test_trials_take_actions_of_any_kind(kind: Callable[[Tensor], Tensor | NDArray[np.float32]]) -> None:
    seen = []
    for given in (torch.tensor([[2.0], [0.5]]), kind(torch.tensor([[2.0], [0.5]]))):
        trials = TrialEnv(Sledding(), 2)
        trials.reset()
        seen.append(trials.step(given).obs)
    assert torch.equal(seen[0], seen[1])
    assert seen[0][:, trials.layout.previous_action].tolist() == [[1.0], [0.5]]


class Pushed(Sled):
    """A sled whose motor turns each action round, and whose place is made by a formula."""

    def controls(self, action: Tensor) -> Tensor:
        return -action

    def position(self, physics: Physics) -> Tensor:
        return 2 * physics.state("qpos")[:, 0]


class Pushing(Sledding):
    robot = Pushed()


def test_what_motors_are_given_is_the_robots_to_say() -> None:
    env = TaskEnv(Pushing(), 2)
    env.set_tasks([{"price": 1.0}] * 2, env.all_envs)
    env.begin_episodes(env.all_envs)
    step = env.step(np.array([[2.0], [-0.5]]))
    assert step.action.tolist() == [[1.0], [-0.5]]
    assert env.physics.state("ctrl").tolist() == [[-1.0], [0.5]]
    # From rest the sled moves by 0.015 a in 0.1 s, of which its place is the double.
    assert step.terms["sold"].tolist() == pytest.approx([-0.3, 0.15])


def test_live_memory_is_known_from_copies() -> None:
    robot = Sled()
    physics = MujocoPhysics(robot.model, 2, ["body_mass"], computed_fields=["xpos"])
    qpos = physics.state("qpos")
    for live in (qpos, qpos[:, 0], physics.computed_field("xpos")[:, 1, :2], physics.model_field("body_mass")[:, 1]):
        assert physics.owns(live)
    for own in (qpos.clone(), qpos.float(), 1 * qpos, torch.zeros(2)):
        assert not physics.owns(own)
