"""PPO on trials, or on pieces of them."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from limbshift.agents.heads import GuessHead, TaskHead
from limbshift.agents.recurrent import RecurrentActorCritic
from limbshift.meta.ranks.alone import ALONE, Ranks
from limbshift.meta.rl2.config import PPOConfig
from limbshift.meta.rl2.experience.storage import RolloutStorage
from limbshift.meta.rl2.gradients import MIN_PIECES, Gradients
from limbshift.meta.rl2.minibatches import Losses, Minibatch, minibatches

TRANSFORMER_RATE = 0.4
"""A transformer's share of the learning rates: eight matrices in a row change what comes out more than an LSTM's do."""

BELIEF_COEF = 0.25
"""Weight of a belief network's loss, at all times."""
BELIEF_EPOCHS = 1
"""Passes of a belief network over the trials of an iteration: from labels fewer and larger steps do."""
BELIEF_RATE = 6.0
"""What multiplies a belief network's learning rates."""


class Update(NamedTuple):
    """Means over an update's minibatches, unless said otherwise: scalars on the policy's device."""

    losses: Losses
    """Of telling the task, a belief network's where there is one."""
    grad_norm: Tensor
    """Of all parameters' gradients, before it is clipped."""
    skipped: Tensor
    """How many minibatches were passed over, since their gradients were not finite."""


def clipped_surrogate(log_ratio: Tensor, advantage: Tensor, clip_coef: float) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the policy's loss, a scalar; the probability ratios; and the approximate KL, a scalar.

    The KL divergence, from the policy that acted to this one, is estimated by the mean of (ratio - 1) - ln(ratio).

    Source: Schulman et al., "Proximal policy optimization algorithms" (2017), equation 7.

    >>> advantage = torch.tensor([3.0, -3.0])
    >>> loss, ratio, approx_kl = clipped_surrogate(torch.tensor(2.0).log().expand(2), advantage, clip_coef=0.2)
    >>> round(loss.item(), 4)  # ratio 2, clipped to 1.2 where that gains: -(1.2 * 3 - 2 * 3) / 2
    1.2
    """
    ratio = log_ratio.exp()
    clipped = ratio.clamp(1 - clip_coef, 1 + clip_coef)
    loss = -torch.minimum(ratio * advantage, clipped * advantage).mean()
    return loss, ratio, ((ratio - 1) - log_ratio).mean()


def linear_schedule(start: float, end: float, spent: float) -> float:
    """Returns the value on the straight line from start to end, by the spent share of the budget; then it stays.

    A share that has been reached is not given back when a resumed run's budget is raised: the trainer hands on the
    largest that it has seen, so that what has been annealed stays annealed until the larger budget catches up.

    >>> linear_schedule(1.0, 0.0, 0.25), linear_schedule(1.0, 0.0, 3.0)
    (0.75, 0.0)
    """
    return start + min(spent, 1.0) * (end - start)


def set_learning_rates(optimizer: torch.optim.Optimizer, learning_rates: Sequence[float]) -> None:
    """Sets the step sizes of the optimiser's groups of parameters."""
    for group, learning_rate in zip(optimizer.param_groups, learning_rates, strict=True):
        group["lr"] = learning_rate


class PPO:
    """The policy, its optimiser, and the update of an iteration.

    >>> from limbshift.agents.recurrent import PolicySpec
    >>> policy = RecurrentActorCritic(PolicySpec(obs_dim=3, action_dim=2, hidden_size=8))
    >>> ppo = PPO(policy, PPOConfig(), torch.Generator(), task_dim=1)
    >>> ppo.optimizer.param_groups[0]["lr"]
    0.0007
    """

    def __init__(
        self,
        policy: RecurrentActorCritic,
        config: PPOConfig,
        generator: torch.Generator,
        *,
        task_dim: int,
        precision: torch.dtype = torch.float32,
        num_threads: int = 1,
        ranks: Ranks = ALONE,
    ) -> None:
        """config: where it has no weight of the auxiliary loss, there is no such loss.

        precision: that encoder and recurrent cell compute in while learning; parameters are float32.

        num_threads: among which each minibatch, or of several ranks each one's share of it, is divided on a CPU.
        """
        device = policy.log_std.device
        self.policy = policy
        self.task_head = TaskHead(policy.spec.hidden_size, task_dim).to(device)
        """Of the policy's own memory."""
        self.config = config
        self.generator = generator
        """On the policy's device: the order of pieces."""
        self.precision = precision
        acting = [each for name, each in policy.named_parameters() if not name.startswith("belief.")]
        acting += self.task_head.parameters()
        believing = [] if policy.belief is None else [*policy.belief.parameters()]
        self.ranks = ranks
        threads = num_threads if device.type == "cpu" else 1
        # A transformer computes all steps of a trial at once: one trial has rows enough.
        least = 1 if policy.spec.whole_trials else MIN_PIECES
        self.gradients = Gradients(acting, threads, ranks, min_pieces=least)
        self.belief_gradients = Gradients(believing, threads, ranks, min_pieces=least)
        """Of a belief network, which learns apart, from its own loss alone."""
        # A fused step reads nothing back from a GPU, and can be told to skip; other devices than these two have none.
        self._fused = device.type in ("cpu", "cuda")
        self._rates = [TRANSFORMER_RATE if policy.spec.cell == "transformer" else 1.0]
        self._rates += [BELIEF_RATE] if believing else []
        groups = [
            {"params": params, "lr": rate * config.learning_rate}
            for params, rate in zip((acting, believing), self._rates, strict=False)
        ]
        self.optimizer = torch.optim.Adam(groups, eps=1e-5, fused=self._fused)

    @property
    def learning_rate(self) -> float:
        """Adam's step size in the last update; a belief network's is as many times that as it always is."""
        return float(self.optimizer.param_groups[0]["lr"])

    @property
    def known_task_head(self) -> GuessHead | None:
        """The head that tells the task, where one is trained to: a belief network's, or the policy's."""
        if self.policy.belief is not None:
            return self.policy.belief.head
        return self.task_head if self.config.task_coef and len(self.task_head.bias) else None

    def update(self, storage: RolloutStorage, spent: float) -> Update:
        """Learns from an iteration's trials, whose advantages are estimated, at the spent share of the budget."""
        config = self.config
        rate = linear_schedule(config.learning_rate, config.final_learning_rate, spent)
        set_learning_rates(self.optimizer, [each * rate for each in self._rates])
        task_coef = linear_schedule(config.task_coef or 0.0, config.final_task_coef, spent)
        loss = partial(self.loss, task_coef=task_coef)
        history, told, norms = [], [], []
        for epoch in range(self.config.update_epochs):
            for batch in minibatches(storage, config.num_minibatches, self.generator, ranks=self.ranks):
                self.optimizer.zero_grad()  # those of a belief network that sits out move nothing
                history.append(torch.stack(self.gradients.fill(loss, batch)))
                learning = [self.gradients]
                if self.policy.belief is not None and epoch < BELIEF_EPOCHS:
                    told.append(self.belief_gradients.fill(self.belief_loss, batch)[1])
                    learning.append(self.belief_gradients)
                clipped = [nn.utils.clip_grad_norm_(each.parameters, config.max_grad_norm) for each in learning]
                norms.append(torch.stack(clipped).norm())
                self._step_if_finite(norms[-1])
        losses, grad_norm = Losses(*torch.stack(history).mean(dim=0)), torch.stack(norms)
        if told:
            losses = losses._replace(task=torch.stack(told).mean())
        skipped = (~grad_norm.isfinite()).sum()
        return Update(losses, grad_norm.mean(), skipped)

    def loss(self, batch: Minibatch, *, task_coef: float) -> Losses:
        """Returns the losses of a minibatch: PPO's, and that of telling the tasks, which counts so much.

        The policy's memory must tell the task even where a belief network guesses for it: so what it is told comes to
        matter for its actions.

        Source: Schulman et al., "Proximal policy optimization algorithms" (2017), equation 9.
        """
        config = self.config
        features = self.unroll(batch)
        actions, value = self.policy.actions(features), self.policy.values(features)
        log_ratio = actions.log_prob(batch.action) - batch.log_prob
        policy_loss, ratio, approx_kl = clipped_surrogate(log_ratio, batch.advantage, config.clip_coef)
        value_loss = 0.5 * (value - batch.value_target).square().mean()
        entropy = actions.entropy()
        task_loss = self.task_head.loss(features, batch.task)
        total = policy_loss + config.vf_coef * value_loss - config.ent_coef * entropy + task_coef * task_loss
        clip_fraction = ((ratio - 1).abs() > config.clip_coef).float().mean()
        return Losses(total, policy_loss, value_loss, entropy, approx_kl, clip_fraction, task_loss)

    def belief_loss(self, batch: Minibatch) -> tuple[Tensor, Tensor]:
        """Returns by how much a belief network misses a minibatch's tasks: as it is weighed, and as it is."""
        with self._lowered(batch):
            missed = self.policy.missed(batch.obs, batch.state, batch.task)
        return BELIEF_COEF * missed, missed

    def unroll(self, batch: Minibatch) -> Tensor:
        """Returns what action and value are read from, unrolled from what was remembered, in float32: (T, n, size)."""
        with self._lowered(batch):
            features = self.policy.acting(batch.obs, batch.state, batch.believed)
        return features.float()

    def _lowered(self, batch: Minibatch) -> AbstractContextManager[None]:
        """Returns the context in which networks compute in the precision that is asked for."""
        lower = self.precision != torch.float32
        return torch.autocast(batch.obs.device.type, self.precision) if lower else nullcontext()

    def _step_if_finite(self, grad_norm: Tensor) -> None:
        """Takes the optimiser's step; where the gradients are not finite, nothing changes. The host does not wait."""
        if self._fused:  # by this attribute the step is told so, as `torch.amp.GradScaler` tells it
            self.optimizer.found_inf = (~grad_norm.isfinite()).to(grad_norm.dtype)  # type: ignore[attr-defined]
        self.optimizer.step()
