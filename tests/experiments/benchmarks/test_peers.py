"""Peers are given what ours are given: the same actions, as many physics steps, and as many threads."""

import os
from importlib import import_module
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from limbshift.envs.catalogue import make_family
from limbshift.envs.task_env import TaskEnv
from limbshift.envs.trial_env import TrialEnv
from limbshift.experiments.benchmarks import peers
from limbshift.experiments.benchmarks.bench import MEASURES
from limbshift.experiments.benchmarks.config import BenchConfig
from limbshift.experiments.benchmarks.physics import random_actions

CONFIG = BenchConfig(num_envs=64, episodes=2, horizon=3, rounds=1)
ROUNDS = 2
"""One of them warms up."""


class Recorded(gym.vector.VectorWrapper):
    """Remembers the actions that a vector env is given, and what it gives."""

    def __init__(self, env: gym.vector.VectorEnv[Any, Any, Any]) -> None:
        super().__init__(env)
        self.given: list[NDArray[np.float64]] = []

    def step(self, actions: Any) -> Any:
        self.given.append(np.array(actions))
        return self.env.step(actions)


def ours_given(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """Returns a list that fills with the actions that ours are given, in the robot's own units."""
    given: list[torch.Tensor] = []
    move = TaskEnv.move

    def recording(env: TaskEnv, action: torch.Tensor | NDArray[np.float64]) -> Any:
        given.append(torch.as_tensor(action).clone())
        return move(env, action)

    monkeypatch.setattr(TaskEnv, "move", recording)
    return given


def test_gymnasiums_envs_get_our_actions_and_one_step_more_between_episodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its vector env begins an episode in a step of its own: of 2 x 3 steps, one more, whose action counts for none."""
    made: list[Recorded] = []
    make = gym.make_vec

    def recording(*arguments: Any, **settings: Any) -> Recorded:
        made.append(Recorded(make(*arguments, **settings)))
        return made[-1]

    monkeypatch.setattr(gym, "make_vec", recording)
    ours = ours_given(monkeypatch)
    config = BenchConfig(num_envs=4, episodes=2, horizon=3, rounds=1)
    peers.trials_beside_gymnasium(make_family("HalfCheetahLimbs"), config, mode="sync")
    (theirs,) = made
    assert len(ours) == 6 * ROUNDS
    assert len(theirs.given) == 7 * ROUNDS
    one_round = [theirs.given[number] for number in (0, 1, 2, 4, 5, 6)]
    np.testing.assert_allclose(torch.stack(ours[:6]).numpy(), one_round, atol=1e-7)
    np.testing.assert_array_equal(theirs.given[7], theirs.given[0])  # the next round's are the same


@pytest.mark.slow  # EnvPool is installed for these checks alone: it takes most of a gigabyte
@pytest.mark.parametrize("name", ["envpool", "ant", "ant-gymnasium", "make-vec"])
def test_envpool_gets_our_actions_and_threads(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    envpool: Any = import_module("envpool")
    made: list[Recorded] = []
    make = envpool.make_gymnasium

    def recording(robot: str, **settings: Any) -> Recorded:
        made.append(Recorded(make(robot, **settings)))
        return made[-1]

    monkeypatch.setattr(envpool, "make_gymnasium", recording)
    ours, measure = ours_given(monkeypatch), MEASURES[name]
    outcome = measure.run(make_family(measure.family), CONFIG)
    (theirs,) = made
    assert len(ours) == 6 * ROUNDS
    assert len(theirs.given) == 7 * ROUNDS
    one_round = [theirs.given[number] for number in (0, 1, 2, 4, 5, 6)]
    np.testing.assert_allclose(torch.stack(ours[:6]).numpy(), one_round, atol=1e-7)
    assert theirs.env.config["num_threads"] == len(os.sched_getaffinity(0))  # type: ignore[attr-defined]
    assert len(outcome.ratios) == 1


@pytest.mark.slow  # with EnvPool, as above
@pytest.mark.parametrize(
    ("make_peer", "robot"),
    [
        (lambda config: peers.make_envpool("HalfCheetah-v4", config), None),
        (peers.make_lasting_ants, peers.LastingAnt()),
        (peers.make_lasting_ants, peers.LastingAnt().as_written()),
    ],
    ids=["half-cheetah", "ant", "ant under Gymnasium's integrator"],
)
def test_states_are_of_one_distribution(make_peer: peers.MakePeer, robot: Any) -> None:
    """Of 64 robots after 30 steps under the same actions: heights, and speeds of joints."""
    config = BenchConfig(num_envs=64, episodes=1, horizon=40)
    family = make_family("HalfCheetahDir" if robot is None else "AntDir")
    ours = TrialEnv(family if robot is None else peers.with_robot(family, robot), 64, 1, horizon=40)
    actions, theirs = random_actions(ours), make_peer(config)
    own = ours.reset()
    other, _ = theirs.reset()
    for action in actions[:30]:
        own = ours.step(action.float()).obs
        other, _, terminated, truncated, _ = theirs.step(action.numpy())
        assert not (terminated | truncated).any()
    size, speeds = other.shape[1], slice(-6, None)
    seen = own[:, :size].numpy()
    ours.close()
    theirs.close()
    assert np.median(seen[:, 0]) == pytest.approx(np.median(other[:, 0]), abs=0.1)
    assert np.abs(seen[:, speeds]).mean() == pytest.approx(np.abs(other[:, speeds]).mean(), rel=0.15)


def test_single_envs_begin_anew_at_the_horizon() -> None:
    """Five trials of 2 x 3 steps: ten episodes, one begun before the clock starts."""

    class Counting(gym.Wrapper[Any, Any, Any, Any]):
        resets, steps, left = 0, 0, 0

        def reset(self, **settings: Any) -> Any:
            self.resets, self.left = self.resets + 1, 3
            return self.env.reset(**settings)

        def step(self, action: Any) -> Any:
            self.steps, self.left = self.steps + 1, self.left - 1
            assert self.left >= 0
            return self.env.step(action)

    env = Counting(gym.make("limbshift/HalfCheetahDir-v0", horizon=3))
    actions = [np.zeros(6)] * (6 * peers.SINGLE_TRIALS)
    assert peers.single_seconds(env, actions, horizon=3) > 0
    assert (env.resets, env.steps) == (10, 30)
    env.close()


@pytest.mark.parametrize(("name", "count"), [("envpool", 64), ("gymnasium-async", 16), ("gymnasium-sync", 16)])
def test_as_many_envs_are_measured_as_is_said(name: str, count: int) -> None:
    assert MEASURES[name].num_envs(BenchConfig()) == count
