"""Trials whose simulation blew up: found again from their actions, kept in a file, and played from it."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from limbshift.agents.controller_file import ControllerCard
from limbshift.envs.catalogue import make_family
from limbshift.envs.errors import InputError
from limbshift.envs.trial_env import TrialEnv
from limbshift.meta.diverged_trial import DivergedTrial, DumpError, trace_back
from tests.envs.runaway import Runaway

CARD = ControllerCard("Runaway", "default", episodes_per_trial=2, horizon=15, seed=1)
ACTION = 0.3


def diverge() -> tuple[int, int, torch.Tensor, torch.Tensor]:
    """Plays the second trial in each of four simulations; returns step and simulation of the first divergence, and the
    simulation's qpos and qvel before it."""
    env = TrialEnv(Runaway(), 4, seed=1)
    env.reset()
    env.reset()
    for step in range(env.steps_per_trial):
        before = [env.task_env.physics.state(name).clone() for name in ("qpos", "qvel")]
        diverged = env.step(torch.full((4, 1), ACTION)).diverged
        if diverged.any():
            sim = int(diverged.nonzero()[0])
            return step, sim, before[0][sim], before[1][sim]
    raise AssertionError("none diverged")


def trace() -> DivergedTrial:
    step, sim, _, _ = diverge()
    return trace_back(Runaway(), CARD, torch.full((step + 1, 1), ACTION), task_index=4 + sim)


def test_the_state_before_the_divergence_is_found_bit_for_bit() -> None:
    step, _, qpos, qvel = diverge()
    trial = trace()
    assert step > 3
    assert torch.equal(trial.state["qpos"], qpos)
    assert torch.equal(trial.state["qvel"], qvel)
    assert trial.state["ctrl"].tolist() == pytest.approx([ACTION])
    nominal = 2.0
    assert trial.model_fields["body_mass"][1].item() == pytest.approx(nominal * trial.task["mass"])


def test_from_its_file_it_diverges_again_at_the_same_step(tmp_path: Path) -> None:
    trace().save(tmp_path / "diverged.safetensors")
    trial = DivergedTrial.load(tmp_path / "diverged.safetensors")
    env = trial.env(Runaway())
    env.reset()
    diverged = [bool(env.step(action.unsqueeze(0)).diverged) for action in trial.actions]
    assert diverged == [False] * (len(trial.actions) - 1) + [True]
    assert {name: float(value) for name, value in env.task_env.task.items()} == trial.task


def test_what_is_no_dump_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "some.safetensors"

    def refusal() -> str:
        with pytest.raises(InputError) as caught:
            DivergedTrial.load(path)
        return str(caught.value)

    assert refusal().startswith("no diverged trial at ")
    path.write_bytes(b"nothing")
    assert "is truncated or no .safetensors file" in refusal()
    save_file({"weight": torch.zeros(3)}, path)
    assert refusal().endswith("is a file without a format, expected limbshift-diverged-1")
    about = {"format": "limbshift-diverged-1", "about": "{}"}
    save_file({"weight": torch.zeros(3)}, path, about)
    assert refusal().endswith("holds no actions, expected finite float32 of shape (steps, motors)")
    save_file({"actions": torch.full((2, 6), torch.nan)}, path, about)
    assert "holds no actions, expected finite float32" in refusal()
    save_file({"actions": torch.zeros(2, 6)}, path, about)
    assert refusal() == f"card in {path} is None, expected an object"
    card = asdict(ControllerCard("HalfCheetahDir", "default", 2, 5))
    save_file({"actions": torch.zeros(2, 6)}, path, {**about, "about": json.dumps({"card": card})})
    assert refusal() == f"{path} lacks task_index"


def test_actions_of_another_robot_are_refused() -> None:
    card = ControllerCard("HalfCheetahDir", "default", 2, 5)
    trial = DivergedTrial(card, 0, None, 0.0, {}, torch.zeros(2, 5), {}, {})
    with pytest.raises(DumpError, match=r"^actions .* have shape \(2, 5\), expected \(1 to 10, 6\)$"):
        trial.env(make_family("HalfCheetahDir"))
