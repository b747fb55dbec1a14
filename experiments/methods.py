"""Ways to meet tasks that are new, each trained on the same family for the same time."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch

from agents.actor import PolicyActor
from agents.feedforward import FeedforwardActorCritic
from agents.recurrent import RecurrentCell
from envs.family import TaskFamily
from envs.trial_env import TrialEnv
from experiments.configs import TrainConfig
from experiments.train import make_trainer
from experiments.watch import MakeAct, Watch
from meta.adaptation import Act, random_actor
from meta.maml import MAML, MAMLConfig
from meta.ppo import PPOConfig

HIDDEN = 128
"""Width of layers and of the recurrent cell, in all methods."""


class Setting(NamedTuple):
    """What all methods have in common."""

    family: TaskFamily
    seed: int
    num_envs: int
    episodes: int
    horizon: int
    cell: RecurrentCell = "lstm"
    hide_reward: bool = False
    first_order: bool = False


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
    by_gradient: bool = False
    """Whether it adapts by gradient steps after each episode, which go on as long as there are episodes."""
    min_episodes: int = 1
    """In a trial."""


def train_ours(
    setting: Setting, watch: Watch, memory: bool = True, observe_task: bool = False, tell_task: bool = True
) -> MakeAct:
    """RL² as `limbshift train` does it; or plain, when what is remembered need not tell the task."""
    config = TrainConfig(
        family=setting.family.name,
        num_envs=setting.num_envs,
        episodes=setting.episodes,
        horizon=setting.horizon,
        seed=setting.seed,
        no_memory=not memory,
        observe_task=observe_task,
        hidden_size=HIDDEN,
        cell=setting.cell,
        hide_reward=setting.hide_reward,
        ppo=PPOConfig() if tell_task else PPOConfig(task_coef=0.0),
    )
    trainer = make_trainer(config, setting.family, torch.device("cpu"))

    def make_act(env: TrialEnv) -> Act:
        return PolicyActor(trainer.policy, env.num_envs)

    watch.run(trainer.iterate, lambda: trainer.progress.steps, make_act)
    trainer.env.close()
    return make_act


def train_maml(setting: Setting, watch: Watch) -> MakeAct:
    """Each task's own copy of a policy, which is improved after each of its episodes."""
    env = TrialEnv(setting.family, setting.num_envs, setting.episodes, setting.horizon, seed=setting.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(setting.seed)
        policy = FeedforwardActorCritic.of_size(
            env.tasks.obs_dim, env.tasks.action_dim, HIDDEN, setting.family.initial_log_std
        )
    maml = MAML(env, policy, MAMLConfig(first_order=setting.first_order), setting.family.gamma, setting.seed)

    def make_act(env: TrialEnv) -> Act:
        return maml.actor(env, torch.Generator().manual_seed(setting.seed))

    watch.run(maml.iterate, lambda: maml.steps, make_act)
    env.close()
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
    "rl2": Method("a recurrent policy, PPO over trials, and a memory that learns to tell the task: ours", train_ours),
    "plain-rl2": Method(
        "ours without learning to tell the task, from returns alone",
        lambda setting, watch: train_ours(setting, watch, tell_task=False),
    ),
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
    "maml": Method(
        "a start from which a few policy gradient steps suit each task", train_maml, by_gradient=True, min_episodes=2
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
    "finetune": Method(
        "Stable-Baselines3's PPO over the task distribution, then steps of Adam on each task",
        train_rival("finetune"),
        needs="stable_baselines3",
        by_gradient=True,
    ),
    "random": Method("random actions", train_random),
}
