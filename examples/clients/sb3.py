"""Stable-Baselines3's PPO on a family's tasks, single episodes: PPO sees no return without VecMonitor.

Run with stable-baselines3 2.9.2: pip install -c constraints.txt '.[sb3]' && python examples/clients/sb3.py [STEPS]
"""

import argparse

from stable_baselines3 import PPO
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecMonitor

import limbshift

parser = argparse.ArgumentParser()
parser.add_argument("steps", type=int, nargs="?", default=100_000)
steps = parser.parse_args().steps

env = VecMonitor(limbshift.make_sb3("InvertedPendulumBody", num_envs=16, seed=0))
heldout = VecMonitor(limbshift.make_sb3("InvertedPendulumBody", num_envs=16, split="heldout", seed=0))
model = PPO("MlpPolicy", env, n_steps=200, batch_size=400, seed=0, device="cpu", verbose=1)
before, _ = evaluate_policy(model, heldout, n_eval_episodes=64)
model.learn(steps)
after, _ = evaluate_policy(model, heldout, n_eval_episodes=64)

print(f"return of an episode on 64 held-out bodies: {before:.1f} before, {after:.1f} after {steps:,} steps")
