"""Plays trials into storage: in turn with learning from them, or the next ones meanwhile."""

import copy
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import cycle
from typing import Any, Protocol

import torch
from torch import Tensor

from limbshift.agents.recurrent import RecurrentActorCritic
from limbshift.envs.trial_env import TrialEnv
from limbshift.meta.rl2.experience.device_copy import HostFetch
from limbshift.meta.rl2.experience.storage import RolloutStorage, nearest_divisor
from limbshift.meta.rl2.stopwatch import Stopwatch
from limbshift.meta.seeds import derived_seed
from limbshift.meta.threads import torch_threads


class Collector:
    """Fills storages with whole trials: state is zero where one starts, and carried over its episodes.

    Storages lie on the policy's device. Where the env runs there too, nothing leaves it.
    """

    def __init__(
        self,
        env: TrialEnv,
        policy: RecurrentActorCritic,
        generator: torch.Generator,
        *,
        sequence_length: int | None = None,
        num_storages: int = 1,
    ) -> None:
        """sequence_length: of the pieces that are learnt from. num_storages: filled in turn, each by one collection."""
        self.env = env
        self.policy = policy
        self.generator = generator
        """On the policy's device: the noise of exploration."""
        device = policy.log_std.device
        self.stopwatch = Stopwatch(device)
        """Of the last collection: marked at its start, about each of the env's steps, and at its end."""
        self.storages = [
            RolloutStorage(
                policy.spec,
                num_steps=env.steps_per_trial,
                num_envs=env.num_envs,
                task=env.layout.task,
                device=device,
                env_device=env.task_env.device,
                sequence_length=sequence_length,
            )
            for _ in range(num_storages)
        ]
        self._turns = cycle(self.storages)
        self._to_env = HostFetch(torch.zeros(env.num_envs, policy.spec.action_dim, device=device), env.task_env.device)

    @torch.no_grad()
    def collect(self, *, tells: bool = False) -> RolloutStorage:
        """Plays N new trials; the storage is this collector's own, and is written over when its turn comes again.

        tells: whether a policy with a belief network is told its task, and whoever is told it is paid for guidance.
        """
        storage, policy, stopwatch = next(self._turns), self.policy, self.stopwatch
        stopwatch.mark()
        noise = torch.randn(storage.action.shape, generator=self.generator, device=storage.action.device)
        noise *= policy.log_std.exp()
        state = policy.initial_state(self.env.num_envs)
        diverged = []
        storage.begin(self.env.reset())
        storage.guidance.zero_()
        storage.task_index = self.env.task_env.task_index.clone()
        for t in range(storage.num_steps):
            storage.remember(t, state)
            storage.features[t], state = policy.step(storage.obs[t], state, storage.told[t] if tells else None)
            storage.action[t] = policy.actions(storage.features[t]).mean + noise[t]
            action = self._to_env(storage.action[t])
            stopwatch.mark()
            step = self.env.step(action)
            storage.write(t, step, guided=tells)
            diverged.append(step.diverged)
            stopwatch.mark()
        last = storage.num_steps
        storage.features[last], _ = policy.step(storage.obs[last], state, storage.told[last] if tells else None)
        storage.believed[:] = storage.told if tells else policy.guesses(storage.features)
        storage.log_prob = policy.actions(storage.features[:-1]).log_prob(storage.action)
        storage.proximal_log_prob = storage.log_prob
        storage.value = policy.values(storage.features)
        storage.diverged = torch.stack(diverged).to(storage.value.device)
        stopwatch.mark()
        return storage


class Experience(Protocol):
    """Where the trials come from that are learnt from."""

    collector: Collector

    def take(self, *, tells: bool = False) -> RolloutStorage:
        """Returns the trials to learn from next; what they are stays until the second call after.

        tells: as `Collector.collect` takes it, for trials that are begun by this call.
        """

    def refresh(self, storage: RolloutStorage) -> None:
        """Makes what the learner reads of trials its own policy's, where an older one has played them."""

    def ahead(self, *, tells: bool = False) -> AbstractContextManager[None]:
        """Returns a context beside which the trials of the next `take` may be collected; it ends when they are."""

    @property
    def task_index(self) -> Tensor:
        """(N,) the tasks before those of the next `take`."""

    def state_dict(self) -> dict[str, Any]:
        """Returns what the next trials depend on, beside the learner's policy and generator."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on where `state_dict` was taken, with the collector's generator as it was; empty for none."""


class InTurn:
    """Trials are collected when they are asked for, by the policy as it is."""

    def __init__(self, collector: Collector) -> None:
        self.collector = collector

    def take(self, *, tells: bool = False) -> RolloutStorage:
        with torch_threads(1):  # idle OpenMP threads spin for a while, and would take the cores from the simulator's
            return self.collector.collect(tells=tells)

    def refresh(self, storage: RolloutStorage) -> None:
        pass

    def ahead(self, *, tells: bool = False) -> AbstractContextManager[None]:
        return nullcontext()

    @property
    def task_index(self) -> Tensor:
        return self.collector.env.task_env.task_index

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        pass


class Overlapped:
    """Trials are collected in a thread of their own while those before them are learnt from.

    They are played by a copy of the policy, taken when they are begun: so they are one update behind, always, whatever
    takes how long. Before they are learnt from, the learner's own policy reads them: were probability ratios clipped
    about the older one, there would be little left to learn; what the older one chose more readily counts for less.
    The copy draws its noise from a generator of its own. A state that is saved holds that copy as it was, not the
    trials: they are played again from it.

    Source: Hilton et al., "Batch size-invariance for policy optimization" (2022), the decoupled objective.
    """

    def __init__(self, collector: Collector, learner: RecurrentActorCritic) -> None:
        """collector: of two storages, with a copy of the learner's policy and a generator of its own."""
        self.collector = collector
        self.learner = learner
        device = collector.generator.device
        self._thread = ThreadPoolExecutor(1, "collector", torch.set_num_threads, (1,))
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._collected: RolloutStorage | None = None
        """The next trials, where they are played already."""
        self._behind = False
        """Whether the next trials are of the collector's copy as it is; else it is taken anew."""
        self._tells = False
        """Whether the copy is told its task in them."""
        self._begun = self._start()

    def take(self, *, tells: bool = False) -> RolloutStorage:
        storage = self._collected
        if storage is None:
            if not self._behind:
                self._follow()
                self._tells = tells
            with self._collecting() as playing:
                pass
            storage = playing.result()
        self._collected, self._behind = None, False
        return storage

    def refresh(self, storage: RolloutStorage) -> None:
        storage.read_by(self.learner)

    @contextmanager
    def ahead(self, *, tells: bool = False) -> Iterator[None]:
        self._follow()
        self._tells = tells
        self._begun, self._behind = self._start(), True
        with self._collecting() as playing:
            yield
        self._collected = playing.result()

    @property
    def task_index(self) -> Tensor:
        return self._begun[1] if self._behind else self.collector.env.task_env.task_index

    def state_dict(self) -> dict[str, Any]:
        generator = self._begun[0] if self._behind else self.collector.generator.get_state()
        told = {"behind": int(self._behind), "tells": int(self._tells)}
        return {"policy": self.collector.policy.state_dict(), "generator": generator, **told}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if state:
            self.collector.policy.load_state_dict(state["policy"])
        self._collected, self._behind = None, bool(state and state["behind"])
        self._tells = bool(state.get("tells", 0))  # older checkpoints hold none
        self._begun = self._start()

    @contextmanager
    def _collecting(self) -> Iterator[Future[RolloutStorage]]:
        """Collects in the thread; on a GPU in a stream of its own, which does not wait for the learner's work."""
        if self._stream is None:
            playing = self._thread.submit(self.collector.collect, tells=self._tells)
        else:
            self._stream.wait_stream(torch.cuda.current_stream(self._stream.device))
            playing = self._thread.submit(self._collect_in_stream)
        try:
            yield playing
        finally:
            wait([playing])
            if self._stream is not None:
                torch.cuda.current_stream(self._stream.device).wait_stream(self._stream)

    def _collect_in_stream(self) -> RolloutStorage:
        with torch.cuda.stream(self._stream):
            return self.collector.collect(tells=self._tells)

    def _follow(self) -> None:
        """Makes the collector's policy what the learner's is."""
        self.collector.policy.load_state_dict(self.learner.state_dict())

    def _start(self) -> tuple[Tensor, Tensor]:
        """Returns what the next collection starts from: the generator's state, and the tasks before its own."""
        return self.collector.generator.get_state(), self.collector.env.task_env.task_index.clone()


def make_experience(
    env: TrialEnv,
    policy: RecurrentActorCritic,
    generator: torch.Generator,
    *,
    sequence_length: int | None,
    overlap: bool,
) -> Experience:
    """Returns how trials are come by, for a learner with this policy and generator."""
    length = nearest_divisor(env.steps_per_trial, sequence_length or env.steps_per_trial)
    if not overlap:
        return InTurn(Collector(env, policy, generator, sequence_length=length))
    own = torch.Generator(generator.device).manual_seed(derived_seed(generator.initial_seed(), "collector"))
    collector = Collector(env, copy.deepcopy(policy), own, sequence_length=length, num_storages=2)
    return Overlapped(collector, policy)
