"""The methods of a comparison: what is known of each before it is trained."""

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any, NamedTuple

from limbshift.envs.errors import InputError


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
    tuned_as: str | None = "limbshift"
    """The method whose presets it takes."""
    network: Mapping[str, Any] = MappingProxyType({})
    """What of its network is its own, whatever is tuned or chosen for all."""
    is_told: bool = False
    """Whether it, or whom it imitates, is shown the task while training."""
    believes: bool = False
    """Whether it has the belief network that the family asks for, where its cell can have one."""
    reference: str = ""
    """Of a method of the user's own: FILE.py:function."""
    code: str = ""
    """Of a method of the user's own: a few letters that tell its file's contents from others."""


METHODS: dict[str, Method] = {
    "limbshift": Method(
        "RL² by PPO, with an auxiliary loss while training: its memory must tell the task", believes=True
    ),
    "rl2": Method("plain RL² by PPO: limbshift without the auxiliary loss"),
    "hyper": Method(
        "limbshift whose memory makes the weights of its action head: a hypernetwork",
        network={"head": "hyper"},
        believes=True,
    ),
    "transformer": Method(
        "limbshift with a transformer in place of the LSTM", network={"cell": "transformer", "head": "linear"}
    ),
    "belief": Method(
        "limbshift that is told its task at first, and later sees a belief network's guess at it",
        network={"cell": "lstm", "belief_size": 64},
    ),
    "no-memory": Method("limbshift without LSTM state, previous action and reward"),
    "oracle": Method("limbshift, shown its task", observes_task=True, is_told=True),
    "ceiling": Method("the oracle with three times the budget", observes_task=True, is_told=True, budget=3.0),
    "rma": Method(
        "an oracle for half of the budget, then a student with memory that imitates it on its own trials", is_told=True
    ),
    "maml": Method(
        "a start from which a few policy gradient steps suit each task", by_gradient=True, min_episodes=2, tuned_as=None
    ),
    "ppo": Method(
        "Stable-Baselines3's PPO over the task distribution, no memory", needs="stable_baselines3", tuned_as="ppo"
    ),
    "sac": Method(
        "Stable-Baselines3's SAC over the task distribution, no memory", needs="stable_baselines3", tuned_as=None
    ),
    "recurrent-ppo": Method(
        "sb3-contrib's RecurrentPPO over the same trials", needs="sb3_contrib", tuned_as="recurrent-ppo"
    ),
    "finetune": Method(
        "Stable-Baselines3's PPO over the task distribution, then steps of Adam on each task",
        needs="stable_baselines3",
        by_gradient=True,
        tuned_as="ppo",
    ),
    "random": Method("random actions", tuned_as=None),
}


def reference(names: Iterable[str]) -> str:
    """Returns the first method that learns and is not shown its task, whose lead over the others is told; else an
    oracle, and random actions where there is nothing else.

    >>> reference(["oracle", "ppo", "random"]), reference(["oracle", "random"]), reference(["random"])
    ('ppo', 'oracle', 'random')
    """
    return min(names, key=lambda name: (name == "random", METHODS[name].observes_task))


def check_installed(*methods: str) -> None:
    """Raises InputError where a method's package is not installed."""
    for name in methods:
        needed = METHODS[name].needs
        if needed and not find_spec(needed):
            raise InputError(f"method {name} needs {needed}: pip install '.[sb3]'")
