"""Our envs beside those of others: the same robot, actions, number of physics steps and threads."""

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray
from torch import Tensor

from limbshift.envs.family import Robot, TaskFamily
from limbshift.envs.physics.cores import available_cores
from limbshift.envs.physics.models import MESSAGES
from limbshift.envs.physics.protocol import Physics
from limbshift.envs.robots.ant_robot import Ant
from limbshift.envs.trial_env import TrialEnv
from limbshift.experiments.benchmarks.config import BenchConfig
from limbshift.experiments.benchmarks.measure import Outcome, rates_in_turn
from limbshift.experiments.benchmarks.physics import random_actions, trial_seconds
from limbshift.meta.threads import torch_threads

Actions = Sequence[NDArray[np.float64]]
"""(N, A), or (A,) of a single env, for each step."""
MakePeer = Callable[[BenchConfig], VectorEnv[Any, Any, Any]]
SINGLE_TRIALS = 5
"""How many trials' steps a single env takes in a round: one alone is over in no time."""


class LastingAnt(Ant):
    """An ant that goes on where it has fallen: robots that begin anew would be in other states than a peer's."""

    def fallen(self, physics: Physics) -> Tensor:
        return torch.zeros_like(physics.state("qpos")[:, 0], dtype=torch.bool)


def trials_beside_envpool(family: TaskFamily, config: BenchConfig) -> Outcome:
    """Measures trials beside EnvPool's half-cheetahs, which are all of one body."""
    return trials_beside(family, config, lambda config: make_envpool("HalfCheetah-v4", config))


def ants_beside_envpool(family: TaskFamily, config: BenchConfig) -> Outcome:
    """Measures ants under our integrator beside EnvPool's, under Gymnasium's; all go on where they have fallen."""
    return trials_beside(with_robot(family, LastingAnt()), config, make_lasting_ants)


def gymnasiums_ants_beside_envpool(family: TaskFamily, config: BenchConfig) -> Outcome:
    """Measures the same ants under Gymnasium's integrator."""
    return trials_beside(with_robot(family, LastingAnt().as_written()), config, make_lasting_ants)


def trials_beside_gymnasium(family: TaskFamily, config: BenchConfig, *, mode: str) -> Outcome:
    """Measures trials beside Gymnasium's half-cheetahs in one of its vector envs, sync or async."""

    def make(config: BenchConfig) -> VectorEnv[Any, Any, Any]:
        with quietly():
            return gym.make_vec(
                "HalfCheetah-v5", config.num_envs, vectorization_mode=mode, max_episode_steps=config.horizon
            )

    return trials_beside(family, config, make)


def trials_beside(family: TaskFamily, config: BenchConfig, make_peer: MakePeer) -> Outcome:
    """Measures trials beside a vector env whose episodes are as long."""
    env = TrialEnv(family, config.num_envs, config.episodes, horizon=config.horizon)
    peer, actions = make_peer(config), random_actions(env)
    with torch_threads(1):
        outcome = rates_in_turn(
            lambda: trial_seconds(env, actions),
            lambda: vector_seconds(peer, list(actions.numpy()), horizon=config.horizon, next_step=True),
            steps=env.steps_per_trial * env.num_envs,
            rounds=config.rounds,
        )
    env.close()
    peer.close()
    return outcome


def vector_env_beside_envpool(family: TaskFamily, config: BenchConfig) -> Outcome:
    """Measures what `gym.make_vec` gives of ours beside EnvPool."""
    ours = gym.make_vec(f"limbshift/{family.name}-v0", config.num_envs, horizon=config.horizon, seed=0)
    theirs, actions = make_envpool("HalfCheetah-v4", config), actions_of(family, config, config.num_envs)
    with torch_threads(1):
        outcome = rates_in_turn(
            lambda: vector_seconds(ours, actions, horizon=config.horizon),
            lambda: vector_seconds(theirs, actions, horizon=config.horizon, next_step=True),
            steps=len(actions) * config.num_envs,
            rounds=config.rounds,
        )
    ours.close()
    theirs.close()
    return outcome


def env_beside_gymnasiums(family: TaskFamily, config: BenchConfig) -> Outcome:
    """Measures what `gym.make` gives of ours beside what it gives of Gymnasium's."""
    ours = gym.make(f"limbshift/{family.name}-v0", horizon=config.horizon, seed=0)
    with quietly():
        theirs = gym.make("HalfCheetah-v5", max_episode_steps=config.horizon)
    actions = [action[0] for action in actions_of(family, config, 1)] * SINGLE_TRIALS
    with torch_threads(1):
        outcome = rates_in_turn(
            lambda: single_seconds(ours, actions, horizon=config.horizon),
            lambda: single_seconds(theirs, actions, horizon=config.horizon),
            steps=len(actions),
            rounds=config.rounds,
        )
    ours.close()
    theirs.close()
    return outcome


def vector_seconds(env: VectorEnv[Any, Any, Any], actions: Actions, *, horizon: int, next_step: bool = False) -> float:
    """Times the actions, in episodes of so many steps.

    next_step: whether the env begins an episode in a step of its own, that simulates nothing; such a step is taken
    between two episodes, and not counted.
    """
    env.reset()
    start = time.perf_counter()
    for number, action in enumerate(actions):
        if next_step and number and number % horizon == 0:
            env.step(action)
        env.step(action)
    return time.perf_counter() - start


def single_seconds(env: gym.Env[Any, Any], actions: Actions, *, horizon: int) -> float:
    """Times the actions, in episodes of so many steps."""
    env.reset()
    start = time.perf_counter()
    for number, action in enumerate(actions):
        if number and number % horizon == 0:
            env.reset()
        env.step(action)
    return time.perf_counter() - start


def actions_of(family: TaskFamily, config: BenchConfig, num_envs: int) -> Actions:
    """Returns the actions of a trial of so many envs, in the robot's own units."""
    env = TrialEnv(family, num_envs, config.episodes, horizon=config.horizon)
    actions = env.in_robot_units(random_actions(env))
    env.close()
    return list(actions)


def make_envpool(robot: str, config: BenchConfig, **settings: object) -> VectorEnv[Any, Any, Any]:
    """Returns EnvPool's vector env of one of Gymnasium's robots, on as many threads as ours."""
    import envpool  # an optional extra

    threads = min(len(available_cores()), config.num_envs)
    env = envpool.make_gymnasium(
        robot, num_envs=config.num_envs, num_threads=threads, max_episode_steps=config.horizon, **settings
    )
    return cast("VectorEnv[Any, Any, Any]", env)  # which it is in all but its class


def make_lasting_ants(config: BenchConfig) -> VectorEnv[Any, Any, Any]:
    """Returns EnvPool's ants that go on where they have fallen, without their contact forces, which ours lack too."""
    return make_envpool("Ant-v4", config, terminate_when_unhealthy=False)


@contextmanager
def quietly() -> Iterator[None]:
    """Makes Gymnasium's half-cheetah without MuJoCo's warnings, two for each, of an attribute in its file."""
    with MESSAGES.expecting("settotalmass"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*settotalmass", category=UserWarning)
        yield


def with_robot(family: TaskFamily, robot: Robot) -> TaskFamily:
    """Returns a family's tasks for another robot of the same kind."""
    other = type(family)()
    other.robot = robot
    return other
