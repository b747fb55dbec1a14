"""Trainings beside each other, learning to a return, and what more trials cost, at tiny sizes."""

import os
from collections.abc import Callable
from statistics import median

import numpy as np
import pytest
import torch

from limbshift.envs.catalogue import make_family
from limbshift.experiments.benchmarks import learning, scale, training
from limbshift.experiments.benchmarks.bench import MEASURES
from limbshift.experiments.benchmarks.clock import shares_of
from limbshift.experiments.benchmarks.config import BenchConfig
from limbshift.experiments.comparison import sb3_baselines
from limbshift.experiments.comparison.timed_training import Setting, TimedTraining
from limbshift.experiments.ranks.cores import keeping_to
from limbshift.meta.rl2.iteration import Iteration
from limbshift.meta.rl2.trainer import Trainer

CONFIG = BenchConfig(num_envs=4, episodes=2, horizon=3, rounds=2)
FAMILY = make_family("InvertedPendulumBody")
ITERATIONS = 2 + training.WARM_UP
needs_cores = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="this process has one core")


@needs_cores
@pytest.mark.parametrize("overlap", [False, True])
def test_the_same_is_trained_on_one_core_and_on_two(overlap: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """In turn, by trainers that differ in nothing but where they run, and how many threads they have."""
    seen: list[tuple[int, int, bool]] = []
    iterate = Trainer.iterate

    def recording(trainer: Trainer, spent: float) -> Iteration:
        threads = trainer.env.task_env.engine.num_threads
        assert threads is not None
        seen.append((len(os.sched_getaffinity(0)), threads, hasattr(trainer.experience, "learner")))
        return iterate(trainer, spent)

    monkeypatch.setattr(Trainer, "iterate", recording)
    before = os.sched_getaffinity(0)
    outcome = training.cores_beside_one(FAMILY, CONFIG, overlap=overlap)
    two = (2, 1 if overlap else 2, overlap)
    assert seen == [two, (1, 1, overlap)] * ITERATIONS
    assert os.sched_getaffinity(0) == before
    assert len(outcome.ratios) == 2


def test_cores_are_given_back_after_a_failure() -> None:
    before = os.sched_getaffinity(0)

    def fail() -> None:
        with keeping_to([min(before)]):
            assert os.sched_getaffinity(0) == {min(before)}
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert os.sched_getaffinity(0) == before


def test_recurrent_ppo_trains_in_turn_with_ours_on_trials_of_the_same_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """4 trials of 2 x 3 steps each time: 24 of ours, and 24 of theirs."""
    given: list[Setting] = []
    steps: list[int] = []
    train, call, iterate = sb3_baselines.train_recurrent_ppo, training.Laps.__call__, Trainer.iterate

    def counting(laps: training.Laps, taken: int, make_act: object) -> bool:
        steps.append(taken)
        return call(laps, taken, make_act)  # type: ignore[arg-type]

    def recording(trainer: Trainer, spent: float) -> Iteration:
        steps.append(-trainer.steps_per_iteration)
        return iterate(trainer, spent)

    def training_both(setting: Setting, timed: TimedTraining) -> object:
        given.append(setting)
        return train(setting, timed)

    monkeypatch.setattr(sb3_baselines, "train_recurrent_ppo", training_both)
    monkeypatch.setattr(training.Laps, "__call__", counting)
    monkeypatch.setattr(Trainer, "iterate", recording)
    outcome = training.ours_beside_recurrent_ppo(FAMILY, CONFIG)
    assert steps == [24, -24, 48, -24, 72, -24, 96, -24]
    assert [(each.num_envs, each.episodes, each.horizon) for each in given] == [(4, 2, 3)]
    assert len(outcome.ratios) == 2
    assert all(ratio > 0 for ratio in outcome.ratios)


def test_laps_leave_out_what_is_done_between_them() -> None:
    """A clock that is at 0, at 2 after an iteration, at 12 when ours has trained, and at 15 after the second."""
    times = [0.0, 2.0, 2.0, 12.0, 12.0, 15.0]
    now = [0]
    clock: Callable[[], float] = lambda: times[now[0]]  # noqa: E731
    laps = training.Laps(None, 0, 1e9, 0, clock=clock, meanwhile=lambda: now.__setitem__(0, 3), most=2)  # type: ignore[arg-type]
    laps.begin()
    now[0] = 1
    assert laps(1, lambda env: None)  # type: ignore[arg-type, return-value]
    now[0] = 5
    assert not laps(2, lambda env: None)  # type: ignore[arg-type, return-value]
    assert laps.seconds_of_each == pytest.approx([2.0, 3.0])


@pytest.mark.parametrize(
    ("ours", "theirs", "ratio", "notes"),
    [
        ((True, 30.0, 260.0), (True, 60.0, 251.0), 0.5, 0),
        ((True, 30.0, 260.0), (False, 90.0, 40.0), 1 / 3, 1),
        ((False, 90.0, 9.0), (True, 60.0, 251.0), None, 1),
    ],
    ids=["both", "theirs is given up", "ours is given up"],
)
def test_times_to_a_return_are_compared(
    ours: tuple[bool, float, float],
    theirs: tuple[bool, float, float],
    ratio: float | None,
    notes: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watches = iter([ours, theirs])

    def time_to_return(*arguments: object, goal: float) -> learning.UntilReturn:
        reached, taken, best = next(watches)
        assert goal == 125.0  # 250 in 100 steps, and episodes of 50
        return learning.UntilReturn(None, 0, 1.0, 0, goal=goal, reached=reached, taken=taken, best=best)  # type: ignore[arg-type]

    monkeypatch.setattr(learning, "time_to_return", time_to_return)
    outcome = learning.overlapped_beside_plain(FAMILY, BenchConfig(horizon=50), goal=250.0)
    assert outcome.ratio == (None if ratio is None else pytest.approx(ratio))
    assert len(outcome.notes) == notes


@pytest.mark.parametrize(
    "train", [learning.train_plain, learning.train_ours, learning.train_overlapped, learning.train_recurrent_ppo]
)
def test_each_trains_until_it_is_there(train: learning.Train) -> None:
    """A return that any policy has: after one iteration."""
    watch = learning.time_to_return(FAMILY, CONFIG, train, goal=-1e6)
    assert watch.reached
    assert np.isfinite(watch.best)
    assert 0 < watch.taken < 60 * CONFIG.minutes


def test_training_is_watched_until_its_return_or_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 10 s, iterations of 3 s each; looks of 100 s count for nothing, and tell 5, 40, 20 and 30 in episode 2."""
    now, told = [0.0], iter([5.0, 40.0, 20.0, 30.0])

    def look(*arguments: object) -> np.ndarray:
        now[0] += 100.0
        return np.array([[99.0, next(told)]])

    monkeypatch.setattr(learning, "returns_on", look)
    monkeypatch.setattr(TimedTraining, "look", lambda *_: None)  # at the end of the budget, for comparisons
    watch = learning.UntilReturn(None, 0, 10.0, 0, clock=lambda: now[0], goal=50.0)  # type: ignore[arg-type]
    watch.begin()
    found = []
    for _ in range(4):
        now[0] += 3.0
        found.append((watch(1, lambda env: None), watch.taken))  # type: ignore[arg-type, return-value]
    assert found == [(True, 3.0), (True, 6.0), (True, 9.0), (False, 12.0)]
    assert (watch.best, watch.reached) == (40.0, False)


@pytest.mark.slow  # it begins three processes, each of which imports PyTorch
def test_a_trial_among_many_costs_time_and_memory() -> None:
    config = BenchConfig(num_envs=2, episodes=1, horizon=8, rounds=3)
    outcome = scale.many_beside_few(FAMILY, config)
    assert outcome.unit == "ns per env step"
    assert len(outcome.ratios) == 3
    assert min(outcome.ours, outcome.theirs) > 0
    assert "from 16 to 128 trials" in outcome.notes[0]


def test_memory_is_of_a_process_that_plays() -> None:
    """PyTorch and MuJoCo alone take more than 50 MB."""
    resident = scale.resident_while_playing("InvertedPendulumBody", None, 3)
    assert resident > 50e6


def test_memory_of_a_trial_is_what_each_adds(monkeypatch: pytest.MonkeyPatch) -> None:
    """1,000 bytes, and 100 for each of 16 trials and 50 for each beyond: 1,000 + 16 * 100 + 112 * 50 of 128."""
    taken = {2: 1200, 16: 2600, 128: 8200}
    monkeypatch.setattr(scale, "resident_bytes", lambda family, config, count: taken[count])
    monkeypatch.setattr(scale, "step_costs", lambda family, config: ([2.0, 4.0], [3.0, 4.0]))
    outcome = scale.many_beside_few(FAMILY, BenchConfig(num_envs=2))
    assert outcome.details == {"bytes_per_trial": 50.0, "bytes_per_trial_among_fewer": 100.0}
    assert outcome.notes == ("memory of a trial: 50 bytes from 16 to 128 trials, 100 from 2 to 16",)
    assert (outcome.ours, outcome.theirs, outcome.ratios) == (3.5, 3.0, (1.5, 1.0))


def test_costs_are_of_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials of 2 steps that always take 4 s: among 2 trials an env step takes 1 s, among 128 of them 1 / 64 s."""
    monkeypatch.setattr(scale, "trial_seconds", lambda env, actions: 4.0)
    few, many = scale.step_costs(FAMILY, BenchConfig(num_envs=2, episodes=1, horizon=8, rounds=3))
    assert few == [1e9] * 3
    assert many == [1e9 / 64] * 3


def test_shares_are_of_all_that_iterations_took() -> None:
    """Of 4 + 6 s: physics 1 + 2, policy 0.5 + 0.5, update 2 + 3."""
    trainer = training.trainer_of(FAMILY, CONFIG)
    measured = trainer.iterate(0.0)
    trainer.env.close()
    values = {**vars(measured)}
    first, second = (
        Iteration(**{**values, "seconds": whole, "env_seconds": env, "policy_seconds": 0.5, "update_seconds": update})
        for whole, env, update in ((4.0, 1.0, 2.0), (6.0, 2.0, 3.0))
    )
    assert shares_of([first, second]) == {"physics": 0.3, "policy": 0.1, "update": 0.5}


def test_what_trains_is_timed_on_the_threads_of_the_machine() -> None:
    before = torch.get_num_threads()
    outcome = MEASURES["overlap"].run(FAMILY, CONFIG)
    assert outcome.ratio == median(outcome.ratios)
    assert torch.get_num_threads() == before
