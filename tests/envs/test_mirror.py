"""Trials that are seen in a mirror."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from limbshift.envs.catalogue import make_family
from limbshift.envs.errors import InputError
from limbshift.envs.robots.ant_robot import LEGS, OPPOSITE
from limbshift.envs.trial_env import TrialEnv
from limbshift.experiments.cli import main

TASKS = [{f"{dead}_alive": 0.0} for dead in LEGS]


def in_mirror(qpos: Tensor, qvel: Tensor) -> tuple[Tensor, Tensor]:
    """What an ant looks like in a mirror along x: y, roll and yaw change sign, and so do hips, on the opposite legs."""
    sign = torch.tensor([-1.0, 1.0], dtype=qpos.dtype)
    joints, speeds = ((part.view(4, 2)[list(OPPOSITE)] * sign).flatten() for part in (qpos[7:], qvel[6:]))
    place = qpos[:7] * torch.tensor([1.0, -1, 1, 1, -1, 1, -1], dtype=qpos.dtype)
    motion = qvel[:6] * torch.tensor([1.0, -1, 1, -1, 1, -1], dtype=qpos.dtype)
    return torch.cat([place, joints]), torch.cat([motion, speeds])


@pytest.mark.parametrize("leg", range(4))
def test_a_dead_leg_in_the_mirror_is_the_opposite_leg(leg: int) -> None:
    """Physics, reward, observation and what the learner is told of the task: one sees what the other sees."""
    env = TrialEnv(make_family("AntCrippled"), 2, 1, horizon=40, observe_task=True, mirror=True)
    task_env = env.task_env
    task_env.set_tasks([TASKS[leg], TASKS[OPPOSITE[leg]]], task_env.all_envs)
    env.begin_trials()
    env._in_mirror = torch.tensor([[True], [False]])
    qpos, qvel = task_env.physics.state("qpos"), task_env.physics.state("qvel")
    qpos[1], qvel[1] = in_mirror(qpos[0].clone(), qvel[0].clone())
    task_env.physics.forward(task_env.all_envs)
    generator = torch.Generator().manual_seed(0)
    for _ in range(12):  # before any falls: each begins anew in a state of its own
        action = 2 * torch.rand(8, generator=generator) - 1
        step = env.step(torch.stack([action, action]))
        torch.testing.assert_close(step.obs[0], step.obs[1], rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(step.reward[0], step.reward[1], rtol=1e-3, atol=1e-3)
    assert step.obs[0, :27].abs().max() > 0.5
    torch.testing.assert_close(step.obs[0, env.layout.previous_action], action)
    alive = [float(place != OPPOSITE[leg]) for place in range(4)]
    told = task_env.family.task_space.encode(torch.tensor([alive]))
    torch.testing.assert_close(step.obs[0, env.layout.task], told[0].float())
    assert float(qpos[0, 1]) == pytest.approx(-float(qpos[1, 1]), abs=1e-3)
    env.close()


def test_half_of_the_trials_are_and_the_same_ones_each_time() -> None:
    picked = []
    for _ in range(2):
        env = TrialEnv(make_family("AntCrippled"), 256, 1, horizon=4, seed=3, mirror=True)
        env.reset()
        picked.append(env._in_mirror.clone())
        env.reset()
        assert not torch.equal(env._in_mirror, picked[-1]), "trials of one number are all seen in the same way"
        env.close()
    assert torch.equal(*picked)
    assert 96 < int(picked[0].sum()) < 160  # 128 of 256, give or take four standard deviations of 8


def test_no_mirror_without_being_asked() -> None:
    plain, asked = (TrialEnv(make_family("AntCrippled"), 4, 1, horizon=4, mirror=mirror) for mirror in (False, True))
    obs, seen = plain.reset(), asked.reset()
    same = (obs == seen).all(dim=-1)
    assert torch.equal(same, ~asked._in_mirror.squeeze(-1))


def test_what_has_no_mirror_image_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = "HalfCheetahDir has no mirror image, expected a family whose robot is alike on both sides"
    with pytest.raises(InputError, match=f"^{line}$"):
        TrialEnv(make_family("HalfCheetahDir"), 2, mirror=True)
    options = ["--mirror", "--steps", "1", "--wandb", "disabled", "--run-dir", str(tmp_path / "run")]
    assert main(["train", "HalfCheetahDir", *options]) == 2
    assert capsys.readouterr().err == f"limbshift: {line}\n"
    assert not (tmp_path / "run").exists()


def test_training_in_a_mirror_learns_from_it(tmp_path: Path) -> None:
    run = tmp_path / "run"
    sizes = ["--num-envs", "4", "--episodes", "1", "--horizon", "10", "--hidden-size", "8", "--steps", "80"]
    options = ["--wandb", "disabled", "--video-minutes", "100", "--run-dir", str(run)]
    assert main(["train", "AntCrippled", "--mirror", *sizes, *options]) == 0
    assert '"mirror": true' in (run / "config.json").read_text()
