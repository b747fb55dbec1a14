"""A student that learns from a teacher which is shown the task."""

import math
import re
from functools import partial
from typing import Any

import pytest
import torch

from limbshift.agents.actor import PolicyActor
from limbshift.agents.gaussian import Gaussian
from limbshift.agents.recurrent import PolicySpec, RecurrentActorCritic
from limbshift.envs.errors import InputError
from limbshift.envs.physics.engine import Engine
from limbshift.envs.trial_env import TrialEnv
from limbshift.meta.distillation.distiller import Distiller, divergence
from limbshift.meta.evaluation.trials import play
from limbshift.meta.rl2.build import make_trainer
from limbshift.meta.rl2.config import PPOConfig
from limbshift.meta.rl2.ppo import PPO
from limbshift.meta.rl2.trainer import Trainer
from tests.envs.sled import Sledding

PPO_CONFIG = PPOConfig(learning_rate=5e-3, num_minibatches=4)


def test_the_divergence_is_that_of_two_normal_distributions() -> None:
    """ln(2 / 1) + (1 + 3 squared) / (2 * 2 squared) - 1 / 2, of standard deviations 1 and 2 whose means are 3 apart."""
    teacher, student = (
        Gaussian(torch.tensor([3.0]), torch.zeros(1)),
        Gaussian(torch.zeros(1), torch.tensor([2.0]).log()),
    )
    assert divergence(teacher, student).item() == pytest.approx(math.log(2) + 10 / 8 - 0.5)
    torch_own = torch.distributions.kl_divergence(torch.distributions.Normal(3, 1), torch.distributions.Normal(0, 2))
    assert divergence(teacher, student).item() == pytest.approx(torch_own.item())


def trained(seed: int, iterations: int, teacher: RecurrentActorCritic | None = None) -> Trainer:
    """Of sledding: without a teacher the oracle, with one its student."""
    trainer = make_trainer(
        Sledding("free"),
        num_envs=32,
        episodes=2,
        horizon=10,
        seed=seed,
        hidden_size=16,
        observe_task=teacher is None,
        ppo=PPO_CONFIG,
        engine=Engine(num_threads=1),
        learner=partial(Distiller, teacher=teacher) if teacher else PPO,
    )
    for _ in range(iterations):
        trainer.iterate(0.0)
    return trainer


def heldout_returns(trainer: Trainer) -> list[float]:
    """By episode."""
    shown = trainer.policy.spec.task_dim > 0
    env = TrialEnv(
        Sledding("free"), 64, 2, horizon=10, split="heldout", observe_task=shown, engine=Engine(num_threads=1)
    )
    returns: list[float] = play(env, PolicyActor(trainer.policy, 64)).reward.sum(axis=-1).mean(axis=0).tolist()
    env.close()
    return returns


def test_a_student_comes_to_do_what_its_teacher_is_shown() -> None:
    oracle = trained(0, 30)
    student = trained(1, 30, oracle.policy)
    told = heldout_returns(oracle)[1]
    first, second = heldout_returns(student)
    assert second > 0.8 * told
    assert first < second


def test_the_trial_stays_what_the_student_did() -> None:
    """What a teacher would have done is learnt from alone; a dump of the trial holds what was done."""
    teacher = trained(0, 0)
    torch.nn.init.constant_(teacher.policy.action_head.bias, 7.0)
    student = trained(0, 0, teacher.policy)
    student.iterate(0.0)
    imitation = student.iterate(0.0).losses["policy"]
    assert student.storage.action.abs().max() < 6
    assert imitation > 10  # at first half the square of seven, in standard deviations of exp(-0.5): 67


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"task_dim": 0}, "teacher does not see its task, expected one that was trained with --observe-task"),
        ({"obs_dim": 3}, r"teacher has observations and actions of sizes (3, 1), expected (2, 1) as the student"),
    ],
)
def test_a_teacher_must_see_the_task_and_move_the_same_robot(spec: dict[str, Any], message: str) -> None:
    sizes: dict[str, Any] = {"obs_dim": 2, "action_dim": 1, "task_dim": 1, "hidden_size": 4}
    teacher = RecurrentActorCritic(PolicySpec(**{**sizes, **spec}))
    student = RecurrentActorCritic(PolicySpec(obs_dim=2, action_dim=1, hidden_size=4))
    with pytest.raises(InputError, match=re.escape(message)):
        Distiller(student, PPOConfig(), torch.Generator(), teacher=teacher, task_dim=1)
