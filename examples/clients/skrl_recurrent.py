"""skrl's PPO_RNN through whole trials: a sequence is a trial, and its memory is wiped where a trial ends.

Run with skrl 2.1.1: pip install -c constraints.txt . skrl && python examples/clients/skrl_recurrent.py [STEPS]
"""

import argparse

import torch
from gymnasium.wrappers.vector import RecordEpisodeStatistics
from skrl.agents.torch.ppo import PPO_RNN
from skrl.envs.wrappers.torch import wrap_env
from skrl.memories.torch import RandomMemory
from skrl.models.torch import DeterministicMixin, GaussianMixin, Model
from skrl.resources.preprocessors.torch import RunningStandardScaler
from skrl.trainers.torch import SequentialTrainer

import limbshift

ENVS, TRIAL, HIDDEN = 16, 100, 64
parser = argparse.ArgumentParser()
parser.add_argument("steps", type=int, nargs="?", default=40_000)
steps = parser.parse_args().steps
torch.manual_seed(0)
torch.set_num_threads(1)  # the networks are too small to be shared


class Recurrent(GaussianMixin, DeterministicMixin, Model):
    """An LSTM and a linear head: the policy's means, or the value."""

    def __init__(self, kind: type, outputs: int) -> None:
        Model.__init__(self, observation_space=env.observation_space, action_space=env.action_space, device="cpu")
        kind.__init__(self)
        self.act = lambda inputs, role="": kind.act(self, inputs, role=role)
        self.lstm, self.head = torch.nn.LSTM(self.num_observations, HIDDEN), torch.nn.Linear(HIDDEN, outputs)
        self.log_std = torch.nn.Parameter(torch.full((self.num_actions,), -0.5))

    def get_specification(self) -> dict:
        return {"rnn": {"sequence_length": TRIAL, "sizes": [(1, ENVS, HIDDEN)] * 2}}

    def compute(self, inputs: dict, role: str = "") -> tuple[torch.Tensor, dict]:
        length = TRIAL if self.training else 1  # an update sees whole trials, from the states at their first steps
        obs = inputs["observations"].unflatten(0, (-1, length)).transpose(0, 1)
        out, state = self.lstm(obs, tuple(each[:, ::length].contiguous() for each in inputs["rnn"]))
        return self.head(out.transpose(0, 1).flatten(0, 1)), {"log_std": self.log_std, "rnn": list(state)}


trials = limbshift.make_trials("ArmPayload", ENVS, 2, horizon=TRIAL // 2, seed=0)
made = RecordEpisodeStatistics(trials, buffer_length=10_000)
env = wrap_env(made)
models = {"policy": Recurrent(GaussianMixin, 6), "value": Recurrent(DeterministicMixin, 1)}
cfg = {"rollouts": TRIAL, "mini_batches": 4, "learning_epochs": 4, "learning_rate": 1e-3, "value_loss_scale": 0.5}
cfg |= {"observation_preprocessor": RunningStandardScaler, "value_preprocessor": RunningStandardScaler}
cfg |= {"observation_preprocessor_kwargs": {"size": env.observation_space}, "value_preprocessor_kwargs": {"size": 1}}
cfg["experiment"] = {"write_interval": 0, "checkpoint_interval": 0}
memory = RandomMemory(memory_size=TRIAL, num_envs=ENVS, device="cpu")
spaces = {"observation_space": env.observation_space, "action_space": env.action_space}
agent = PPO_RNN(models=models, memory=memory, cfg=cfg, device="cpu", **spaces)
told = {"timesteps": steps // ENVS, "headless": True, "disable_progressbar": True}  # else it asks for frames
SequentialTrainer(env=env, agents=agent, cfg=told).train()

returns = list(made.return_queue)  # of each trial, in turn
first, last = sum(returns[:ENVS]) / ENVS, sum(returns[-ENVS:]) / ENVS
print(f"return of a trial: {first:.0f} before, {last:.0f} after {steps:,} steps")
