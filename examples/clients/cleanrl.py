"""PPO in one file over gym.make_vec, in the shapes that CleanRL's users know: (num_steps, num_envs, ...).

Run with gymnasium 1.4.0; CleanRL itself is not needed: pip install . && python examples/clients/cleanrl.py [STEPS]
"""

import argparse

import gymnasium as gym
import numpy as np
import torch
from torch import nn
from torch.distributions import Normal

import limbshift  # noqa: F401 - makes the ids known

num_envs, num_steps, gamma, gae_lambda = 16, 200, 0.99, 0.95
parser = argparse.ArgumentParser()
parser.add_argument("steps", type=int, nargs="?", default=100_000)
total = parser.parse_args().steps
torch.manual_seed(0)
envs = gym.wrappers.vector.RecordEpisodeStatistics(gym.make_vec("limbshift/InvertedPendulumBody-v0", num_envs, seed=0))
obs_dim, action_dim = envs.single_observation_space.shape[0], envs.single_action_space.shape[0]
actor, critic = (nn.Sequential(nn.Linear(obs_dim, 64), nn.Tanh(), nn.Linear(64, size)) for size in (action_dim, 1))
log_std = nn.Parameter(torch.zeros(action_dim))
parameters = [*actor.parameters(), *critic.parameters(), log_std]
optimizer = torch.optim.Adam(parameters, lr=1e-3)
next_obs, returns = torch.as_tensor(envs.reset()[0]), []

for _ in range(max(1, total // (num_envs * num_steps))):
    steps = []
    with torch.no_grad():
        for _ in range(num_steps):
            action = torch.normal(actor(next_obs), log_std.exp())
            obs, (next_obs, reward, terminated, truncated, infos) = next_obs, envs.step(action.numpy())
            over = np.flatnonzero(truncated & ~terminated)  # by time alone: what would have followed counts
            if over.size:
                reward[over] += gamma * critic(torch.tensor(np.stack(infos["final_obs"][over])))[:, 0].numpy()
            returns += infos["episode"]["r"][infos["_episode"]].tolist() if "episode" in infos else []
            log_prob = Normal(actor(obs), log_std.exp()).log_prob(action).sum(-1)
            steps.append((obs, action, log_prob, *map(torch.as_tensor, (reward, terminated | truncated))))
            next_obs = torch.as_tensor(next_obs)
        obs, action, log_prob, reward, done = map(torch.stack, zip(*steps, strict=True))  # (T, N, ...)
        values = torch.cat([critic(obs), critic(next_obs)[None]])[..., 0]
        advantage, last = torch.zeros_like(values), 0
        for t in reversed(range(num_steps)):
            discount = gamma * ~done[t]
            last = reward[t] + discount * values[t + 1] - values[t] + discount * gae_lambda * last
            advantage[t] = last
    flat = [part.flatten(0, 1) for part in (obs, action, log_prob, advantage[:-1], advantage[:-1] + values[:-1])]
    for batch in [each for _ in range(4) for each in torch.randperm(num_envs * num_steps).split(800)]:
        o, a, old, adv, target = (part[batch].float() for part in flat)
        ratio = (Normal(actor(o), log_std.exp()).log_prob(a).sum(-1) - old).exp()
        adv = (adv - adv.mean()) / adv.std()
        policy_loss = -torch.min(ratio * adv, ratio.clamp(0.8, 1.2) * adv).mean()
        optimizer.zero_grad()
        (policy_loss + 0.5 * (critic(o)[:, 0] - target).square().mean()).backward()
        nn.utils.clip_grad_norm_(parameters, 0.5)
        optimizer.step()

print(f"return of an episode: {np.mean(returns[:100]):.1f} before, {np.mean(returns[-100:]):.1f} after {total:,} steps")
