"""Collection, iterations, and going on where a run was left."""

from pathlib import Path
from unittest.mock import patch

import pytest
import torch

from limbshift.agents.actor import PolicyActor
from limbshift.agents.recurrent import PolicySpec, RecurrentActorCritic
from limbshift.envs.catalogue import make_family
from limbshift.envs.errors import InputError, RewardError
from limbshift.envs.trial_env import TrialEnv
from limbshift.experiments.runs.directory import RunError, open_run
from limbshift.meta.checkpoint import load_checkpoint, save_checkpoint
from limbshift.meta.evaluation.trials import play
from limbshift.meta.rl2.config import PPOConfig
from limbshift.meta.rl2.trainer import Trainer
from tests.envs.sled import Sledding


def make_trainer(seed: int = 0, num_envs: int = 4, horizon: int = 5) -> Trainer:
    env = TrialEnv(make_family("HalfCheetahLimbsDir"), num_envs, 2, horizon=horizon, seed=seed, observe_task=True)
    torch.manual_seed(seed)
    policy = RecurrentActorCritic(PolicySpec(env.task_env.obs_dim, env.task_env.action_dim, hidden_size=8))
    return Trainer(env, policy, PPOConfig(), gamma=0.9, seed=seed)


def parameters(trainer: Trainer) -> torch.Tensor:
    """What is learned, the guess at the task with it."""
    states = (trainer.policy.state_dict(), trainer.ppo.task_head.state_dict())
    return torch.cat([value.flatten().double() for state in states for value in state.values()])


def test_what_is_stored_belongs_together() -> None:
    trainer = make_trainer()
    storage, policy = trainer.experience.take(), trainer.policy
    layout = trainer.env.layout
    with torch.no_grad():
        features, _ = policy.unroll(storage.obs, policy.initial_state(4))  # from zero, over the boundary
    torch.testing.assert_close(storage.features, features)
    torch.testing.assert_close(storage.value, policy.values(features))
    torch.testing.assert_close(storage.log_prob, policy.actions(features[:-1]).log_prob(storage.action))
    torch.testing.assert_close(storage.obs[1:, :, layout.previous_action], storage.action.clamp(-1, 1))
    torch.testing.assert_close(storage.obs[1:, :, layout.previous_reward].squeeze(-1), storage.reward)
    assert storage.obs[:, 0, layout.boundary].flatten().tolist() == [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]


def test_each_iteration_meets_new_tasks() -> None:
    trainer = make_trainer()
    tasks = []
    for _ in range(3):
        trainer.experience.take()
        tasks.append(trainer.env.task_env.task_values()["torso_mass"])
    assert len({float(mass) for each in tasks for mass in each}) == 12


def test_a_resumed_run_is_the_run_itself(tmp_path: Path) -> None:
    straight = make_trainer()
    for number in range(4):
        straight.iterate(number / 4)
    first = make_trainer()
    for number in range(2):
        first.iterate(number / 4)
    save_checkpoint(tmp_path / "checkpoint.pt", first.state_dict())
    second = make_trainer(seed=9)
    second.env.task_env.seed(0)
    second.load_state_dict(load_checkpoint(tmp_path / "checkpoint.pt"))
    for number in range(2, 4):
        second.iterate(number / 4)
    assert torch.equal(parameters(straight), parameters(second))
    assert straight.progress[::2] == second.progress[::2]


def test_the_same_seed_makes_the_same_run() -> None:
    same, again, other = make_trainer(1), make_trainer(1), make_trainer(2)
    for trainer in (same, again, other):
        for _ in range(2):
            trainer.iterate(0.0)
    assert torch.equal(parameters(same), parameters(again))
    assert not torch.equal(parameters(same), parameters(other))


def test_only_the_learner_sees_scaled_rewards() -> None:
    trainer = make_trainer()
    trainer.iterate(0.0)
    trainer.iterate(0.5)
    assert trainer.scaler.scale != 1.0
    storage = trainer.storage
    torch.testing.assert_close(storage.obs[1:, :, trainer.env.layout.previous_reward].squeeze(-1), storage.reward)


def test_returns_while_training_are_those_of_an_evaluation() -> None:
    """A policy that pushes with all its might falls again and again; its noise is too small to change that."""

    def make_env() -> TrialEnv:
        return TrialEnv(Sledding(), 6, 2, horizon=30, seed=3)

    env = make_env()
    policy = RecurrentActorCritic(PolicySpec(env.task_env.obs_dim, env.task_env.action_dim, hidden_size=4), -20.0)
    torch.nn.init.constant_(policy.action_head.bias, 2.0)
    iteration = Trainer(env, policy, PPOConfig(), gamma=0.9, seed=0).iterate(0.0)
    evaluated = play(make_env(), PolicyActor(policy, 6))
    assert (evaluated.falls >= 2).all()
    assert iteration.episode_returns == pytest.approx(evaluated.reward.sum(axis=-1).mean(axis=0).tolist(), rel=1e-4)
    for counted, everything in zip(iteration.episode_returns, iteration.returns_with_restarts, strict=True):
        assert abs(everything - counted) > 1


def test_returns_by_hand() -> None:
    """Two trials of 2 x 2 steps that earn 1, 2, 4, 8 and 10, 20, 40, 80; the second falls at its first and third step.

    Up to the first falls they return 3 and 12, and 10 and 40; with restarts 3 and 12, and 30 and 120.
    """
    trainer = make_trainer(num_envs=2, horizon=2)
    storage = trainer.experience.take()
    storage.reward[:] = torch.tensor([[1.0, 10], [2, 20], [4, 40], [8, 80]])
    storage.terminated[:] = torch.tensor([[False, True], [False, False], [False, True], [False, False]])
    storage.estimate_advantages(storage.reward, gamma=0.9, gae_lambda=0.9)
    iteration = trainer._read(storage, None, 0.0)
    assert iteration.episode_returns == [6.5, 26.0]
    assert iteration.returns_with_restarts == [16.5, 66.0]
    assert iteration.terminations == 0.5


def test_a_reward_that_is_no_number_is_told_where_an_iteration_is_read() -> None:
    """As on a GPU, whose steps nobody looks at."""
    trainer = make_trainer()
    storage = trainer.experience.take()
    storage.reward[3, 1] = float("nan")
    mass = trainer.env.task_env.task["torso_mass"][1]
    with pytest.raises(RewardError, match=rf"HalfCheetahLimbsDir.* a term is nan.* torso_mass {mass:.4g}, "):
        trainer._read(storage, None, 0.0)


def test_an_iteration_tells_how_it_learned() -> None:
    trainer = make_trainer()
    first = trainer.iterate(0.0)
    assert (first.losses, first.learning_rate, first.grad_norm) == ({}, None, None)
    second = trainer.iterate(0.5)
    assert second.learning_rate == pytest.approx(4e-4)
    assert second.grad_norm is not None
    assert second.grad_norm > 0
    assert second.reward_scale == trainer.scaler.scale.item()
    storage = trainer.storage
    error = storage.value_target - storage.value[:-1]
    assert second.explained_variance == pytest.approx(1 - (error.var() / storage.value_target.var()).item(), rel=1e-4)


def test_without_rewards_nothing_is_explained() -> None:
    trainer = make_trainer()
    storage = trainer.experience.take()
    storage.value_target = torch.zeros_like(storage.reward)
    assert trainer._read(storage, None, 0.0).explained_variance is None


def test_a_larger_budget_does_not_undo_the_annealing(tmp_path: Path) -> None:
    """Stopped at 0.6 of its budget, a run goes on at 0.3 of a larger one: it stays at 0.6 until that has passed."""
    first = make_trainer()
    for spent in (0.0, 0.6):
        first.iterate(spent)
    save_checkpoint(tmp_path / "checkpoint.pt", first.state_dict())
    resumed = make_trainer()
    resumed.load_state_dict(load_checkpoint(tmp_path / "checkpoint.pt"))
    with patch.object(resumed.ppo, "update", wraps=resumed.ppo.update) as update:
        rates = [resumed.iterate(spent).learning_rate for spent in (0.3, 0.5, 0.8)]
    assert [call.args[1] for call in update.call_args_list] == [0.6, 0.6, 0.8]
    assert rates == pytest.approx([3.4e-4, 3.4e-4, 2.2e-4])


def test_a_checkpoint_from_before_the_schedules_position_was_kept_is_loaded() -> None:
    state = make_trainer().state_dict()
    del state["annealed"]
    trainer = make_trainer()
    trainer.load_state_dict(state)
    assert trainer.iterate(0.25).learning_rate is None
    assert trainer.iterate(0.5).learning_rate == pytest.approx(4e-4)


def test_a_broken_checkpoint_is_named(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "checkpoint.pt", {"a": torch.zeros(3)})
    file = tmp_path / "checkpoint.pt"
    file.write_bytes(file.read_bytes()[:-50])
    with pytest.raises(InputError, match=r"checkpoint\.pt is broken"):
        load_checkpoint(tmp_path / "checkpoint.pt")


def test_an_empty_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"")
    with pytest.raises(InputError, match=r"checkpoint\.pt is broken, expected what a training saved: \S"):
        load_checkpoint(tmp_path / "checkpoint.pt")


def test_loading_executes_nothing(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (str(tmp_path / "sprung"),)

    torch.save({"a": Trap()}, tmp_path / "checkpoint.pt")
    with pytest.raises(InputError, match="is broken"):
        load_checkpoint(tmp_path / "checkpoint.pt")
    assert not (tmp_path / "sprung").exists()


def test_a_run_directory_is_held_by_one(tmp_path: Path) -> None:
    held, again = open_run(tmp_path / "run", resume=False), open_run(tmp_path / "run", resume=False)
    with held, pytest.raises(InputError, match="in use"), again:
        pass
    with open_run(tmp_path / "run", resume=False) as run:
        (run / "config.json").touch()
    with pytest.raises(InputError, match="is not empty"), open_run(tmp_path / "run", resume=False):
        pass
    with pytest.raises(RunError, match=r"holds no config\.json"), open_run(tmp_path / "other", resume=True):
        pass
    assert not (tmp_path / "other").exists()
