"""Physics on `mujoco.batch`, against plain MuJoCo."""

from pathlib import Path

import mujoco
import numpy as np
import pytest
import torch
from torch import Tensor

from limbshift.envs.family import Robot
from limbshift.envs.physics.models import load_model
from limbshift.envs.physics.mujoco_batch import MujocoPhysics
from limbshift.envs.robots.half_cheetah import HalfCheetah
from limbshift.envs.robots.reacher import Reacher
from tests.envs.physics.ball import BALL
from tests.envs.sled import MJCF, Sled

MASSES = ("body_mass", "body_inertia")
ROBOTS = (HalfCheetah(), Reacher())

CROWDED = (
    "<mujoco><size memory='20K'/><worldbody><geom type='plane' size='5 5 1'/>"
    + "".join(
        f"<body pos='{number % 4 * 0.1} {number // 4 * 0.1} .05'><freejoint/><geom size='.1'/></body>"
        for number in range(16)
    )
    + "</worldbody></mujoco>"
)
"""Sixteen balls in one heap, with too little memory for their contacts."""


def mask(*picked: bool) -> Tensor:
    return torch.tensor(picked)


def started(model: mujoco.MjModel, num_sims: int, seed: int = 0) -> MujocoPhysics:
    """Simulations with masses and xpos at hand, each in a random state with a random control."""
    physics = MujocoPhysics(model, num_sims, MASSES, computed_fields=("xpos",), num_threads=2)
    everyone = torch.ones(num_sims, dtype=torch.bool)
    physics.reset(everyone)
    generator = torch.Generator().manual_seed(seed)
    for name in ("qpos", "qvel", "ctrl"):
        live = physics.state(name)
        live += 0.1 * torch.randn(live.shape, generator=generator, dtype=live.dtype)
    physics.forward(everyone)
    return physics


def stepped(model: mujoco.MjModel, steps: int, qpos: Tensor, qvel: Tensor, ctrl: Tensor) -> mujoco.MjData:
    """What plain MuJoCo makes of a state and a control."""
    data = mujoco.MjData(model)
    data.qpos[:], data.qvel[:], data.ctrl[:] = qpos.numpy(), qvel.numpy(), ctrl.numpy()
    for _ in range(steps):
        mujoco.mj_step(model, data)
    return data


def copies(physics: MujocoPhysics) -> dict[str, Tensor]:
    return {name: physics.state(name).clone() for name in ("qpos", "qvel", "ctrl")}


@pytest.mark.parametrize("robot", ROBOTS, ids=lambda robot: robot.name)
def test_simulations_equal_plain_mujoco_bit_for_bit(robot: Robot) -> None:
    physics = started(robot.model, 3)
    start = copies(physics)
    for _ in range(20):
        diverged = physics.step(5)
    assert not diverged.any()
    for sim in range(3):
        data = stepped(robot.model, 100, *(value[sim] for value in start.values()))
        assert np.array_equal(physics.state("qpos")[sim], data.qpos)
        assert np.array_equal(physics.state("qvel")[sim], data.qvel)
        assert np.array_equal(physics.computed_field("xpos")[sim], data.xpos)


def test_edits_give_what_mujoco_derives_from_an_edited_model() -> None:
    robot = ROBOTS[0]
    thigh, factor = robot.model.body("bthigh").id, 2.5
    edited = load_model(robot.xml)
    edited.body_mass[thigh] *= factor
    edited.body_inertia[thigh] *= factor
    half = edited.__copy__()
    mujoco.mj_setConst(edited, mujoco.MjData(edited))

    physics = started(robot.model, 3)
    start = copies(physics)
    physics.model_field("body_mass")[1, thigh] *= factor
    physics.model_field("body_inertia")[1, thigh] *= factor
    physics.recompute_constants(mask(False, True, False))
    model, _ = physics.snapshot(1)
    for name in ("body_mass", "body_inertia", "body_subtreemass", "dof_invweight0", "body_invweight0", "dof_M0"):
        assert np.array_equal(getattr(model, name), getattr(edited, name)), name
    for name in ("body_subtreemass", "dof_invweight0", "body_invweight0", "actuator_acc0"):
        assert not np.array_equal(getattr(edited, name), getattr(half, name)), f"{name} is none that commit recomputes"

    physics.step(50)
    for sim, expected in enumerate((robot.model, edited, robot.model)):
        data = stepped(expected, 50, *(value[sim] for value in start.values()))
        assert np.array_equal(physics.state("qpos")[sim], data.qpos)


def test_an_edit_equals_a_model_that_was_written_so() -> None:
    heavy = mujoco.MjModel.from_xml_string(MJCF.replace('mass="2" diaginertia="1 1 1"', 'mass="6" diaginertia="3 3 3"'))
    physics = started(Sled().model, 2)
    sled = physics.model.body("sled").id
    physics.model_field("body_mass")[0, sled] *= 3
    physics.model_field("body_inertia")[0, sled] *= 3
    physics.recompute_constants(mask(True, False))
    model, _ = physics.snapshot(0)
    for name in ("body_mass", "body_inertia", "body_subtreemass", "dof_M0", "dof_invweight0", "body_invweight0"):
        assert np.array_equal(getattr(model, name), getattr(heavy, name)), name
    assert np.array_equal(model.actuator_acc0, heavy.actuator_acc0)


def test_the_given_model_is_never_written_to() -> None:
    robot = ROBOTS[0]
    before = np.array(robot.model.body_mass)
    physics = started(robot.model, 2)
    physics.model_field("body_mass").mul_(2)
    physics.recompute_constants(mask(True, True))
    assert np.array_equal(robot.model.body_mass, before)
    assert np.array_equal(physics.nominal("body_mass"), before)


def test_commit_leaves_states_and_the_other_simulations_alone() -> None:
    physics = started(ROBOTS[0].model, 2)
    start = copies(physics)
    physics.model_field("body_mass").mul_(2)
    physics.recompute_constants(mask(False, True))
    for name, value in start.items():
        assert torch.equal(physics.state(name), value), name
    subtree = [physics.snapshot(sim)[0].body_subtreemass[0] for sim in range(2)]
    assert subtree == pytest.approx([14.0, 28.0])


def test_reset_gives_the_default_state_to_those_picked() -> None:
    physics = started(ROBOTS[1].model, 3)
    physics.step(3)
    before = copies(physics)
    physics.reset(mask(True, False, True))
    for sim in (0, 2):
        assert np.array_equal(physics.state("qpos")[sim], physics.model.qpos0)
        assert not physics.state("qvel")[sim].any()
        assert not physics.state("ctrl")[sim].any()
    for name, value in before.items():
        assert torch.equal(physics.state(name)[1], value[1]), name
    data = stepped(physics.model, 4, *(value[1] for value in before.values()))
    physics.step(4)
    assert np.array_equal(physics.state("qpos")[1], data.qpos)


def test_forward_computes_derived_fields_of_those_picked() -> None:
    physics = started(Sled().model, 3)
    physics.state("qpos")[:, 0] = torch.tensor([0.25, 0.5, 0.75])
    before = physics.computed_field("xpos").clone()
    physics.forward(mask(False, True, False))
    sled = physics.model.body("sled").id
    assert physics.computed_field("xpos")[1, sled, 0] == 0.5
    assert torch.equal(physics.computed_field("xpos")[[0, 2]], before[[0, 2]])
    assert physics.state("qpos")[:, 0].tolist() == [0.25, 0.5, 0.75]


def test_views_are_live_and_writable() -> None:
    physics = started(Sled().model, 2)
    qpos, qvel = physics.state("qpos"), physics.state("qvel")
    qpos.zero_()
    qvel[:, 0] = torch.tensor([1.0, -2.0])
    physics.state("ctrl").zero_()
    physics.step(2)
    assert qpos[:, 0].tolist() == pytest.approx([0.1, -0.2])


@pytest.mark.parametrize("bad", [1e15, float("nan"), float("inf")])
def test_a_divergence_is_seen_alone_and_in_silence(
    bad: float, capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    physics = started(ROBOTS[0].model, 3)
    before = copies(physics)
    physics.state("qvel")[1, 0] = bad
    assert physics.step(5).tolist() == [False, True, False]
    assert physics.state("qpos").isfinite().all()
    for sim in (0, 2):
        data = stepped(physics.model, 5, *(value[sim] for value in before.values()))
        assert np.array_equal(physics.state("qpos")[sim], data.qpos)
    assert physics.step(5).tolist() == [False, False, False]
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("reset_between", [True, False])
def test_a_second_divergence_is_seen_too(reset_between: bool) -> None:
    physics = started(ROBOTS[0].model, 2)
    for _ in range(3):
        physics.state("qvel")[1, 0] = 1e15
        assert physics.step(5).tolist() == [False, True]
        if reset_between:
            physics.reset(mask(False, True))


def test_a_divergence_leaves_no_trace_after_a_reset() -> None:
    physics, fresh = started(ROBOTS[0].model, 1), started(ROBOTS[0].model, 1)
    for each in (physics, fresh):
        if each is physics:
            each.state("qvel")[0, 0] = 1e15
            each.step(5)
        each.reset(mask(True))
        each.state("qpos")[0, 2] = 0.3
        each.forward(mask(True))
        each.step(50)
    assert torch.equal(physics.state("qpos"), fresh.state("qpos"))


def test_expected_messages_of_a_model_are_kept_quiet_and_others_are_not(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    xml = HalfCheetah.xml
    load_model(xml)
    assert caplog.messages == []
    mujoco.MjModel.from_xml_path(str(xml))
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("MuJoCo: compiler attribute 'settotalmass' is deprecated")
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_other_warnings_of_a_simulation_are_logged(
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They come on MuJoCo's own threads, where an exception would abort the process."""
    monkeypatch.chdir(tmp_path)
    physics = MujocoPhysics(mujoco.MjModel.from_xml_string(CROWDED), 1)
    assert not physics.step(1).any()
    assert any("arena memory" in message for message in caplog.messages)
    assert all(record.levelname == "WARNING" for record in caplog.records)
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_a_snapshot_is_a_copy_of_one_simulation() -> None:
    physics = started(ROBOTS[1].model, 2)
    physics.step(3)
    _, data = physics.snapshot(1)
    assert np.array_equal(data.qpos, physics.state("qpos")[1])
    data.qpos[:] = 0
    assert physics.state("qpos")[1].any()
    # Nothing in it is a substep behind, as rendering needs.
    expected = stepped(physics.model, 0, *(value[1] for value in copies(physics).values()))
    mujoco.mj_forward(physics.model, expected)
    assert np.array_equal(physics.snapshot(1)[1].xpos, expected.xpos)


def test_the_force_of_a_contact_carries_what_rests_on_it() -> None:
    """A ball of 3 kg at rest under 10 m/s^2 is held by 30 N; one in the air by none, nor one put there."""
    physics = MujocoPhysics(mujoco.MjModel.from_xml_string(BALL), 2, computed_fields=("cfrc_ext",))
    physics.state("qpos")[1] = 1.0
    physics.forward(mask(True, True))
    assert (physics.computed_field("cfrc_ext").abs().amax(dim=(1, 2)) > 1).tolist() == [True, False]
    physics.state("qpos")[0] = 0.0
    for _ in range(100):
        physics.step(10)
        physics.state("qpos")[1] = 1.0
    forces = physics.computed_field("cfrc_ext")
    assert forces[0, 1].tolist() == pytest.approx([0, 0, 0, 0, 0, 30], abs=1e-3)
    assert not forces[1].any()
    physics.state("qpos")[0] = 1.0
    physics.forward(mask(True, False))
    assert not forces.any()
