"""sb3-contrib's RecurrentPPO through whole trials: its LSTM is wiped where a trial ends, and not between episodes.

Run with sb3-contrib 2.9.2:
    pip install -c constraints.txt '.[sb3]' && python examples/clients/sb3_recurrent.py [STEPS]
"""

import argparse

import torch
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

import limbshift

FAMILY, SHAPE = "ArmPayload", {"trials": True, "episodes_per_trial": 2, "horizon": 50}
parser = argparse.ArgumentParser()
parser.add_argument("steps", type=int, nargs="?", default=20_000)
steps = parser.parse_args().steps
torch.set_num_threads(1)  # the networks are too small to be shared

env = VecNormalize(VecMonitor(limbshift.make_sb3(FAMILY, num_envs=16, seed=0, **SHAPE)))
network = {"lstm_hidden_size": 64, "net_arch": [64]}
model = RecurrentPPO(
    "MlpLstmPolicy", env, n_steps=100, batch_size=400, n_epochs=4, learning_rate=1e-3, policy_kwargs=network, seed=0
)
heldout = limbshift.make_sb3(FAMILY, num_envs=16, split="heldout", seed=0, **SHAPE)
judged = VecNormalize(VecMonitor(heldout), training=False, norm_reward=False)
judged.obs_rms = env.obs_rms  # the scale of observations that was found in training

before, _ = evaluate_policy(model, judged, n_eval_episodes=32)
model.learn(steps)
after, _ = evaluate_policy(model, judged, n_eval_episodes=32)

print(f"return of a trial on 32 held-out loads: {before:.0f} before, {after:.0f} after {steps:,} steps")
