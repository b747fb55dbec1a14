"""Meta-training, iteration by iteration: RL² with PPO."""

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch

from limbshift.agents.recurrent import RecurrentActorCritic
from limbshift.envs.errors import InputError, RunFailure
from limbshift.envs.trial_env import TrialEnv
from limbshift.meta.evaluation.returns import up_to_first_fall
from limbshift.meta.ranks.alone import ALONE, Ranks
from limbshift.meta.ranks.errors import RankError
from limbshift.meta.ranks.reading import finite, read_together
from limbshift.meta.rl2.advantages import RewardScaler, explained_variance
from limbshift.meta.rl2.config import PPOConfig, with_own
from limbshift.meta.rl2.experience.collector import make_experience
from limbshift.meta.rl2.experience.storage import RolloutStorage
from limbshift.meta.rl2.iteration import Iteration, Progress
from limbshift.meta.rl2.minibatches import Losses
from limbshift.meta.rl2.ppo import PPO, Update
from limbshift.meta.rl2.stopwatch import Stopwatch
from limbshift.meta.rl2.trainer_state import (
    check_experience,
    check_generator,
    check_like,
    check_not_negative,
    check_optimizer,
    check_rank_states,
    check_task_index,
    set_generator,
)
from limbshift.meta.seeds import rank_seed
from limbshift.meta.threads import torch_threads

MAX_SKIPS = 3
"""After so many iterations in a row that passed over minibatches, training stops."""


class GradientError(RunFailure):
    """Gradients that are not finite, again and again: the policy no longer learns."""

    def __init__(self, message: str, batch: dict[str, Any]) -> None:
        """batch: what `Trainer.learn_again` takes."""
        super().__init__(message)
        self.batch = batch


class Trainer:
    """Collects whole trials, estimates advantages, improves the policy.

    Everything that a later session needs to go on as if nothing had happened is in `state_dict`; of several ranks, in
    that of rank 0 with the `rank_state` of the others.
    """

    def __init__(
        self,
        env: TrialEnv,
        policy: RecurrentActorCritic,
        config: PPOConfig,
        *,
        gamma: float,
        seed: int,
        overlap: bool = False,
        precision: torch.dtype = torch.float32,
        num_threads: int = 1,
        ranks: Ranks = ALONE,
        learner: Callable[..., PPO] = PPO,
    ) -> None:
        """config: what it leaves to the family is that of the env's family.

        overlap: whether the next trials are played while the last are learnt from, by the policy before that.

        precision: that encoder and recurrent cell compute in while learning. num_threads: of learning. ranks: which
        learn together, each from its own env's trials. learner: what makes the learner, of PPO's arguments.
        """
        self.ranks = ranks
        self.env = env
        self.policy = policy
        self.gamma = gamma
        self.gae_lambda = config.gae_lambda
        device = policy.log_std.device
        self.generator = torch.Generator(device).manual_seed(rank_seed(seed, ranks.rank))
        self.experience = make_experience(
            env, policy, self.generator, sequence_length=config.sequence_length, overlap=overlap
        )
        layout = env.layout.task
        self.ppo = learner(
            policy,
            with_own(config, env.task_env.family),
            self.generator,
            task_dim=layout.stop - layout.start,
            precision=precision,
            num_threads=num_threads,
            ranks=ranks,
        )
        self.scaler = RewardScaler(gamma, device, ranks)
        self.progress = Progress()
        self.annealed = 0.0
        """The largest share of a budget that was spent: the schedules' position, which never goes back."""
        self._stopwatch = Stopwatch(device)
        """Of learning."""
        self.divergence: dict[str, Any] = {}
        """The `task_index` of the last iteration's first trial that diverged, and its `actions` up to there."""
        self._was_shared = ranks.size > 1
        """Whether several ranks have learnt together, now or before."""
        self._skips = 0
        """Iterations in a row, up to the last, that passed over minibatches."""

    @property
    def steps_per_iteration(self) -> int:
        """Env steps of the trials that are learnt from at once, by all ranks."""
        return self.ranks.size * self.env.num_envs * self.env.steps_per_trial

    def iterate(self, spent: float) -> Iteration:
        """Runs one iteration; `spent` is the share of the budget that is gone."""
        start = time.perf_counter()
        self.annealed = max(self.annealed, spent)
        tells = self.annealed < (self.ppo.config.told_share or 0.0)
        self.storage = storage = self.experience.take(tells=tells)
        # Where two updates were at fault the third is kept with what goes before it, so that it can be repeated.
        before = copy.deepcopy(self.state_dict()) if self._skips == MAX_SKIPS - 1 else None
        with self.experience.ahead(tells=tells) if self.progress.iterations else nullcontext(), torch_threads(1):
            self._stopwatch.mark()
            update = self.learn(storage, self.annealed)
            self._stopwatch.mark()
        iteration = self._read(storage, update, start)
        self._count_skips(iteration, before)
        steps, seconds, iterations = self.progress
        self.progress = Progress(steps + self.steps_per_iteration, seconds + iteration.seconds, iterations + 1)
        self.divergence = self._first_divergence() if iteration.divergences else {}
        self.env.task_env.physics.check()
        return iteration

    def learn_again(self, batch: dict[str, Any]) -> Update | None:
        """Repeats the update that a GradientError was raised for, bit for bit on the same machine.

        Of several ranks, it is the update by this one's trials alone.
        """
        self._take(batch["before"])
        storage = self.experience.collector.storages[0]
        storage.take(batch["experience"])
        return self.learn(storage, self.annealed)

    def learn(self, storage: RolloutStorage, spent: float) -> Update | None:
        """Improves the policy by these trials; the first iteration only fills the normalisers."""
        self.experience.refresh(storage)
        paid = storage.reward + storage.guidance
        self.scaler.update(paid, storage.terminated)
        storage.estimate_advantages(paid * self.scaler.scale, gamma=self.gamma, gae_lambda=self.gae_lambda)
        update = self.ppo.update(storage, spent) if self.progress.iterations else None
        self.policy.normaliser.update(storage.obs[:-1], self.ranks.moments)
        return update

    def _read(self, storage: RolloutStorage, update: Update | None, start: float) -> Iteration:
        """Reads what is told of an iteration: the one place where the host waits for the device."""
        slots = (self.env.episodes_per_trial, self.env.horizon, self.env.num_envs)
        reward, terminated = storage.reward.view(slots), storage.terminated.view(slots)
        empty = reward.new_empty(0)
        figures = {
            "sound": reward.isfinite().all(),
            "divergences": storage.diverged.sum(),
            "skipped": update.skipped if update else reward.new_zeros(()),
            "losses": torch.stack(update.losses) if update else empty,
            "grad_norm": update.grad_norm if update else empty,
            "explained_variance": explained_variance(storage.value[:-1], storage.value_target),
            "reward_scale": self.scaler.scale,
            "episode_returns": up_to_first_fall(reward, terminated).sum(dim=1).mean(dim=-1),
            "returns_with_restarts": reward.sum(dim=1).mean(dim=-1),
            "terminations": terminated.sum() / (self.env.num_envs * self.env.episodes_per_trial),
            "action_std": self.policy.log_std.detach().exp().mean(),
        }
        read = read_together(figures, self.ranks)
        if read["sound"][0] != 1:
            self.env.task_env.check_rewards(storage.reward)
            raise RankError("a reward of another rank is no finite number")
        laps = self.experience.collector.stopwatch.laps()
        env_seconds, policy_seconds = sum(laps[1::2]), sum(laps[::2])
        return Iteration(
            losses=dict(zip(Losses._fields, read["losses"], strict=False)),
            learning_rate=self.ppo.learning_rate if update else None,
            grad_norm=finite(read["grad_norm"]),
            explained_variance=finite(read["explained_variance"]),
            reward_scale=read["reward_scale"][0],
            episode_returns=read["episode_returns"],
            returns_with_restarts=read["returns_with_restarts"],
            terminations=read["terminations"][0],
            divergences=round(self.ranks.size * read["divergences"][0]),
            skipped=round(read["skipped"][0]),
            action_std=read["action_std"][0],
            env_seconds=env_seconds,
            policy_seconds=policy_seconds,
            update_seconds=sum(self._stopwatch.laps()),
            seconds=time.perf_counter() - start,
        )

    def state_dict(self, others: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
        """Returns tensors, numbers and containers of them, as `torch.load(weights_only=True)` reads them.

        others: the `rank_state` of ranks 1, 2, and so on.
        """
        state = {
            "policy": self.policy.state_dict(),
            "task_head": self.ppo.task_head.state_dict(),
            "optimizer": self.ppo.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "scaler": {"count": self.scaler.count, "moments": self.scaler.moments},
            "task_index": self.experience.task_index,
            "experience": self.experience.state_dict(),
            "progress": tuple(self.progress),
            "annealed": self.annealed,
        }
        return {**state, "ranks": list(others)} if self._was_shared else state

    def rank_state(self) -> dict[str, Any]:
        """Returns what of `state_dict` differs from rank to rank: generators. Tasks follow from those of rank 0."""
        experience = self.experience.state_dict()
        collector = {"collector": experience["generator"]} if experience else {}
        return {"generator": self.generator.get_state(), **collector}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on where `state_dict` was taken; raises InputError for a state that this trainer cannot go on from.

        Where the number of ranks is another than then, all generators begin anew, by the seed, the rank and the env
        steps, and tasks go on where they were left.
        """
        self.check(state)
        self._take(state)

    def check(self, state: dict[str, Any]) -> None:
        """Raises InputError unless all of a state fits this trainer, and is what a training can have come to."""
        own = self.state_dict()
        own.pop("ranks", None)
        others = state.get("ranks", [])
        check_rank_states(others, own["experience"], self.generator.device)
        shared, state = "ranks" in state, {name: value for name, value in state.items() if name != "ranks"}
        state = {"annealed": 0.0, "experience": {}, **state}  # older checkpoints hold none
        checked_apart = {"optimizer", "generator", "experience"}
        check_like({**state, **dict.fromkeys(checked_apart & state.keys(), 0)}, {
            **own, **dict.fromkeys(checked_apart, 0)
        }, "state")  # fmt: skip
        progress = Progress(*state["progress"])
        steps = self.steps_per_iteration // self.ranks.size
        more_or_less = progress.steps - progress.iterations * steps  # with several ranks, of any number so far, more
        if more_or_less and not (shared and more_or_less > 0 and more_or_less % steps == 0):
            raise InputError(
                f"progress is of {progress.steps:,} steps in {progress.iterations:,} iterations,"
                f" expected {steps:,} in each"
            )
        check_optimizer(state["optimizer"], self.ppo.optimizer, begun=progress.iterations > 1)
        check_generator(state["generator"], self.generator.device)
        check_experience(state["experience"], own["experience"], self.generator.device)
        check_task_index(state["task_index"].cpu(), num_ranks=1 + len(others))
        for name in ("count", "var"):
            check_not_negative(state["policy"][f"normaliser.{name}"], f"policy.normaliser.{name}")
        check_not_negative(state["scaler"]["moments"][1], "scaler.moments[1]")

    def _take(self, state: dict[str, Any]) -> None:
        self.policy.load_state_dict(state["policy"])
        self.ppo.task_head.load_state_dict(state["task_head"])
        groups = self.ppo.optimizer.state_dict()["param_groups"]
        for group, found in zip(groups, state["optimizer"]["param_groups"], strict=True):
            group["lr"] = found["lr"]
        moments = copy.deepcopy(state["optimizer"]["state"])  # which the optimiser would take for its own
        self.ppo.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        self.scaler.count = state["scaler"]["count"]
        self.scaler.moments.copy_(state["scaler"]["moments"])
        self.progress = Progress(*state["progress"])
        self.annealed = state.get("annealed", 0.0)
        experience, others, ranks = state.get("experience", {}), state.get("ranks", []), self.ranks
        self._was_shared |= "ranks" in state
        offset = (1 + len(others) - ranks.size + ranks.rank) * self.env.num_envs
        self.env.task_env.task_index.copy_(state["task_index"] + offset)
        states = [{"generator": state["generator"], "collector": experience.get("generator")}, *others]
        own = states[ranks.rank] if len(states) == ranks.size else {}
        set_generator(self.generator, own.get("generator"), self.progress.steps)
        if experience:
            set_generator(self.experience.collector.generator, own.get("collector"), self.progress.steps)
        self.experience.load_state_dict(experience)

    def _first_divergence(self) -> dict[str, Any]:
        """Returns what `divergence` is; every rank calls it where there was one on any."""
        own, storage = {}, self.storage
        for step, sim in storage.diverged.nonzero()[:1].tolist():
            own = {"task_index": int(storage.task_index[sim]), "actions": storage.action[: step + 1, sim].cpu()}
        return next(found for found in self.ranks.gather(own) if found)

    def _count_skips(self, iteration: Iteration, before: dict[str, Any] | None) -> None:
        self._skips = self._skips + 1 if iteration.skipped else 0
        if before is not None and iteration.skipped:
            raise GradientError(
                f"gradients were not finite in {MAX_SKIPS} iterations in a row, expected finite ones",
                {"before": before, "experience": copy.deepcopy(self.storage.given())},
            )
