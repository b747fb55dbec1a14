"""Trials that are collected while others are learnt from: what they are depends on no clock, and is gone on from."""

import copy
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import pytest
import torch
from torch import Tensor

from limbshift.envs.catalogue import make_family
from limbshift.envs.errors import InputError
from limbshift.envs.physics.engine import Engine
from limbshift.meta.rl2.advantages import RewardScaler
from limbshift.meta.rl2.build import make_trainer
from limbshift.meta.rl2.config import PPOConfig
from limbshift.meta.rl2.experience.collector import Collector, InTurn, Overlapped
from limbshift.meta.rl2.ppo import PPO
from limbshift.meta.rl2.trainer import Trainer
from limbshift.meta.threads import torch_threads

ITERATIONS = 5


def trainer_of(*, overlap: bool, sequence_length: int = 5) -> Trainer:
    return make_trainer(
        make_family("HalfCheetahLimbsDir"),
        num_envs=4,
        episodes=2,
        horizon=10,
        hidden_size=8,
        ppo=PPOConfig(sequence_length=sequence_length, num_minibatches=2),
        overlap=overlap,
    )


def learned(trainer: Trainer) -> Tensor:
    return torch.cat([value.flatten().double() for value in trainer.policy.state_dict().values()])


def test_in_turn_an_iteration_is_the_plain_recipe() -> None:
    """Collect, scale, estimate, improve, and then the normaliser: bit for bit, with whole trials."""
    trainer = trainer_of(overlap=False, sequence_length=20)
    plain = trainer_of(overlap=False, sequence_length=20)
    generator = torch.Generator().manual_seed(0)
    collector = Collector(plain.env, plain.policy, generator)
    ppo = PPO(
        plain.policy, PPOConfig(num_minibatches=2, task_coef=0.25), generator, task_dim=len(plain.ppo.task_head.bias)
    )
    scaler = RewardScaler(plain.gamma, torch.device("cpu"))
    for number in range(ITERATIONS):
        trainer.iterate(number / ITERATIONS)
        storage = collector.collect()
        scaler.update(storage.reward, storage.terminated)
        storage.estimate_advantages(storage.reward * scaler.scale, gamma=plain.gamma, gae_lambda=0.95)
        if number:
            with torch_threads(1):  # by which sums are rounded, and a trainer has one whatever ran before
                ppo.update(storage, number / ITERATIONS)
        plain.policy.normaliser.update(storage.obs[:-1])
        assert torch.equal(learned(trainer), learned(plain))


def test_a_thread_changes_nothing_from_one_time_to_the_next() -> None:
    runs = [trainer_of(overlap=True) for _ in range(2)]
    for trainer in runs:
        for number in range(ITERATIONS):
            trainer.iterate(number / ITERATIONS)
    assert torch.equal(*(learned(trainer) for trainer in runs))


def test_trials_are_played_by_the_policy_of_one_update_before() -> None:
    trainer = trainer_of(overlap=True)
    before: list[Tensor] = []
    for number in range(ITERATIONS):
        before.append(copy.deepcopy(trainer.policy))  # type: ignore[arg-type]
        trainer.iterate(number / ITERATIONS)
        policy = before[max(number - 1, 0) if number > 1 else number]
        storage = trainer.storage
        with torch.no_grad():
            features, _ = policy.unroll(storage.obs, policy.initial_state(4))  # type: ignore[attr-defined]
        torch.testing.assert_close(storage.features, features)


def test_trials_are_learnt_from_as_the_learners_own_policy_reads_them() -> None:
    trainer = trainer_of(overlap=True)
    for number in range(ITERATIONS):
        policy = copy.deepcopy(trainer.policy)
        trainer.iterate(number / ITERATIONS)
        storage = trainer.storage
        with torch.no_grad():
            features, _ = policy.unroll(storage.obs, policy.initial_state(4))
            pieces, _ = policy.unroll(
                storage.pieces(storage.obs[:-1]), tuple(part.flatten(0, 1) for part in storage.state)
            )
        own = policy.actions(features[:-1]).log_prob(storage.action)
        torch.testing.assert_close(storage.proximal_log_prob, own)
        torch.testing.assert_close(storage.importance, (own - storage.log_prob).exp().clamp(max=1))
        torch.testing.assert_close(storage.value, policy.values(features))
        torch.testing.assert_close(pieces, storage.pieces(features[:-1]))


def test_they_are_played_while_the_learner_learns() -> None:
    """Each waits for the other to have begun, which in turn they never would."""
    trainer = trainer_of(overlap=True)
    for number in range(2):
        trainer.iterate(number / 4)
    both = threading.Barrier(2, timeout=30)
    step, update = trainer.env.step, trainer.ppo.update

    @contextmanager
    def once(target: object, name: str, function: object) -> Iterator[None]:
        met: list[bool] = []

        def first_wait(*arguments: object) -> object:
            if not met:
                met.append(True)
                both.wait()
            return function(*arguments)  # type: ignore[operator]

        with patch.object(target, name, first_wait):
            yield

    with once(trainer.env, "step", step), once(trainer.ppo, "update", update):
        trainer.iterate(0.5)


@pytest.mark.parametrize("stop", range(ITERATIONS))
def test_a_run_goes_on_with_the_trials_that_it_had_ahead(stop: int) -> None:
    straight, first, second = (trainer_of(overlap=True) for _ in range(3))
    for number in range(ITERATIONS):
        straight.iterate(number / ITERATIONS)
    for number in range(stop):
        first.iterate(number / ITERATIONS)
    state = copy.deepcopy(first.state_dict())
    second.load_state_dict(state)
    again = copy.deepcopy(second.state_dict())  # saved once more before anything was done
    third = trainer_of(overlap=True)
    third.load_state_dict(again)
    for trainer in (second, third):
        for number in range(stop, ITERATIONS):
            trainer.iterate(number / ITERATIONS)
        assert torch.equal(learned(straight), learned(trainer))
        assert torch.equal(straight.env.task_env.task_index, trainer.env.task_env.task_index)


def test_a_checkpoint_from_before_there_was_overlap_is_gone_on_from() -> None:
    old = trainer_of(overlap=False)
    old.iterate(0.0)
    state = old.state_dict()
    del state["experience"]
    for overlap in (False, True):
        new = trainer_of(overlap=overlap)
        new.load_state_dict(copy.deepcopy(state))
        assert torch.equal(learned(new), learned(old))
        new.iterate(0.5)


def test_what_fails_while_playing_is_told_where_it_is_waited_for() -> None:
    trainer = trainer_of(overlap=True)
    trainer.iterate(0.0)
    with patch.object(trainer.env, "step", side_effect=OSError("no motors")), pytest.raises(OSError, match="no motors"):
        trainer.iterate(0.5)


def test_what_fails_while_learning_waits_for_the_players() -> None:
    trainer = trainer_of(overlap=True)
    trainer.iterate(0.0)
    with patch.object(trainer.ppo, "update", side_effect=ArithmeticError), pytest.raises(ArithmeticError):
        trainer.iterate(0.5)
    index = trainer.env.task_env.task_index.clone()
    trainer.env.reset()  # which nobody else does at the same time
    assert torch.equal(trainer.env.task_env.task_index, index + 4)


def test_what_is_ahead_is_checked_before_it_is_gone_on_from() -> None:
    trainer = trainer_of(overlap=True)
    for number in range(3):
        trainer.iterate(number / 4)
    for name, value, message in (
        ("behind", -1, "experience.behind is -1"),
        ("generator", torch.zeros(3), "generator is torch.float32"),
        ("policy", {}, "experience.policy has no"),
        ("extra", 1, "experience has 'extra'"),
    ):
        state = copy.deepcopy(trainer.state_dict())
        state["experience"][name] = value
        with pytest.raises(InputError, match=message):
            trainer.load_state_dict(state)


def test_warps_trials_are_collected_in_turn() -> None:
    family = make_family("InvertedPendulumBody")
    trainers = [
        make_trainer(family, num_envs=2, episodes=1, horizon=2, hidden_size=4, overlap=True, engine=engine)
        for engine in (Engine(), Engine("warp"))
    ]
    assert [type(trainer.experience) for trainer in trainers] == [Overlapped, InTurn]


def test_pieces_start_from_what_was_remembered_there() -> None:
    """Unrolled piece by piece, the trials are what they were as a whole."""
    for cell in ("lstm", "gru"):
        trainer = make_trainer(
            make_family("HalfCheetahLimbsDir"), num_envs=3, episodes=2, horizon=6, hidden_size=8, cell=cell,
            ppo=PPOConfig(sequence_length=4),
        )  # fmt: skip
        storage, policy = trainer.experience.take(), trainer.policy
        assert [part.shape for part in storage.state] == [(3, 3, size) for size in policy.spec.state_sizes]
        with torch.no_grad():
            pieces, _ = policy.unroll(
                storage.pieces(storage.obs[:-1]), tuple(part.flatten(0, 1) for part in storage.state)
            )
        torch.testing.assert_close(pieces, storage.pieces(storage.features[:-1]))
        assert not any(part[0].any() for part in storage.state)
        assert all(part[1:].all() for part in storage.state)


def test_an_update_by_trials_of_an_older_policy_is_repeated_bit_for_bit() -> None:
    trainer, fresh = trainer_of(overlap=True), trainer_of(overlap=True)
    for number in range(ITERATIONS):
        trainer.iterate(number / ITERATIONS)
    storage, before = trainer.experience.take(), copy.deepcopy(trainer.state_dict())
    trainer.learn(storage, trainer.annealed)
    fresh.learn_again({"before": before, "experience": copy.deepcopy(storage.given())})
    assert torch.equal(learned(fresh), learned(trainer))
