"""Ways to meet tasks that are new, each trained on the same family for the same time."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch

from agents.actor import PolicyActor
from envs.family import TaskFamily
from envs.trial_env import TrialEnv
from experiments.configs import TrainConfig
from experiments.train import make_trainer
from experiments.watch import MakeAct, Watch
from meta.adaptation import Act, random_actor


class Setting(NamedTuple):
    """What all methods have in common."""

    family: TaskFamily
    seed: int
    num_envs: int
    episodes: int
    horizon: int


class Method(NamedTuple):
    """A way to meet new tasks."""

    description: str
    train: Callable[[Setting, Watch], MakeAct]
    """Trains until the watch says stop; the policy that came of it."""
    observes_task: bool = False
    budget: float = 1.0
    """In units of the common one."""
    needs: str = ""
    """A package of the extra `rivals`."""


def train_ours(setting: Setting, watch: Watch, memory: bool = True, observe_task: bool = False) -> MakeAct:
    """RL² as `limbshift train` does it."""
    config = TrainConfig(
        family=setting.family.name,
        num_envs=setting.num_envs,
        episodes=setting.episodes,
        horizon=setting.horizon,
        seed=setting.seed,
        no_memory=not memory,
        observe_task=observe_task,
    )
    trainer = make_trainer(config, setting.family, torch.device("cpu"))

    def make_act(env: TrialEnv) -> Act:
        return PolicyActor(trainer.policy, env.num_envs)

    watch.begin()
    trainer.iterate(watch.share)
    while watch(trainer.progress.steps, make_act):
        trainer.iterate(watch.share)
    trainer.env.close()
    return make_act


def train_random(setting: Setting, watch: Watch) -> MakeAct:
    """Nothing is learned."""

    def make_act(env: TrialEnv) -> Act:
        return random_actor(env, setting.seed)

    watch.look(0, make_act)
    return make_act


def train_rival(name: str) -> Callable[[Setting, Watch], MakeAct]:
    """One of Stable-Baselines3's, which is imported when it is asked for: an optional extra."""

    def train(setting: Setting, watch: Watch) -> MakeAct:
        from experiments import rivals

        return rivals.TRAIN[name](setting, watch)

    return train


METHODS: Mapping[str, Method] = {
    "rl2": Method("LSTM and PPO over trials: ours", train_ours),
    "no-memory": Method(
        "ours without state, previous action and reward",
        lambda setting, watch: train_ours(setting, watch, memory=False),
    ),
    "oracle": Method(
        "ours, shown its task",
        lambda setting, watch: train_ours(setting, watch, observe_task=True),
        observes_task=True,
    ),
    "ceiling": Method(
        "the oracle with three times the budget",
        lambda setting, watch: train_ours(setting, watch, observe_task=True),
        observes_task=True,
        budget=3.0,
    ),
    "ppo": Method(
        "Stable-Baselines3's PPO over the task distribution, no memory", train_rival("ppo"), needs="stable_baselines3"
    ),
    "sac": Method(
        "Stable-Baselines3's SAC over the task distribution, no memory", train_rival("sac"), needs="stable_baselines3"
    ),
    "recurrent-ppo": Method(
        "sb3-contrib's RecurrentPPO over the same trials", train_rival("recurrent-ppo"), needs="sb3_contrib"
    ),
    "random": Method("random actions", train_random),
}
