"""Records a Minari data set of a shipped controller's trials: K episodes of one task, then the next task.

Run with minari 0.5.4:
    pip install -c constraints.txt . 'minari[create,hdf5]' && python examples/clients/minari_dataset.py [TRIALS]
The data set goes where MINARI_DATASETS_PATH says, and else into a folder that is deleted at the end.
"""

import argparse
import os
import tempfile
from typing import Any

import gymnasium as gym
import minari
import numpy as np

import limbshift

CONTROLLER, NAME = "ReacherGoal", "limbshift/reacher-goal/shipped-v0"
parser = argparse.ArgumentParser()
parser.add_argument("trials", type=int, nargs="?", default=4)
trials = parser.parse_args().trials


class WithTask(minari.StepDataCallback):
    """Keeps of an info what is told at each step, as Minari asks: the task."""

    def __call__(self, env: gym.Env, **step: Any) -> dict[str, Any]:
        data = super().__call__(env, **step)
        return {**data, "info": {name: value for name, value in data["info"].items() if name.startswith("task/")}}


with tempfile.TemporaryDirectory() as folder:
    os.environ.setdefault("MINARI_DATASETS_PATH", folder)
    controller = limbshift.load_controller(CONTROLLER)
    episodes, horizon = controller.card.episodes_per_trial, controller.card.horizon
    made = gym.make(f"limbshift/{CONTROLLER}-v0", split="heldout", horizon=horizon, flat_info=True)
    env = minari.DataCollector(made, step_data_callback=WithTask, record_infos=True)
    for trial in range(trials):
        controller.reset(1)
        reward = 0.0
        for episode in range(episodes):
            seed = {"seed": 0} if trial == 0 and episode == 0 else {}
            obs, _ = env.reset(**seed, options={"keep_task": episode > 0})
            boundary, over = 1.0, False
            while not over:
                action = controller.act(obs[None], np.array([reward]), np.array([boundary]))[0]
                obs, reward, terminated, truncated, _ = env.step(action)
                boundary, over = 0.0, terminated or truncated
    data = env.create_dataset(
        NAME, algorithm_name="limbshift", code_permalink="", author="limbshift", eval_env=made.spec
    )
    env.close()

    again = minari.load_dataset(NAME)
    returns = np.array([each.rewards.sum() for each in again.iterate_episodes()]).reshape(trials, episodes)
    print(f"{again.total_episodes} episodes, {again.total_steps:,} steps; tasks {again[0].infos.keys()}")
    print(f"return of an episode: {returns[:, 0].mean():.1f} in the first, {returns[:, -1].mean():.1f} in the last")
