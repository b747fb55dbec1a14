"""Stable-Baselines3's algorithms over a family's tasks, with our sizes, rates and normalisation."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from sb3_contrib import RecurrentPPO
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecNormalize
from torch import Tensor

from agents.recurrent import INITIAL_LOG_STD
from envs.gymnasium_api import make_sb3
from envs.trial_env import TrialEnv
from experiments.methods import Setting
from experiments.watch import MakeAct, Watch
from meta.adaptation import Act
from meta.ppo import PPOConfig

UNLIMITED = 10**12
"""Steps that no budget of time reaches."""
HIDDEN = 128
"""Width of layers and of the LSTM, as ours."""
OURS = PPOConfig()
SAC_GRADIENT_STEPS = 8
"""After each step of all envs; one for each env's step would leave the simulator idle."""


class WatchCallback(BaseCallback):
    """Asks the watch whenever a rollout begins, which is when the update before it is over."""

    def __init__(self, watch: Watch, make_act: MakeAct) -> None:
        super().__init__()
        self._watch = watch
        self._make_act = make_act
        self._goes_on = True

    def _on_training_start(self) -> None:
        self._watch.begin()

    def _on_rollout_start(self) -> None:
        if self.num_timesteps:
            self._goes_on = self._watch(self.num_timesteps, self._make_act)

    def _on_step(self) -> bool:
        return self._goes_on


def normalised_env(setting: Setting, trials: bool) -> VecNormalize:
    """Observations and rewards scaled by running statistics, as ours."""
    env = make_sb3(
        setting.family,
        setting.num_envs,
        trials,
        episodes_per_trial=setting.episodes if trials else None,
        horizon=setting.horizon,
        seed=setting.seed,
    )
    return VecNormalize(env, gamma=setting.family.gamma)


def acting(algorithm: BaseAlgorithm, env: VecNormalize, trials: bool) -> MakeAct:
    """The algorithm's mean actions in our trials; it sees what it was trained to see."""

    def make_act(played: TrialEnv) -> Act:
        seen = slice(None) if trials else played.layout.obs
        state: tuple[np.ndarray, ...] | None = None
        starts = np.ones(played.num_envs, dtype=bool)

        def act(obs: Tensor) -> Tensor:
            nonlocal state
            normal = env.normalize_obs(obs[:, seen].numpy())
            action, state = algorithm.predict(normal, state, starts, deterministic=True)
            starts[:] = False
            return torch.from_numpy(action)

        return act

    return make_act


def learn(algorithm: BaseAlgorithm, env: VecNormalize, watch: Watch, trials: bool) -> MakeAct:
    """Until the watch says stop."""
    make_act = acting(algorithm, env, trials)
    algorithm.learn(UNLIMITED, callback=WatchCallback(watch, make_act))
    env.close()
    return make_act


def ppo_settings(setting: Setting) -> dict[str, Any]:
    """Of both PPOs: ours, under Stable-Baselines3's names; a rollout is as long as a trial, and as large as ours."""
    return {
        "n_steps": setting.episodes * setting.horizon,
        "learning_rate": OURS.learning_rate,
        "gamma": setting.family.gamma,
        "gae_lambda": OURS.gae_lambda,
        "clip_range": OURS.clip_coef,
        "ent_coef": OURS.ent_coef,
        "vf_coef": OURS.vf_coef,
        "max_grad_norm": OURS.max_grad_norm,
        "n_epochs": OURS.update_epochs,
        "seed": setting.seed,
        "device": "cpu",
    }


def train_ppo(setting: Setting, watch: Watch) -> MakeAct:
    """Single steps in each batch, of single episodes."""
    env, settings = normalised_env(setting, trials=False), ppo_settings(setting)
    algorithm = PPO(
        "MlpPolicy",
        env,
        batch_size=setting.num_envs * settings["n_steps"] // OURS.num_minibatches,
        policy_kwargs={"net_arch": [HIDDEN, HIDDEN], "log_std_init": INITIAL_LOG_STD},
        **settings,
    )
    return learn(algorithm, env, watch, trials=False)


def train_sac(setting: Setting, watch: Watch) -> MakeAct:
    """Its own settings, but for sizes and discount."""
    env = normalised_env(setting, trials=False)
    algorithm = SAC(
        "MlpPolicy",
        env,
        gamma=setting.family.gamma,
        gradient_steps=SAC_GRADIENT_STEPS,
        learning_starts=10 * setting.num_envs,
        seed=setting.seed,
        device="cpu",
        policy_kwargs={"net_arch": [HIDDEN, HIDDEN]},
    )
    return learn(algorithm, env, watch, trials=False)


def train_recurrent_ppo(setting: Setting, watch: Watch) -> MakeAct:
    """Whole trials in each batch: a rollout is one trial of each env."""
    env, settings = normalised_env(setting, trials=True), ppo_settings(setting)
    algorithm = RecurrentPPO(
        "MlpLstmPolicy",
        env,
        batch_size=settings["n_steps"] * max(1, setting.num_envs // OURS.num_minibatches),
        policy_kwargs={
            "net_arch": [HIDDEN],
            "lstm_hidden_size": HIDDEN,
            "shared_lstm": True,
            "enable_critic_lstm": False,
            "log_std_init": INITIAL_LOG_STD,
        },
        **settings,
    )
    return learn(algorithm, env, watch, trials=True)


TRAIN: Mapping[str, Callable[[Setting, Watch], MakeAct]] = {
    "ppo": train_ppo,
    "sac": train_sac,
    "recurrent-ppo": train_recurrent_ppo,
}
