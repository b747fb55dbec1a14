"""Meta-reinforcement learning on robots whose limbs, motors and goals change from task to task.

Importing this makes `limbshift/<Family>-v0` known to `gym.make` and `gym.make_vec`.
"""

from envs.family import families
from envs.family import make_family as family
from envs.gymnasium_api import make_sb3, make_trials, register_envs
from experiments.evaluate import evaluate
from experiments.shipped import load_controller
from experiments.train import train

__all__ = ["evaluate", "families", "family", "load_controller", "make_sb3", "make_trials", "train"]

register_envs()
