"""PyTorch is left with the threads it had, also by work that fails."""

from collections.abc import Callable, Iterator

import pytest
import torch
from rich.console import Console

from limbshift.agents.recurrent import PolicySpec, RecurrentActorCritic
from limbshift.envs.catalogue import make_family
from limbshift.envs.trial_env import TrialEnv
from limbshift.experiments.benchmarks import physics
from limbshift.experiments.benchmarks.config import BenchConfig
from limbshift.experiments.configs import RegressionConfig
from limbshift.experiments.examples import regression_command
from limbshift.meta.rl2.config import PPOConfig
from limbshift.meta.rl2.trainer import Trainer
from limbshift.meta.threads import torch_threads

THREADS = 3


@pytest.fixture(autouse=True)
def _three_threads() -> Iterator[None]:
    with torch_threads(THREADS):
        yield


def fail(*arguments: object) -> None:
    assert torch.get_num_threads() == 1
    raise KeyboardInterrupt


def iterate(monkeypatch: pytest.MonkeyPatch) -> None:
    env = TrialEnv(make_family("HalfCheetahDir"), 2, 2, horizon=5, observe_task=True)
    policy = RecurrentActorCritic(PolicySpec(env.task_env.obs_dim, env.task_env.action_dim, hidden_size=4))
    trainer = Trainer(env, policy, PPOConfig(), gamma=0.9, seed=0)
    monkeypatch.setattr(env, "step", fail)
    trainer.iterate(0.0)


def measure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(physics, "bare_seconds", fail)
    physics.trials_beside_bare_physics(make_family("HalfCheetahDir"), BenchConfig(num_envs=2, horizon=5))


def regress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regression_command, "learn", fail)
    regression_command.run_regression(RegressionConfig(), Console(quiet=True))


@pytest.mark.parametrize("work", [iterate, measure, regress])
def test_threads_are_restored_after_a_failure(
    work: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KeyboardInterrupt):
        work(monkeypatch)
    assert torch.get_num_threads() == THREADS
