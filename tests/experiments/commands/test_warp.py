"""Commands on MuJoCo Warp, and controllers that meet another simulator than the one they were trained on."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from limbshift.agents.actor import PolicyActor
from limbshift.envs.physics.engine import CPU, Engine
from limbshift.envs.trial_env import TrialEnv
from limbshift.experiments.cli import main
from limbshift.experiments.runs.controllers import load_with_family
from limbshift.meta.evaluation.trials import play
from tests.gl import needs_gl

TRIALS = 256
TINY = ["--num-envs", "4", "--episodes", "2", "--horizon", "5", "--hidden-size", "8", "--wandb", "disabled"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory after two iterations of training on MuJoCo Warp."""
    path = tmp_path_factory.mktemp("runs") / "warp"
    command = ["train", "InvertedPendulumBody", "--physics", "warp", "--steps", "80", "--run-dir", str(path), *TINY]
    assert main(command) == 0
    return path


def test_what_was_picked_is_recorded(run: Path) -> None:
    config = json.loads((run / "config.json").read_text())
    assert (config["physics"], config["device"]) == ("warp", "cpu")


@pytest.mark.parametrize("physics", ["mujoco", "warp"])
def test_a_controller_is_evaluated_on_either_simulator(run: Path, physics: str, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    assert main(["evaluate", str(run), "--physics", physics, "--tasks", "3", "--json", str(out)]) == 0
    result = json.loads(out.read_text())
    assert (result["physics"], result["device"]) == (physics, "cpu")
    assert np.shape(result["returns"]) == (3, 2)


@needs_gl
def test_a_video_is_made_on_warp(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    assert main(["render", str(run), "--physics", "warp", "--tasks", "1", "--out", str(out)]) == 0
    assert out.stat().st_size > 1000


def test_a_resumed_run_keeps_its_simulator(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", "InvertedPendulumBody", "--run-dir", str(run), "--resume", "--steps", "120"]
    assert main([*command, "--wandb", "disabled"]) == 0
    assert "physics on warp" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("name", ["AntDirForwardBack", "QuadrupedPayload", "HalfCheetahLimbsDir"])
def test_a_shipped_controller_does_as_well_on_warp(name: str) -> None:
    """Mean and spread of 256 returns: robots in hard contact part from each other step by step, but not as a crowd."""
    controller, family = load_with_family(name)
    returns = []
    for engine in (CPU, Engine("warp")):
        env = TrialEnv(family, TRIALS, split="heldout", engine=engine)
        returns.append(play(env, PolicyActor(controller.policy, TRIALS)).reward.sum(axis=-1)[:, -1])
    for figure in (np.mean, np.std):
        rng = np.random.default_rng(0)
        interval = stats.bootstrap((returns[0],), figure, rng=rng, method="percentile").confidence_interval
        assert interval.low < figure(returns[1]) < interval.high


def test_trials_on_warp_are_not_overlapped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--physics", "warp", "--overlap", "--device", "cpu", "--run-dir", str(tmp_path / "run")]
    assert main(["train", "ReacherGoal", *options]) == 2
    said = "limbshift: overlap is of physics on mujoco, expected no --physics warp beside it\n"
    assert capsys.readouterr().err == said
    assert not (tmp_path / "run").exists()
