"""How a trained policy goes through trials: what it earns, step by step, and what its memory knows."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from limbshift.envs.catalogue import make_family
from limbshift.envs.trial_env import TrialEnv
from limbshift.experiments.comparison.compare import how_trials_go
from limbshift.experiments.comparison.summary import adaptation_time, longer_returns
from limbshift.experiments.comparison.timed_training import HeldoutCurvePoint, returns_on
from limbshift.experiments.comparison.trainers import GuessingActor, Ours
from limbshift.experiments.comparison.training_run import TrainingRun, Trials
from limbshift.meta.evaluation.trials import Act, random_actor
from limbshift.meta.rl2.build import make_trainer

FAMILY = make_family("HalfCheetahVel")


def heldout() -> TrialEnv:
    return TrialEnv(FAMILY, 6, 2, horizon=5, split="heldout")


@pytest.fixture(scope="module")
def ours() -> Ours:
    """Untrained: its head guesses nothing."""
    trainer = make_trainer(FAMILY, num_envs=4, episodes=2, horizon=5, hidden_size=8)
    return Ours(trainer, guesses=trainer.ppo.known_task_head)


def guessing(ours: Ours, env: TrialEnv) -> GuessingActor:
    act = ours.guessing(env)
    assert isinstance(act, GuessingActor)
    return act


def test_rewards_by_step_are_those_of_the_returns(ours: Ours) -> None:
    trials = how_trials_go(heldout(), ours, [[0.0]])
    assert trials.control_timestep_s == FAMILY.robot.control_timestep
    assert np.shape(trials.mean_reward_per_step) == (2, 5)
    returns = returns_on(heldout(), 0, ours).mean(axis=0)
    np.testing.assert_allclose(np.sum(trials.mean_reward_per_step, axis=1), returns, atol=2e-3)


def test_a_head_that_always_guesses_the_middle_leaves_all_variance(ours: Ours) -> None:
    """Its guess, 0, is 0.3 off the tasks' mean, say: the error is the variance and 0.09 more, at each step."""
    env = heldout()
    act = guessing(ours, env)
    returns_on(env, 0, lambda _: act)
    task = env.task_env.encoded_task()
    expected = (task.square().sum() / (task - task.mean(dim=0)).square().sum()).item()
    assert act.errors == pytest.approx([expected] * 10)
    assert how_trials_go(heldout(), ours, [[0.0]]).task_error == pytest.approx(act.errors, abs=1e-4)


def test_a_head_that_knows_the_task_leaves_nothing(ours: Ours) -> None:
    env = heldout()
    act = guessing(ours, env)
    act.head = lambda features: env.task_env.encoded_task()  # type: ignore[assignment]  # the simulator itself
    returns_on(env, 0, lambda _: act)
    assert act.errors == [0.0] * 10


def test_where_all_tasks_are_one_there_is_nothing_to_know(ours: Ours) -> None:
    env = TrialEnv(FAMILY, 1, 2, horizon=5, split="heldout")
    act = guessing(ours, env)
    returns_on(env, 0, lambda _: act)
    assert act.errors == []


def test_others_make_no_guesses(ours: Ours) -> None:
    def random(env: TrialEnv) -> Act:
        return random_actor(env, 0)

    assert how_trials_go(heldout(), random, [[0.0]]).task_error == []
    assert how_trials_go(heldout(), replace(ours, guesses=None), [[0.0]]).task_error == []


def run(method: str, seed: int, rewards: list[list[float]]) -> TrainingRun:
    """Of four tasks, on which it earns these rewards at each step of two episodes, and then as in the last."""
    returns = [[sum(episode) for episode in rewards]] * 4
    look = HeldoutCurvePoint(1.0, 100 * (method != "random"), returns)
    trials = Trials(0.05, rewards, [[*each, each[-1]] for each in returns])
    return TrainingRun(method, seed, "a CPU", [look], {"heldout": returns}, trials=trials)


RANDOM = [run("random", 0, [[0.0] * 60] * 2)]


def test_adaptation_takes_as_long_as_all_seeds_together_do() -> None:
    """One seed earns 1 from the start, the other from step 30 on. Together 0.5, then 1: of 20 steps 16 at 1 are 0.9."""
    late = [[0.0] * 30 + [1.0] * 30, [1.0] * 60]
    runs = [run("limbshift", 0, [[1.0] * 60] * 2), run("limbshift", 1, late)]
    assert adaptation_time(runs, RANDOM) == pytest.approx(0.05 * (30 + 16))
    assert adaptation_time(runs[:1], RANDOM) == pytest.approx(0.05 * 20)


def test_nothing_adapts_that_does_not_beat_random_actions() -> None:
    runs = [run("limbshift", 0, [[1.0] * 60] * 2), run("limbshift", 1, [[-1.0] * 60] * 2)]
    assert adaptation_time(runs, RANDOM) is None
    assert adaptation_time(RANDOM, RANDOM) is None


def test_older_trainings_do_not_tell() -> None:
    old = [replace(run("limbshift", 0, [[1.0] * 60] * 2), trials=None)]
    assert adaptation_time(old, RANDOM) is None
    assert longer_returns(old) == []
    assert longer_returns([run("limbshift", 0, [[1.0] * 60, [2.0] * 60])]) == [60.0, 120.0, 120.0]


def test_guesses_take_nothing_from_the_policy(ours: Ours) -> None:
    torch.testing.assert_close(
        torch.from_numpy(returns_on(heldout(), 0, ours.guessing)), torch.from_numpy(returns_on(heldout(), 0, ours))
    )
