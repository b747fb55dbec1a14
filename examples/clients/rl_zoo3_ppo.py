"""RL Baselines3 Zoo trains on a family: `--gym-packages limbshift` makes our ids known, and settings come in a file.

Run with rl_zoo3 2.9.2, which asks for an older python-dateutil than our constraints.txt has, so without that file:
    pip install . rl_zoo3==2.9.2 && python examples/clients/rl_zoo3_ppo.py [STEPS]
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import limbshift

FAMILY = "InvertedPendulumBody"
assert FAMILY in limbshift.families()
parser = argparse.ArgumentParser()
parser.add_argument("steps", type=int, nargs="?", default=50_000)
steps = parser.parse_args().steps
SETTINGS = f"""
limbshift/{FAMILY}-v0:
  policy: MlpPolicy
  n_envs: 8
  n_timesteps: {steps}
  n_steps: 400
  batch_size: 400
"""

with tempfile.TemporaryDirectory() as folder:
    settings = Path(folder) / "ppo.yml"
    settings.write_text(SETTINGS)
    told = ["--algo", "ppo", "--env", f"limbshift/{FAMILY}-v0", "--gym-packages", "limbshift", "--seed", "0"]
    told += ["--conf-file", str(settings), "--log-folder", folder, "--device", "cpu", "--num-threads", "1"]
    told += ["--eval-freq", str(max(400, steps // 2)), "--eval-episodes", "20"]
    subprocess.run([sys.executable, "-m", "rl_zoo3.train", *told], check=True)
    (found,) = Path(folder).rglob("evaluations.npz")
    returns = np.load(found)["results"].mean(axis=1)

print(f"return of an episode: {returns[0]:.1f} half-way, {returns[-1]:.1f} after {steps:,} steps")
