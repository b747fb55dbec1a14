"""Meta-reinforcement learning on robots whose limbs, motors and goals change from task to task.

Importing this makes `limbshift/<Family>-v0` known to `gym.make` and `gym.make_vec`.
"""

from limbshift.envs.adapters.registration import make_sb3, make_trials, register_envs
from limbshift.envs.family import families
from limbshift.envs.family import make_family as family
from limbshift.experiments.commands.evaluate import evaluate
from limbshift.experiments.commands.train import train
from limbshift.experiments.runs.controllers import load_controller

__all__ = ["evaluate", "families", "family", "load_controller", "make_sb3", "make_trials", "train"]

register_envs()
