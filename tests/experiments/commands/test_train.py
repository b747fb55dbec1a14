"""Learning is checked by learning, at the size at which people train."""

from pathlib import Path

import pytest
import torch

from limbshift.envs.catalogue import make_family
from limbshift.experiments.commands.evaluate import evaluate
from limbshift.experiments.commands.train import train
from limbshift.experiments.configs import TrainConfig
from limbshift.experiments.runs.trainers import resolved, trainer_of
from limbshift.meta.rl2.config import PPOConfig

STEPS = 900_000
"""90 seconds at 10,000 env steps a second."""


def heldout_return(run_dir: Path, family: str, steps: int, no_memory: bool = False, seed: int = 0) -> float:
    """Mean return per episode, of mean actions, after a training of trials of 2 x 100 steps."""
    train(
        family,
        steps=steps,
        no_memory=no_memory,
        seed=seed,
        run_dir=run_dir,
        wandb="disabled",
        episodes=2,
        horizon=100,
    )
    result = evaluate(run_dir)
    return sum(result.mean) / len(result.mean)


def test_exploration_starts_as_the_family_asks_or_as_one_is_told() -> None:
    for family, asked, expected in (("HalfCheetahDir", None, -0.5), ("AntDir", None, -1.5), ("AntDir", -2.0, -2.0)):
        config = TrainConfig(family, num_envs=1, initial_log_std=asked)
        trainer = trainer_of(config, make_family(family), torch.device("cpu"))
        assert trainer.policy.log_std.tolist() == pytest.approx([expected] * trainer.policy.spec.action_dim)


def test_the_memory_tells_the_task_as_the_family_asks_or_as_one_is_told() -> None:
    for name, asked, expected in (("AntDir", None, 0.25), ("AntDir", 0.1, 0.1), ("Walker2dRandParams", None, 0.0)):
        config, family = TrainConfig(name, num_envs=1, ppo=PPOConfig(task_coef=asked)), make_family(name)
        ppo = trainer_of(config, family, torch.device("cpu")).ppo
        assert ppo.config.task_coef == resolved(config, family, torch.device("cpu")).ppo.task_coef == expected
        assert (ppo.known_task_head is None) == (expected == 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_memory_finds_the_direction(seed: int, tmp_path: Path) -> None:
    assert heldout_return(tmp_path / "run", "HalfCheetahDir", STEPS, seed=seed) > 200


@pytest.mark.slow
def test_without_memory_the_direction_is_not_found(tmp_path: Path) -> None:
    assert heldout_return(tmp_path / "run", "HalfCheetahDir", STEPS, no_memory=True) < 70


@pytest.mark.slow
def test_memory_runs_on_limbs_never_met(tmp_path: Path) -> None:
    assert heldout_return(tmp_path / "run", "HalfCheetahLimbsDir", 3_000_000) > 300
