"""TorchRL's PPO on a vector env: GymWrapper over gym.make_vec, which begins episodes itself, by reset_mask.

Run with torchrl 0.14.1: pip install -c constraints.txt . torchrl && python examples/clients/torchrl_ppo.py [STEPS]
"""

import argparse

import gymnasium as gym
import torch
from tensordict.nn import AddStateIndependentNormalScale, TensorDictModule
from torch import nn
from torchrl.envs import ExplorationType, GymWrapper, RewardSum, TransformedEnv
from torchrl.modules import ProbabilisticActor, TanhNormal, ValueOperator
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value import GAE

import limbshift  # noqa: F401 - makes the ids known

ENVS, LENGTH = 16, 200
parser = argparse.ArgumentParser()
parser.add_argument("steps", type=int, nargs="?", default=100_000)
steps = parser.parse_args().steps
torch.manual_seed(0)
torch.set_num_threads(1)  # the networks are too small to be shared

made = gym.make_vec("limbshift/InvertedPendulumBody-v0", num_envs=ENVS, autoreset_mode="Disabled")
env = TransformedEnv(GymWrapper(made), RewardSum())
env.set_seed(0)
obs_dim, actions = env.observation_spec["observation"].shape[-1], env.action_spec.shape[-1]
bodies = [nn.Sequential(nn.Linear(obs_dim, 64), nn.Tanh(), nn.Linear(64, size)) for size in (actions, 1)]
network = nn.Sequential(bodies[0], AddStateIndependentNormalScale(actions))
policy = ProbabilisticActor(
    TensorDictModule(network, in_keys=["observation"], out_keys=["loc", "scale"]),
    in_keys=["loc", "scale"],
    distribution_class=TanhNormal,
    distribution_kwargs={"low": made.single_action_space.low, "high": made.single_action_space.high},
    default_interaction_type=ExplorationType.RANDOM,
    return_log_prob=True,
)
value = ValueOperator(bodies[1], in_keys=["observation"])
loss = ClipPPOLoss(policy, value, entropy_coeff=0.0)
estimate = GAE(gamma=0.99, lmbda=0.95, value_network=value, average_gae=True)
optimiser = torch.optim.Adam(loss.parameters(), lr=1e-3)

returns = []
for _ in range(max(2, steps // (ENVS * LENGTH))):
    with torch.no_grad():
        data = estimate(env.rollout(LENGTH, policy, break_when_any_done=False))
    returns.append(data["next", "episode_reward"][data["next", "done"]].mean().item())
    for _ in range(4):
        for batch in data.flatten()[torch.randperm(data.numel())].split(800):
            losses = loss(batch)
            optimiser.zero_grad()
            sum(losses[name] for name in ("loss_objective", "loss_critic")).backward()
            optimiser.step()

print(f"return of an episode: {returns[0]:.1f} before, {returns[-1]:.1f} after {steps:,} steps")
