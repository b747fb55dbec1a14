"""A trial that a person meddles with."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from limbshift.agents.actor import PolicyActor
from limbshift.agents.controller import Controller
from limbshift.agents.controller_file import ControllerCard
from limbshift.agents.heads import TaskHead
from limbshift.agents.recurrent import PolicySpec, RecurrentActorCritic
from limbshift.envs.catalogue import families, make_family
from limbshift.envs.tasks.parameter import TaskError
from limbshift.envs.trial_env import TrialEnv
from limbshift.experiments.runs.controllers import load_with_family, shipped_names
from limbshift.experiments.watching.live_trial import LiveTrial, Push


def untrained(name: str, *, head: bool = False) -> Controller:
    family = make_family(name)
    env = TrialEnv(family, 1)
    spec = PolicySpec(env.task_env.obs_dim, env.task_env.action_dim, hidden_size=8)
    env.close()
    torch.manual_seed(0)
    low, high = family.robot.action_bounds()
    card = ControllerCard(name, "default", episodes_per_trial=2, horizon=20)
    told = TaskHead(8, family.task_space.encoding_dim) if head else None
    return Controller(RecurrentActorCritic(spec), card, low, action_high=high, task_head=told)


def test_untouched_it_is_the_trial_of_an_evaluation() -> None:
    controller, family = load_with_family("HalfCheetahVel")
    live, env = LiveTrial(controller, family, seed=3), TrialEnv(family, 1, 2, split="heldout", seed=3)
    actor, obs = PolicyActor(controller.policy, 1), env.reset()
    rewards = []
    for _ in range(250):
        live.step()
        step = env.step(actor(obs))
        obs = step.obs
        rewards.append(float(step.reward[0]))
    assert list(live.rewards) == rewards
    np.testing.assert_allclose(live.returns, [sum(rewards[:200]), sum(rewards[200:])])
    env.close()


def test_a_change_takes_hold_in_mid_stride_and_nothing_else_does() -> None:
    live, same = (LiveTrial(*load_with_family("HalfCheetahLimbs"), seed=0) for _ in range(2))
    for trial in (live, same):
        for _ in range(30):
            trial.step()
    live.change({"torso_mass": 3.0})
    assert live.task == {**same.task, "torso_mass": 3.0}
    assert live.changes == [30]
    qpos = [trial.env.task_env.physics.state("qpos").clone() for trial in (live, same)]
    torch.testing.assert_close(*qpos)
    for trial in (live, same):
        trial.step()
    assert live.rewards[-1] != same.rewards[-1]
    with pytest.raises(TaskError, match=r"^task parameter torso_mass is -1, expected"):
        live.change({"torso_mass": -1.0})
    assert live.task["torso_mass"] == 3.0


def test_a_wipe_forgets_the_trial_and_moves_nothing() -> None:
    live = LiveTrial(*load_with_family("HalfCheetahWiring"), seed=0)
    for _ in range(30):
        live.step()
    assert np.abs(live.remembered).max() > 0.1
    qpos = live.env.task_env.physics.state("qpos").clone()
    live.wipe()
    assert not live.remembered.any()
    assert not any(part.any() for part in live.actor.state)
    assert torch.equal(live.env.task_env.physics.state("qpos"), qpos)
    live.step()
    assert live.wipes == [30]
    assert live.remembered.any()


def test_new_trials_of_the_same_and_of_other_tasks() -> None:
    live = LiveTrial(*load_with_family("HalfCheetahWiring"), seed=0)
    live.change({"bthigh_sign": -live.task["bthigh_sign"]})
    live.step()
    kept = live.task
    live.new_trial()
    assert live.task == kept
    assert (live.steps, list(live.rewards), list(live.returns), live.changes) == (0, [], [0.0], [])
    live.draw("train")
    assert live.env.task_env.split == "train"
    drawn = live.task
    live.draw("train")
    assert live.task != drawn
    with pytest.raises(TaskError, match=r"^split is 'test', expected one of train, heldout"):
        live.draw("test")
    assert live.env.task_env.split == "train"
    live.step()
    live.close()


def test_a_push_pulls_the_body_along_and_letting_go_ends_it() -> None:
    live = LiveTrial(untrained("HalfCheetahDir"), make_family("HalfCheetahDir"))
    height = [float(live.env.task_env.physics.state("qpos")[0, 1])]
    torso = live.family.robot.model.body("torso").id
    live.push(Push(torso, np.array((0.0, 0.0, 0.7)), np.array((0.0, 0.0, 2000.0))))
    live.step()
    height.append(float(live.env.task_env.physics.state("qpos")[0, 1]))
    assert height[1] > height[0] + 0.05
    live.push(None)
    assert not live.env.task_env.physics.state("xfrc_applied").any()


def test_a_force_beside_the_centre_turns_the_body() -> None:
    """1 N upwards, 0.5 m ahead of the centre: a torque of r x f = (0.5, 0, 0) x (0, 0, 1) = (0, -0.5, 0) N m."""
    live = LiveTrial(untrained("HalfCheetahDir"), make_family("HalfCheetahDir"))
    torso = live.family.robot.model.body("torso").id
    centre = live.env.task_env.physics.snapshot(0)[1].xipos[torso]
    live.push(Push(torso, centre + np.array((0.5, 0.0, 0.0)), np.array((0.0, 0.0, 1.0))))
    told = live.env.task_env.physics.state("xfrc_applied")[0, torso]
    torch.testing.assert_close(told, torch.tensor((0.0, 0.0, 1.0, 0.0, -0.5, 0.0), dtype=told.dtype))


def test_what_the_memory_believes() -> None:
    live = LiveTrial(untrained("HalfCheetahVel", head=True), make_family("HalfCheetahVel"))
    head = live.controller.task_head
    assert isinstance(head, TaskHead)
    with torch.no_grad():
        head.bias.fill_(-0.5)  # a quarter of the way from 0 to 3 m/s
    live.step()
    assert live.guess == pytest.approx({"target_velocity": 0.75})
    assert LiveTrial(untrained("HalfCheetahVel"), live.family).guess is None


@pytest.mark.parametrize("name", sorted(set(families()) - set(shipped_names())))
def test_every_family_can_be_watched(name: str) -> None:
    check_live(LiveTrial(untrained(name, head=True), make_family(name)))


@pytest.mark.parametrize("name", shipped_names())
def test_every_shipped_controller_can_be_watched(name: str) -> None:
    check_live(LiveTrial(*load_with_family(name)))


def check_live(live: LiveTrial) -> None:
    for split in live.family.task_space.splits:
        live.draw(split)
        for _ in range(live.env.horizon + 1):  # into the second episode
            live.step()
        assert len(live.returns) == 2
    for parameter in live.family.parameters:
        live.change({parameter.name: parameter.choices[-1] if parameter.choices else parameter.high})
        live.step()
    live.wipe()
    live.step()
    assert np.isfinite(live.rewards).all()
    assert live.guess is None or set(live.guess) == set(live.family.task_space.names)
    live.close()


def test_what_follows_a_fall_counts_no_more_until_the_next_episode() -> None:
    controller = untrained("InvertedPendulumBody")
    controller.card = replace(controller.card, horizon=60)
    live = LiveTrial(controller, make_family("InvertedPendulumBody"))
    rewards, falls = list[float](), list[bool]()
    for _ in range(119):
        fell = live.fell
        live.step()
        rewards.append(live.rewards[-1])
        falls.append(live.fell > fell)
    first, later = falls.index(True), falls.index(True, 60)
    assert sum(falls[:60]) > 1, "an untrained controller drops the pole again and again"
    assert list(live.returns) == pytest.approx([sum(rewards[: first + 1]), sum(rewards[60 : later + 1])])
