"""Stable-Baselines3's algorithms over a family's tasks, with our sizes, rates and normalisation."""

from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

import numpy as np
import torch
from sb3_contrib import RecurrentPPO
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecNormalize
from torch import Tensor, nn

from limbshift.agents.feedforward import FeedforwardActorCritic
from limbshift.agents.normaliser import InputNormaliser
from limbshift.envs.adapters.make import make_sb3
from limbshift.envs.trial_env import TrialEnv
from limbshift.experiments.comparison.timed_training import MakeAct, Setting, TimedTraining
from limbshift.meta.evaluation.trials import Act
from limbshift.meta.maml.inner_loop import AdaptingActor, GradientSteps
from limbshift.meta.threads import torch_threads

UNLIMITED = 10**12
"""Steps that no budget of time reaches."""
SAC_GRADIENT_STEPS = 8
"""After each step of all envs; one for each env's step would leave the simulator idle."""
FINETUNE_RATE, FINETUNE_STEPS = 5e-4, 16
"""Of Adam on a task's own copy of PPO's policy, after each of its episodes."""


class TimedTrainingCallback(BaseCallback):
    """Asks the clock whenever a rollout begins, which is when the update before it is over.

    Rollouts are played on one of PyTorch's threads, as ours are: several would take the cores from the simulator's.
    """

    def __init__(self, timed: TimedTraining, make_act: MakeAct) -> None:
        super().__init__()
        self._watch = timed
        self._make_act = make_act
        self._goes_on = True
        self._threads = torch.get_num_threads()

    def _on_training_start(self) -> None:
        self._watch.begin()

    def _on_rollout_start(self) -> None:
        if self.num_timesteps:
            self._goes_on = self._watch(self.num_timesteps, self._make_act)
        torch.set_num_threads(1)

    def _on_rollout_end(self) -> None:
        torch.set_num_threads(self._threads)

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
    return VecNormalize(env, gamma=setting.gamma)


def acting(algorithm: BaseAlgorithm, env: VecNormalize, trials: bool) -> MakeAct:
    """Returns a way to play our trials by the algorithm's mean actions; it sees what it was trained to see."""

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


def finetuning(algorithm: PPO, env: VecNormalize, setting: Setting) -> MakeAct:
    """Returns a way to play trials by each task's own copy of the policy, improved after each of its episodes."""

    def make_act(played: TrialEnv) -> Act:
        steps = GradientSteps(as_ours(algorithm, env), FINETUNE_RATE, FINETUNE_STEPS, clip_coef=setting.ppo.clip_coef)
        generator = torch.Generator().manual_seed(setting.seed)
        reward_scale = torch.tensor((env.ret_rms.var + env.epsilon) ** -0.5, dtype=torch.float32)
        return AdaptingActor(
            steps.policy,
            steps.adapt_by_adam,
            played,
            generator=generator,
            reward_scale=reward_scale,
            gamma=algorithm.gamma,
            gae_lambda=setting.ppo.gae_lambda,
        )

    return make_act


def as_ours(algorithm: PPO, env: VecNormalize) -> FeedforwardActorCritic:
    """Returns the algorithm's policy and value, weights and all, with the env's normalisation."""
    theirs, seen = algorithm.policy, env.obs_rms
    assert isinstance(seen, RunningMeanStd)  # of one array, not of a dictionary
    normaliser = InputNormaliser(len(seen.mean), torch.empty(0))
    normaliser.mean.copy_(torch.from_numpy(seen.mean))
    normaliser.var.copy_(torch.from_numpy(seen.var))
    normaliser.set_scale()
    mean = nn.Sequential(*theirs.mlp_extractor.policy_net, theirs.action_net)
    value = nn.Sequential(*theirs.mlp_extractor.value_net, theirs.value_net)
    return FeedforwardActorCritic(normaliser, mean, value, log_std=theirs.log_std)


def learn(algorithm: BaseAlgorithm, env: VecNormalize, timed: TimedTraining, *, make_act: MakeAct) -> MakeAct:
    """Trains until the clock says stop."""
    algorithm.set_logger(Logger(None, []))  # its own would leave an empty directory in the system's temporary one
    with closing(env), torch_threads(torch.get_num_threads()):
        algorithm.learn(UNLIMITED, callback=TimedTrainingCallback(timed, make_act))
    return make_act


def ppo_settings(setting: Setting) -> dict[str, Any]:
    """Returns both PPOs' settings: ours, under Stable-Baselines3's names; rollouts are as long as trials."""
    ours = setting.ppo
    return {
        "n_steps": setting.episodes * setting.horizon,
        "learning_rate": ours.learning_rate,
        "gamma": setting.gamma,
        "gae_lambda": ours.gae_lambda,
        "clip_range": ours.clip_coef,
        "ent_coef": ours.ent_coef,
        "vf_coef": ours.vf_coef,
        "max_grad_norm": ours.max_grad_norm,
        "n_epochs": ours.update_epochs,
        "seed": setting.seed,
        "device": "cpu",
    }


def make_ppo(setting: Setting, env: VecNormalize) -> PPO:
    """Makes PPO whose batches hold single steps of single episodes."""
    settings = ppo_settings(setting)
    return PPO(
        "MlpPolicy",
        env,
        batch_size=setting.num_envs * settings["n_steps"] // setting.ppo.num_minibatches,
        policy_kwargs={"net_arch": [setting.hidden_size, setting.hidden_size], "log_std_init": setting.initial_log_std},
        **settings,
    )


def train_ppo(setting: Setting, timed: TimedTraining) -> MakeAct:
    """Trains PPO, which acts on each task as it is after training."""
    env = normalised_env(setting, trials=False)
    algorithm = make_ppo(setting, env)
    return learn(algorithm, env, timed, make_act=acting(algorithm, env, trials=False))


def train_finetune(setting: Setting, timed: TimedTraining) -> MakeAct:
    """Trains the same PPO, which goes on learning by itself on each task."""
    env = normalised_env(setting, trials=False)
    algorithm = make_ppo(setting, env)
    return learn(algorithm, env, timed, make_act=finetuning(algorithm, env, setting))


def train_sac(setting: Setting, timed: TimedTraining) -> MakeAct:
    """Its own settings, but for sizes and discount."""
    env = normalised_env(setting, trials=False)
    algorithm = SAC(
        "MlpPolicy",
        env,
        gamma=setting.gamma,
        gradient_steps=SAC_GRADIENT_STEPS,
        learning_starts=10 * setting.num_envs,
        seed=setting.seed,
        device="cpu",
        policy_kwargs={"net_arch": [setting.hidden_size, setting.hidden_size]},
    )
    return learn(algorithm, env, timed, make_act=acting(algorithm, env, trials=False))


def train_recurrent_ppo(setting: Setting, timed: TimedTraining) -> MakeAct:
    """Trains RecurrentPPO with whole trials in each batch: a rollout is one trial of each env."""
    env, settings = normalised_env(setting, trials=True), ppo_settings(setting)
    algorithm = RecurrentPPO(
        "MlpLstmPolicy",
        env,
        batch_size=settings["n_steps"] * max(1, setting.num_envs // setting.ppo.num_minibatches),
        policy_kwargs={
            "net_arch": [setting.hidden_size],
            "lstm_hidden_size": setting.hidden_size,
            "shared_lstm": True,
            "enable_critic_lstm": False,
            "log_std_init": setting.initial_log_std,
        },
        **settings,
    )
    return learn(algorithm, env, timed, make_act=acting(algorithm, env, trials=True))


TRAIN: Mapping[str, Callable[[Setting, TimedTraining], MakeAct]] = {
    "ppo": train_ppo,
    "sac": train_sac,
    "recurrent-ppo": train_recurrent_ppo,
    "finetune": train_finetune,
}
