"""Ways to meet tasks that are new: what a comparison knows of each before it is trained."""

from collections.abc import Mapping
from typing import NamedTuple


class Method(NamedTuple):
    """A way to meet new tasks."""

    description: str
    observes_task: bool = False
    budget: float = 1.0
    """In units of the common one."""
    needs: str = ""
    """A package of the extra `sb3`."""
    by_gradient: bool = False
    """Whether it adapts by gradient steps after each episode, which go on as long as there are episodes."""
    min_episodes: int = 1
    """In a trial."""


METHODS: Mapping[str, Method] = {
    "rl2": Method("a recurrent policy, PPO over trials, and a memory that learns to tell the task: ours"),
    "plain-rl2": Method(
        "ours without learning to tell the task, from returns alone",
    ),
    "no-memory": Method(
        "ours without state, previous action and reward",
    ),
    "oracle": Method(
        "ours, shown its task",
        observes_task=True,
    ),
    "ceiling": Method(
        "the oracle with three times the budget",
        observes_task=True,
        budget=3.0,
    ),
    "maml": Method("a start from which a few policy gradient steps suit each task", by_gradient=True, min_episodes=2),
    "ppo": Method("Stable-Baselines3's PPO over the task distribution, no memory", needs="stable_baselines3"),
    "sac": Method("Stable-Baselines3's SAC over the task distribution, no memory", needs="stable_baselines3"),
    "recurrent-ppo": Method("sb3-contrib's RecurrentPPO over the same trials", needs="sb3_contrib"),
    "finetune": Method(
        "Stable-Baselines3's PPO over the task distribution, then steps of Adam on each task",
        needs="stable_baselines3",
        by_gradient=True,
    ),
    "random": Method("random actions"),
}
