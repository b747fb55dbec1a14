"""Nothing of training is read by the host, and all of it runs where the policy lives; tried without a GPU."""

from typing import Any

import pytest
import torch
from torch import Tensor

from limbshift.agents.recurrent import PolicySpec, RecurrentActorCritic
from limbshift.envs.catalogue import make_family
from limbshift.envs.physics.engine import Engine
from limbshift.envs.trial_env import TrialEnv, TrialStep
from limbshift.meta.rl2.advantages import RewardScaler, generalised_advantages
from limbshift.meta.rl2.config import PPOConfig
from limbshift.meta.rl2.experience import device_copy
from limbshift.meta.rl2.experience.storage import RolloutStorage
from limbshift.meta.rl2.ppo import PPO
from limbshift.meta.rl2.stopwatch import Stopwatch
from limbshift.meta.rl2.trainer import Trainer
from tests.reads import ValueRead, none_allowed

META = torch.device("meta")
"""Here tensors have no values: to read one raises, and so does a tensor of another device."""


def make_trainer() -> Trainer:
    env = TrialEnv(make_family("InvertedPendulumBody"), 8, 2, horizon=6, observe_task=True, engine=Engine("warp"))
    torch.manual_seed(0)
    policy = RecurrentActorCritic(PolicySpec(env.task_env.obs_dim, env.task_env.action_dim, hidden_size=8))
    return Trainer(env, policy, PPOConfig(learning_rate=2e-3), gamma=0.95, seed=0)


def test_an_iteration_is_not_read_before_it_is_over() -> None:
    trainer = make_trainer()
    trainer.iterate(0.0)  # captures what is replayed, and makes the optimiser's state
    trainer.iterate(0.1)
    with none_allowed():
        update = trainer.learn(trainer.experience.take(), 0.2)
    with none_allowed(), pytest.raises(ValueRead):
        trainer.iterate(0.3)
    assert update is not None
    assert all(value.isfinite() for value in (*update.losses, update.grad_norm))


@pytest.mark.parametrize(
    "network", [{}, {"head": "hyper"}, {"cell": "transformer", "context": 5}, {"cell": "transformer", "context": 3}]
)
def test_advantages_loss_and_update_stay_on_their_device(network: dict[str, Any]) -> None:
    policy = RecurrentActorCritic(PolicySpec(3, 2, hidden_size=8, **network)).to(META)
    task = slice(policy.spec.trial_obs_dim, policy.spec.trial_obs_dim + 2)
    storage = RolloutStorage(policy.spec, num_steps=5, num_envs=4, task=task, device=META, env_device=META)
    scaler = RewardScaler(0.9, META)
    scaler.update(storage.reward, storage.terminated)
    storage.estimate_advantages(storage.reward * scaler.scale, gamma=0.9, gae_lambda=0.95)
    losses, grad_norm, skipped = PPO(policy, PPOConfig(task_coef=0.25), torch.Generator(), task_dim=2).update(
        storage, 0.5
    )
    policy.normaliser.update(storage.obs)
    assert {value.device for value in (*losses, grad_norm, skipped)} == {META}
    with pytest.raises(RuntimeError):
        losses.total.item()
    with pytest.raises(RuntimeError):
        generalised_advantages(storage.reward, torch.zeros(6, 4), storage.terminated, gamma=0.9, gae_lambda=0.95)


def test_rows_of_another_device_travel_by_a_place_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def page_locked(like: Tensor) -> Tensor:
        return torch.zeros_like(like, device="cpu")  # locked or not is a matter of speed

    monkeypatch.setattr(device_copy, "_page_locked", page_locked)
    spec = PolicySpec(2, 1, hidden_size=4)
    for source in (torch.device("cpu"), torch.device("cuda", 0)):
        task = slice(spec.trial_obs_dim, spec.trial_obs_dim + 1)
        storage = RolloutStorage(
            spec, num_steps=2, num_envs=1, task=task, device=torch.device("cpu"), env_device=source
        )
        shown = torch.arange(18.0).view(3, 1, 6)
        storage.begin(shown[0])
        for t in range(2):
            reward, fell = torch.tensor([10.0 * t], dtype=torch.float64), torch.tensor([t == 1])
            storage.write(t, TrialStep(shown[t + 1], reward, fell, fell, False))
        assert torch.equal(storage.obs, shown[..., :5])
        assert torch.equal(storage.task, shown[:-1, :, 5:])
        assert storage.reward.flatten().tolist() == [0.0, 10.0]
        assert storage.terminated.flatten().tolist() == [False, True]
    tensor = torch.ones(2)
    assert device_copy.HostFetch(tensor, torch.device("cpu"))(tensor) is tensor


def test_a_stopwatch_gives_the_time_between_its_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([1.0, 1.5, 3.5, 7.0, 8.0])
    monkeypatch.setattr("limbshift.meta.rl2.stopwatch.time.perf_counter", lambda: next(times))
    stopwatch = Stopwatch(torch.device("cpu"))
    for _ in range(3):
        stopwatch.mark()
    assert stopwatch.laps() == [0.5, 2.0]
    stopwatch.mark()
    stopwatch.mark()
    assert stopwatch.laps() == [1.0]
