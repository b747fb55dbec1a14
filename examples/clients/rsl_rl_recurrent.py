"""rsl_rl's OnPolicyRunner with LSTMs through whole trials; only the critic is shown the task.

Run with rsl-rl-lib 5.5.1:
    pip install -c constraints.txt '.[rsl-rl]' && python examples/clients/rsl_rl_recurrent.py [ITERATIONS]
On a GPU, where all tensors stay: physics="warp" for make_rsl_rl (with the extra gpu), and device="cuda" for the runner.
"""

import argparse

import torch
from rsl_rl.runners import OnPolicyRunner

import limbshift

parser = argparse.ArgumentParser()
parser.add_argument("iterations", type=int, nargs="?", default=20)
iterations = parser.parse_args().iterations
torch.manual_seed(0)
torch.set_num_threads(1)  # the networks are too small to be shared

FAMILY, SHAPE = "ArmPayload", {"trials": True, "episodes_per_trial": 2, "horizon": 50}
NETWORK = {"class_name": "RNNModel", "hidden_dims": [64], "rnn_hidden_dim": 64, "obs_normalization": True}
CONFIG = {
    "num_steps_per_env": 100,  # a trial
    "save_interval": 1000,
    "obs_groups": {"actor": ["policy"], "critic": ["policy", "task"]},
    "actor": {**NETWORK, "distribution_cfg": {"class_name": "GaussianDistribution", "init_std": 0.6}},
    "critic": NETWORK,
    "algorithm": {"class_name": "PPO", "entropy_coef": 0.002},
}


def mean_return(policy: torch.nn.Module) -> float:
    """Returns the return of a held-out trial, by mean actions."""
    env = limbshift.make_rsl_rl(FAMILY, 32, split="heldout", observe_task=True, seed=0, **SHAPE)
    policy.reset()
    total = 0.0
    with torch.inference_mode():
        for _ in range(env.max_episode_length):
            total += env.step(policy(env.get_observations()))[1].mean().item()
    policy.reset()
    return total


runner = OnPolicyRunner(limbshift.make_rsl_rl(FAMILY, 32, observe_task=True, seed=0, **SHAPE), CONFIG, device="cpu")
before = mean_return(runner.get_inference_policy())
runner.learn(iterations)
after = mean_return(runner.get_inference_policy())

print(f"return of a trial on 32 held-out loads: {before:.0f} before, {after:.0f} after {3200 * iterations:,} steps")
