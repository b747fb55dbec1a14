"""A method of one's own beside those of `limbshift compare`: a linear policy, by the cross-entropy method.

limbshift compare HalfCheetahDir --method-files examples/own_method.py:cross_entropy --out runs/own-method
"""

import torch
from torch import Tensor

from limbshift.envs.trial_env import TrialEnv
from limbshift.experiments.comparison.timed_training import MakeAct, Setting, TimedTraining
from limbshift.meta.evaluation.trials import Act, play

ELITE = 0.25
"""Share of the policies tried that the next ones are drawn around."""
LEAST_STD = 0.02


def linear(env: TrialEnv, weights: Tensor) -> Act:
    """Returns what acts by (N, obs_dim, action_dim) weights on what the robots sense: no memory, no reward."""
    sensed = env.layout.obs

    def act(obs: Tensor) -> Tensor:
        return torch.einsum("no,noa->na", obs[:, sensed], weights).tanh()

    return act


def cross_entropy(setting: Setting, timed: TimedTraining) -> MakeAct:
    """a linear policy of what is sensed, by the cross-entropy method"""
    env = TrialEnv(setting.family, setting.num_envs, setting.episodes, horizon=setting.horizon, seed=setting.seed)
    generator = torch.Generator().manual_seed(setting.seed)
    mean = torch.zeros(env.task_env.obs_dim, env.task_env.action_dim)
    std = torch.ones_like(mean)
    steps = 0

    def iterate(spent: float) -> None:
        """Tries a policy on each robot, in a task of its own."""
        nonlocal mean, std, steps
        tried = mean + std * torch.randn(env.num_envs, *mean.shape, generator=generator)
        returns = torch.from_numpy(play(env, linear(env, tried)).reward).sum(dim=(1, 2))
        elite = tried[returns.topk(min(env.num_envs, max(2, round(ELITE * env.num_envs)))).indices]
        mean, std = elite.mean(dim=0), elite.std(dim=0, correction=0) + LEAST_STD
        steps += env.num_envs * env.steps_per_trial

    def make_act(played: TrialEnv) -> Act:
        return linear(played, mean.expand(played.num_envs, -1, -1))

    timed.run(iterate, lambda: steps, make_act)
    env.close()
    return make_act
