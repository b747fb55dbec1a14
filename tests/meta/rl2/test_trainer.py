"""Collection, iterations, and going on where a run was left."""

from pathlib import Path

import pytest
import torch

from limbshift.agents.recurrent import PolicySpec, RecurrentActorCritic
from limbshift.envs.catalogue import make_family
from limbshift.envs.errors import InputError
from limbshift.envs.trial_env import TrialEnv
from limbshift.experiments.runs.directory import RunError, open_run
from limbshift.meta.checkpoint import load_checkpoint, save_checkpoint
from limbshift.meta.rl2.config import PPOConfig
from limbshift.meta.rl2.trainer import Trainer


def make_trainer(seed: int = 0) -> Trainer:
    env = TrialEnv(make_family("HalfCheetahLimbsDir"), 4, 2, 5, seed=seed, observe_task=True)
    torch.manual_seed(seed)
    policy = RecurrentActorCritic(PolicySpec(env.task_env.obs_dim, env.task_env.action_dim, hidden_size=8))
    return Trainer(env, policy, PPOConfig(), gamma=0.9, seed=seed)


def parameters(trainer: Trainer) -> torch.Tensor:
    """What is learned, the guess at the task with it."""
    states = (trainer.policy.state_dict(), trainer.ppo.task_head.state_dict())
    return torch.cat([value.flatten().double() for state in states for value in state.values()])


def test_what_is_stored_belongs_together() -> None:
    trainer = make_trainer()
    storage, policy = trainer.collector.collect(), trainer.policy
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
        trainer.collector.collect()
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
    storage = trainer.collector.storage
    torch.testing.assert_close(storage.obs[1:, :, trainer.env.layout.previous_reward].squeeze(-1), storage.reward)


def test_a_broken_checkpoint_is_named(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "checkpoint.pt", {"a": torch.zeros(3)})
    file = tmp_path / "checkpoint.pt"
    file.write_bytes(file.read_bytes()[:-50])
    with pytest.raises(InputError, match=r"checkpoint\.pt is broken"):
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
    with pytest.raises(RunError, match=r"holds no checkpoint\.pt"), open_run(tmp_path / "other", resume=True):
        pass
    assert not (tmp_path / "other").exists()
