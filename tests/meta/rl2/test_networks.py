"""Trainers of all networks: what they play, store, learn from and go on from."""

import copy
import itertools
from functools import partial
from typing import Any, get_args
from unittest.mock import patch

import pytest
import torch
from torch import Tensor

from limbshift.agents import ActionHead, RecurrentCell
from limbshift.agents.heads import TaskHead
from limbshift.agents.recurrent import RecurrentActorCritic
from limbshift.envs.catalogue import make_family
from limbshift.envs.physics.engine import Engine
from limbshift.meta.distillation.distiller import Distiller
from limbshift.meta.rl2.build import make_trainer
from limbshift.meta.rl2.config import PPOConfig
from limbshift.meta.rl2.minibatches import Losses, Minibatch
from limbshift.meta.rl2.trainer import Trainer

NETWORKS = [
    {"cell": cell, "head": head} for cell, head in itertools.product(get_args(RecurrentCell), get_args(ActionHead))
]
SEARCHING = {"belief_size": 4, "family": make_family("AntGoal", "sparse")}
LEARNERS = [*NETWORKS, *({**each, "belief_size": 4} for each in NETWORKS if each["cell"] != "transformer"), SEARCHING]
TRIAL = 12


def trainer_of(network: dict[str, Any], family: str = "HalfCheetahLimbsDir", **options: Any) -> Trainer:
    """Of two pieces to a trial, where there are pieces."""
    ppo = PPOConfig(sequence_length=6, num_minibatches=1)
    sizes: dict[str, Any] = {"num_envs": 16, "episodes": 2, "horizon": TRIAL // 2, "hidden_size": 8, "ppo": ppo}
    return make_trainer(**{"family": make_family(family)} | sizes | network | options)


def learned(trainer: Trainer) -> torch.Tensor:
    return torch.nn.utils.parameters_to_vector(trainer.policy.parameters()).detach()


@pytest.mark.parametrize("network", LEARNERS, ids=str)
@pytest.mark.parametrize("overlap", [False, True])
def test_what_is_played_is_what_is_learnt_from(network: dict[str, Any], overlap: bool) -> None:
    """Read at once, the trials give the features and the probabilities that playing them step by step gave."""
    trainer = trainer_of(network, overlap=overlap)
    played = copy.deepcopy(trainer.policy)
    storage = trainer.experience.take()
    trainer.experience.refresh(storage)
    with torch.no_grad():
        features, _ = played.unroll(storage.obs, ())
    torch.testing.assert_close(storage.features, features)
    torch.testing.assert_close(storage.value, played.values(features))
    own = played.actions(features[:-1]).log_prob(storage.action)
    torch.testing.assert_close(storage.log_prob, own)
    torch.testing.assert_close(storage.proximal_log_prob, own)


def test_a_transformers_trials_stay_whole_and_nothing_that_it_keeps_is_stored() -> None:
    for cell, length, parts in (("lstm", 6, 2), ("transformer", TRIAL, 0)):
        trainer = trainer_of({"cell": cell})
        storage = trainer.experience.take()
        assert (storage.sequence_length, len(storage.state)) == (length, parts)
        assert trainer.policy.spec.context == (TRIAL if cell == "transformer" else 0)


@pytest.mark.parametrize("network", LEARNERS, ids=str)
def test_an_iteration_goes_on_from_a_state(network: dict[str, Any]) -> None:
    straight, first, second = (trainer_of(network, overlap=True) for _ in range(3))
    for number in range(3):
        straight.iterate(number / 3)
    for number in range(2):
        first.iterate(number / 3)
    before = learned(first)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    second.iterate(2 / 3)
    assert torch.equal(learned(second), learned(straight))
    assert not torch.equal(learned(second), before)


@pytest.mark.parametrize("network", LEARNERS, ids=str)
def test_threads_learn_what_one_learns(network: dict[str, Any]) -> None:
    one, two = (trainer_of(network, num_threads=threads) for threads in (1, 2))
    for trainer in (one, two):
        for number in range(2):
            trainer.iterate(number / 2)
    torch.testing.assert_close(learned(one), learned(two), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("cell", "expected"), [("lstm", 1e-3), ("gru", 1e-3), ("transformer", 4e-4)])
def test_a_transformer_learns_at_a_lower_rate(cell: RecurrentCell, expected: float) -> None:
    trainer = trainer_of({"cell": cell}, ppo=PPOConfig(learning_rate=1e-3, final_learning_rate=1e-4))
    trainer.iterate(0.0)
    assert trainer.iterate(0.0).learning_rate == pytest.approx(expected)
    assert trainer.iterate(1.0).learning_rate == pytest.approx(expected / 10)


def test_threads_share_few_whole_trials_but_not_few_pieces() -> None:
    """Of 16 trials in 8 minibatches, each of 2 whole trials or of 4 pieces."""
    ppo = PPOConfig(sequence_length=6, num_minibatches=8, update_epochs=1)
    for cell, sizes in (("lstm", {4}), ("transformer", {1})):
        trainer, shares = trainer_of({"cell": cell}, num_threads=2, ppo=ppo), set[int]()
        loss = trainer.ppo.loss

        def noted(batch: Minibatch, *, task_coef: float, loss: Any = loss, shares: set[int] = shares) -> Losses:
            shares.add(batch.num_pieces)
            return loss(batch, task_coef=task_coef)  # type: ignore[no-any-return]

        trainer.iterate(0.0)
        with patch.object(trainer.ppo, "loss", noted):
            trainer.iterate(0.0)
        assert shares == sizes


@pytest.mark.parametrize("network", NETWORKS, ids=str)
@pytest.mark.parametrize("options", [{"memory": False}, {"observe_task": True}, {"engine": Engine("warp")}], ids=str)
def test_all_ways_to_train_are_sound(network: dict[str, Any], options: dict[str, Any]) -> None:
    trainer = trainer_of(network, "InvertedPendulumBody", **options)
    start = learned(trainer)
    for number in range(2):
        iteration = trainer.iterate(number / 2)
    assert iteration.skipped == 0
    assert all(torch.isfinite(torch.tensor(list(iteration.losses.values()))))
    assert (learned(trainer) - start).abs().max() > 1e-4


@pytest.mark.parametrize("network", LEARNERS, ids=str)
def test_each_network_imitates_and_is_imitated(network: dict[str, Any]) -> None:
    """The teacher's window, where it has one, ends in the midst of the student's trials."""
    teacher = trainer_of({**network, "belief_size": 0}, observe_task=True, horizon=2)
    student = trainer_of(network, learner=partial(Distiller, teacher=teacher.policy))
    imitation = [student.iterate(0.0).losses.get("policy") for _ in range(3)]
    assert imitation[0] is None
    assert 0 < (imitation[2] or 0) < (imitation[1] or 0)


def test_a_belief_networks_policy_is_told_its_task_for_the_first_share_of_the_budget() -> None:
    """Then it sees that network's guess, and a larger budget does not take it back."""
    trainer = trainer_of({"belief_size": 4}, ppo=PPOConfig(told_share=0.5, num_minibatches=1))
    for spent, told in ((0.0, True), (0.4, True), (0.5, False), (0.3, False)):
        trainer.iterate(spent)
        storage = trainer.storage
        assert torch.equal(storage.believed[:-1], storage.task) is told
    storage = trainer.experience.take()
    torch.testing.assert_close(storage.believed, trainer.policy.guesses(storage.features))
    assert storage.believed.abs().min() > 0
    oracle, teller = trainer_of({}, observe_task=True), trainer_of({"belief_size": 4})
    with torch.no_grad():
        size = oracle.policy.encoder.weight.shape
        assert teller.policy.encoder.weight.shape == size
        for name, value in oracle.policy.state_dict().items():
            if not name.startswith("normaliser"):
                teller.policy.get_parameter(name).copy_(value)
    seen, known = oracle.experience.take(), teller.experience.take(tells=True)
    assert torch.equal(known.action, seen.action)
    assert torch.equal(known.value, seen.value)


def test_who_is_told_its_task_is_guided_for_the_first_share_of_the_budget() -> None:
    """It is paid for coming nearer, beside the reward, which stays as it is."""
    ppo = PPOConfig(told_share=0.5, num_minibatches=1, gae_lambda=1.0)
    for network in ({}, {"belief_size": 0, "observe_task": True}):
        trainer = trainer_of(SEARCHING | network, ppo=ppo, gamma=1.0)
        trainer.iterate(0.0)
        storage = trainer.storage
        distance = (3 * storage.task - storage.obs[:-1, :, :2]).norm(dim=-1)
        nearer = (distance[:-1] - distance[1:]) / 0.05
        stays = distance[1:] > 1.0  # else the way turns within a step
        stays[TRIAL // 2 - 1] = False  # where an episode ends, the ant starts anew
        both = torch.stack([storage.guidance[:-1][stays], nearer[stays]])
        assert torch.corrcoef(both)[0, 1] > 0.95  # MuJoCo's own velocity is a substep older
        assert ((storage.reward > 0) & (storage.reward < 0.2) | (storage.reward > 1) & (storage.reward < 1.2)).all()
        paid = (storage.reward + storage.guidance).sum(dim=0) * trainer.scaler.scale
        torch.testing.assert_close(storage.value_target[0] - storage.value[-1], paid, atol=1e-4, rtol=1e-4)
        trainer.iterate(0.6)
        assert not trainer.storage.guidance.any()
    without: list[dict[str, Any]] = [{"belief_size": 0}, {"belief_size": None, "memory": False}]
    for network in without:
        trainer = trainer_of(SEARCHING | network)
        trainer.iterate(0.0)
        assert not trainer.storage.guidance.any()


def test_a_search_holds_for_true_one_of_the_familys_candidates() -> None:
    trainer = trainer_of(SEARCHING)
    storage = trainer.experience.take()
    candidates = trainer.policy.state_dict()["belief.head.candidates"]
    assert candidates.shape == (128, 2)
    assert candidates.norm(dim=-1).max() <= 1
    assert torch.cdist(storage.believed, candidates).amin(dim=-1).max() == 0
    assert trainer_of(SEARCHING, sees_reward=False).policy.spec.num_candidates == 0  # it goes by rewards
    other = trainer_of(SEARCHING, seed=1).policy.state_dict()["belief.head.candidates"]
    assert torch.equal(other, candidates)


def test_a_belief_network_learns_from_its_own_loss_alone_and_the_policy_from_the_others() -> None:
    """The policy's own memory has to tell the task too."""
    trainer = trainer_of({"belief_size": 4})
    trainer.iterate(0.0)
    batch = whole_batch(trainer)
    losses = trainer.ppo.loss(batch, task_coef=1.0)
    for part in (losses.task, losses.value, losses.entropy, losses.policy):
        moved = moved_by(part, trainer.policy)
        assert moved
        assert not any(name.startswith("belief.") for name in moved)
    assert "recurrent.weight_hh_l0" in moved_by(losses.task, trainer.policy)
    told, _ = trainer.ppo.belief_loss(batch)
    assert all(name.startswith("belief.") for name in moved_by(told, trainer.policy))
    missed = batch.believed - batch.task  # as it was played
    torch.testing.assert_close(told, 0.25 * 0.5 * missed.square().sum(dim=-1).mean())


def whole_batch(trainer: Trainer) -> Minibatch:
    """All that was played; the policy's head of the task tells something."""
    torch.nn.init.ones_(trainer.ppo.task_head.weight)
    storage = trainer.experience.take()
    state = tuple(part.flatten(0, 1) for part in storage.state)
    pieces = (storage.pieces(part) for part in (storage.obs[:-1], storage.action, storage.log_prob))
    more = (storage.advantage, storage.value[:-1] + 1, storage.task, storage.believed[:-1])
    return Minibatch._make((*pieces, *map(storage.pieces, more), state))


def moved_by(loss: Tensor, policy: RecurrentActorCritic) -> set[str]:
    """Names of the parameters that a loss has gradients for."""
    policy.zero_grad()
    loss.backward(retain_graph=True)
    return {name for name, each in policy.named_parameters() if each.grad is not None and each.grad.any()}


def test_a_belief_network_learns_by_its_own_loss_whatever_the_memorys_counts() -> None:
    trainer = trainer_of({"belief_size": 4}, ppo=PPOConfig(task_coef=0.0))
    for _ in range(2):
        trainer.iterate(0.0)
    head = trainer.ppo.known_task_head
    assert isinstance(head, TaskHead)
    assert head.weight.all()
    assert not trainer.ppo.task_head.weight.any()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 64),
        ({"cell": "gru"}, 64),
        ({"belief_size": 0}, 0),
        ({"belief_size": 4}, 4),
        ({"memory": False}, 0),
        ({"observe_task": True}, 0),
        ({"cell": "transformer"}, 0),
    ],
    ids=str,
)
def test_a_familys_own_belief_network_is_had_by_who_can_have_one(options: dict[str, Any], expected: int) -> None:
    assert trainer_of(options, "AntDir").policy.spec.belief_size == expected
    assert trainer_of({}, "HalfCheetahDir").policy.spec.belief_size == 0


def test_a_belief_network_learns_in_one_pass_of_the_epochs_and_faster() -> None:
    ppo = PPOConfig(learning_rate=1e-3, update_epochs=3, num_minibatches=2, sequence_length=6)
    trainer = trainer_of({"belief_size": 4}, ppo=ppo)
    for _ in range(2):
        trainer.iterate(0.0)
    optimizer = trainer.ppo.optimizer
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([1e-3, 6e-3])
    steps = [{int(optimizer.state[each]["step"]) for each in group["params"]} for group in optimizer.param_groups]
    assert steps == [{6}, {2}]
