"""Learning from a teacher that is shown the task: what it would have done on the student's own trials."""

import copy
from typing import Any

import torch
from torch import Tensor

from limbshift.agents.gaussian import Gaussian
from limbshift.agents.recurrent import RecurrentActorCritic
from limbshift.envs.errors import InputError
from limbshift.meta.rl2.config import PPOConfig
from limbshift.meta.rl2.experience.storage import RolloutStorage
from limbshift.meta.rl2.minibatches import Losses, Minibatch
from limbshift.meta.rl2.ppo import PPO, Update


def divergence(teacher: Gaussian, student: Gaussian) -> Tensor:
    """Returns the Kullback-Leibler divergence of the student from the teacher, (...,), in nats.

    >>> means = torch.tensor([0.0]), torch.tensor([1.0])
    >>> teacher, student = (Gaussian(mean, torch.zeros(1)) for mean in means)
    >>> divergence(teacher, student).item()  # half the square of the distance, in standard deviations
    0.5
    """
    log_ratio = student.log_std - teacher.log_std
    distance = (teacher.mean - student.mean) * (-student.log_std).exp()
    each: Tensor = log_ratio + 0.5 * ((-2 * log_ratio).exp() + distance.square() - 1)
    return each.sum(dim=-1)


class Distiller(PPO):
    """The student, its optimiser, and the update of an iteration: DAgger on trials that the student plays.

    The teacher is a policy that sees the task. The student does not: its memory must tell what the teacher was shown.
    Its values are learnt beside, as PPO learns them, and the tasks are told by its memory as they are in PPO.

    Sources: Ross et al., "A reduction of imitation learning and structured prediction to no-regret online learning"
    (2011); Kumar et al., "RMA: rapid motor adaptation for legged robots" (2021), phase 2.

    >>> from limbshift.agents.recurrent import PolicySpec
    >>> teacher = RecurrentActorCritic(PolicySpec(obs_dim=3, action_dim=2, task_dim=1, hidden_size=8))
    >>> student = RecurrentActorCritic(PolicySpec(obs_dim=3, action_dim=2, hidden_size=8))
    >>> distiller = Distiller(student, PPOConfig(), torch.Generator(), teacher=teacher, task_dim=1)
    """

    def __init__(
        self,
        policy: RecurrentActorCritic,
        config: PPOConfig,
        generator: torch.Generator,
        *,
        teacher: RecurrentActorCritic,
        **options: Any,
    ) -> None:
        """teacher: on the policy's device. options: as PPO takes them.

        Raises InputError for a teacher of another robot, or one that sees no task.
        """
        check_teacher(teacher, policy)
        super().__init__(policy, config, generator, **options)
        self.teacher = teacher

    def update(self, storage: RolloutStorage, spent: float) -> Update:
        """Learns from an iteration's trials, in which the teacher says what it would have done."""
        told = copy.copy(storage)
        with torch.no_grad():
            features, _ = self.teacher.unroll(storage.shown[:-1], ())
            told.action = self.teacher.actions(features).mean
        return super().update(told, spent)

    def loss(self, batch: Minibatch, *, task_coef: float) -> Losses:
        """Returns the losses of a minibatch, whose actions are the teacher's."""
        features = self.unroll(batch)
        actions, value = self.policy.actions(features), self.policy.values(features)
        imitation = divergence(Gaussian(batch.action, self.teacher.log_std.detach()), actions).mean()
        value_loss = 0.5 * (value - batch.value_target).square().mean()
        task_loss = self.task_head.loss(features, batch.task)
        total = imitation + self.config.vf_coef * value_loss + task_coef * task_loss
        none = torch.zeros_like(total)
        return Losses(total, imitation, value_loss, actions.entropy(), none, none, task_loss)


def check_shown(teacher: RecurrentActorCritic) -> None:
    """Raises InputError unless the teacher sees its task."""
    if not teacher.spec.task_dim:
        raise InputError("teacher does not see its task, expected one that was trained with --observe-task")


def check_teacher(teacher: RecurrentActorCritic, student: RecurrentActorCritic) -> None:
    """Raises InputError unless the teacher sees its task, and both move the same robot."""
    check_shown(teacher)
    sizes, own = ((spec.obs_dim, spec.action_dim) for spec in (teacher.spec, student.spec))
    if sizes != own:
        raise InputError(f"teacher has observations and actions of sizes {sizes}, expected {own} as the student")
