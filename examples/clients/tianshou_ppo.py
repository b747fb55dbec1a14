"""Tianshou's PPO: its vector envs are made of single ones, each of which draws its own tasks.

Run with tianshou 2.0.1, which asks for an older filelock than our constraints.txt has, so without that file:
    pip install . tianshou==2.0.1 && python examples/clients/tianshou_ppo.py [EPOCHS]
"""

import argparse

import gymnasium as gym
import torch
from tianshou.algorithm import PPO
from tianshou.algorithm.modelfree.reinforce import ProbabilisticActorPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.data import Collector, VectorReplayBuffer
from tianshou.env import DummyVectorEnv
from tianshou.trainer import OnPolicyTrainerParams
from tianshou.utils.net.common import Net
from tianshou.utils.net.continuous import ContinuousActorProbabilistic, ContinuousCritic
from torch.distributions import Independent, Normal

import limbshift  # noqa: F401 - makes the ids known

ID, ENVS = "limbshift/InvertedPendulumBody-v0", 8
parser = argparse.ArgumentParser()
parser.add_argument("epochs", type=int, nargs="?", default=4)
epochs = parser.parse_args().epochs
torch.manual_seed(0)


def vector_env(split: str) -> DummyVectorEnv:
    envs = DummyVectorEnv([lambda: gym.make(ID, split=split) for _ in range(ENVS)])
    envs.seed(0)
    return envs


train, heldout = vector_env("train"), vector_env("heldout")
single = gym.make(ID)
obs_shape, action_shape = single.observation_space.shape, single.action_space.shape
body = {"state_shape": obs_shape, "hidden_sizes": [64], "activation": torch.nn.Tanh}
actor = ContinuousActorProbabilistic(preprocess_net=Net(**body), action_shape=action_shape, unbounded=True)
policy = ProbabilisticActorPolicy(
    actor=actor,
    dist_fn=lambda loc_scale: Independent(Normal(*loc_scale), 1),
    action_space=single.action_space,
    deterministic_eval=True,
)
critic = ContinuousCritic(preprocess_net=Net(**body))
algorithm = PPO(policy=policy, critic=critic, optim=AdamOptimizerFactory(lr=1e-3), ent_coef=0.0)
judge = Collector(algorithm, heldout)
before = judge.collect(n_episode=32, reset_before_collect=True).returns.mean()
algorithm.run_training(
    OnPolicyTrainerParams(
        training_collector=Collector(algorithm, train, VectorReplayBuffer(1600, ENVS)),
        max_epochs=epochs,
        epoch_num_steps=8000,
        collection_step_num_env_steps=1600,
        update_step_num_repetitions=4,
        batch_size=400,
        show_progress=False,
    )
)
after = judge.collect(n_episode=32, reset_before_collect=True).returns.mean()
print(f"return of an episode on 32 held-out bodies: {before:.1f} before, {after:.1f} after {8000 * epochs:,} steps")
