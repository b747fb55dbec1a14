"""Physics on MuJoCo Warp, on Warp's CPU device, against `mujoco.batch`."""

import sys
from collections.abc import Sequence

import mujoco
import numpy as np
import pytest
import torch
from torch import Tensor

from limbshift.envs.catalogue import families, make_family
from limbshift.envs.errors import CapacityError, InputError
from limbshift.envs.family import TaskFamily
from limbshift.envs.physics import warp as warp_physics
from limbshift.envs.physics.engine import CPU, Engine
from limbshift.envs.physics.protocol import Physics
from limbshift.envs.physics.warp import WarpPhysics, capacity, colliding_pairs
from limbshift.envs.robots.half_cheetah import HalfCheetah
from limbshift.envs.tasks.streams import RandomStream
from limbshift.envs.tasks.task_space import TaskSpace
from limbshift.envs.trial_env import TrialEnv
from tests.envs.physics.ball import BALL
from tests.reads import ValueRead, none_allowed

WARP = Engine("warp")
SIMS = 4
SUBSTEPS = 20
REFUSED = {"HumanoidDir": "mjSOL_PGS"}
"""Families whose robot MuJoCo Warp cannot run, and what it lacks."""
SMALL = "InvertedPendulumBody"
"""The family that `make test` tries; its kernels compile in seconds."""

every_family = pytest.mark.parametrize(
    "name",
    [SMALL, *(pytest.param(name, marks=pytest.mark.slow) for name in families() if name not in (SMALL, *REFUSED))],
)


def mask(*picked: bool) -> Tensor:
    return torch.tensor(picked)


def lifted(model: mujoco.MjModel, qpos: Tensor) -> Tensor:
    """The state with a root that travels a metre higher: contacts amplify the last digits of a float32."""
    for joint in range(model.njnt):
        free = model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_FREE
        rises = model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_SLIDE and abs(model.jnt_axis[joint, 2]) > 0.5
        if free or rises:
            qpos[:, model.jnt_qposadr[joint] + (2 if free else 0)] += 1
            break
    return qpos


def begun(family: TaskFamily, engine: Engine, sims: int = SIMS) -> Physics:
    """Simulations of held-out tasks in the air, all with the family's initial states and random controls."""
    index = torch.arange(sims, device=engine.device)
    every = torch.ones_like(index, dtype=torch.bool)
    model = family.robot.model
    physics = engine.simulate(model, sims, family.model_fields, computed_fields=family.robot.computed_fields)
    family.apply(physics, family.task_space.sample("heldout", RandomStream("tasks"), index), every)
    uniform = RandomStream("states").uniform(index, torch.zeros_like(index), model.nq + model.nv)
    low, high = (bound.to(engine.device) for bound in family.robot.action_bounds())
    share = RandomStream("actions").uniform(index, torch.zeros_like(index), len(low))
    physics.reset(every)
    qpos, qvel = family.robot.initial_state(uniform)
    physics.state("qpos").copy_(lifted(model, qpos))
    physics.state("qvel").copy_(qvel)
    physics.state("ctrl").copy_(family.robot.controls(low + (high - low) * share))
    physics.forward(every)
    return physics


def small(sims: int = 3) -> WarpPhysics:
    physics = begun(make_family(SMALL), WARP, sims)
    assert isinstance(physics, WarpPhysics)
    return physics


def states(physics: Physics) -> dict[str, Tensor]:
    return {name: physics.state(name).clone() for name in ("qpos", "qvel", "ctrl")}


@every_family
def test_it_moves_as_mujoco_does(name: str) -> None:
    """Worst seen: 6e-6, of the quadruped; 1e-6 of most."""
    family = make_family(name)
    expected, actual = begun(family, CPU), begun(family, WARP)
    start = expected.state("qpos").clone()
    for _ in range(SUBSTEPS):
        for physics in (expected, actual):
            assert not physics.step(1).any()
        torch.testing.assert_close(actual.state("qpos").double(), expected.state("qpos"), rtol=0, atol=1e-4)
        for derived in family.robot.computed_fields:
            torch.testing.assert_close(
                actual.computed_field(derived).double(), expected.computed_field(derived), rtol=0, atol=1e-4
            )
    actual.check()
    assert (expected.state("qpos") - start).abs().amax() > 1e-2


@every_family
def test_what_mujoco_derives_from_a_task_is_the_same(name: str) -> None:
    family = make_family(name)
    expected, actual = begun(family, CPU), begun(family, WARP)
    for sim in range(2):
        (model, data), (own_model, own_data) = expected.snapshot(sim), actual.snapshot(sim)
        for field in ("body_mass", "body_subtreemass", "dof_invweight0", "body_invweight0", "actuator_acc0"):
            np.testing.assert_allclose(getattr(own_model, field), getattr(model, field), rtol=1e-5, err_msg=field)
        np.testing.assert_allclose(own_data.xpos, data.xpos, atol=1e-5)
    for field in warp_physics.DERIVED_CONSTANTS if family.model_fields else ():
        if field.startswith(("geom", "tendon")):
            continue
        assert isinstance(actual, WarpPhysics)
        on_device = warp_physics.shared(actual.on_device, field)
        ours = torch.stack([torch.from_numpy(getattr(expected.snapshot(sim)[0], field)) for sim in range(SIMS)])
        used = torch.ones_like(ours, dtype=torch.bool)
        if field == "body_invweight0":  # of a body that can but turn, MuJoCo Warp has another notion
            used = (ours != 0).all(dim=-1, keepdim=True).expand_as(ours)
        torch.testing.assert_close(on_device.double()[used], ours[used], rtol=1e-4, atol=1e-5, msg=field)


def test_a_reset_is_of_those_picked() -> None:
    physics = small()
    physics.step(3)
    before = states(physics)
    physics.reset(mask(True, False, True))
    for name, value in before.items():
        assert torch.equal(physics.state(name)[1], value[1]), name
        assert not physics.state(name)[[0, 2]].any(), name


def test_a_commit_leaves_states_alone() -> None:
    physics = small()
    physics.step(3)
    before = states(physics)
    physics.model_field("body_mass").mul_(2)
    physics.recompute_constants(mask(False, True, False))
    for name, value in before.items():
        assert torch.equal(physics.state(name), value), name


def test_derived_fields_stay_a_substep_behind() -> None:
    """As in MuJoCo: a forward of one simulation, or a commit, leaves the others' as their step left them."""
    family = make_family("ReacherGoal")
    expected, actual = begun(family, CPU, 2), begun(family, WARP, 2)
    for physics in (expected, actual):
        physics.step(2)
        behind = physics.computed_field("xpos").clone()
        physics.forward(mask(True, False))
        assert torch.equal(physics.computed_field("xpos")[1], behind[1])
        assert not torch.equal(physics.computed_field("xpos")[0], behind[0])
        physics.recompute_constants(mask(True, True))
    torch.testing.assert_close(
        actual.computed_field("xpos").double(), expected.computed_field("xpos"), rtol=0, atol=1e-5
    )


def test_the_force_of_a_contact_carries_what_rests_on_it() -> None:
    """A ball of 3 kg at rest under 10 m/s^2, is held by 30 N; one in the air by none."""
    physics = WarpPhysics(
        mujoco.MjModel.from_xml_string(BALL), 2, (), computed_fields=("cfrc_ext",), device=torch.device("cpu")
    )
    physics.state("qpos")[1] = 1.0
    physics.forward(mask(True, True))
    assert (physics.computed_field("cfrc_ext").abs().amax(dim=(1, 2)) > 1).tolist() == [True, False]
    for _ in range(100):
        physics.step(10)
        physics.state("qpos")[1] = 1.0
    forces = physics.computed_field("cfrc_ext")
    assert forces[0, 1].tolist() == pytest.approx([0, 0, 0, 0, 0, 30], abs=0.01)
    assert not forces[1].any()


@pytest.mark.parametrize("bad", [1e15, float("nan"), float("inf")])
def test_a_divergence_is_seen_alone_and_leaves_no_trace(bad: float, capfd: pytest.CaptureFixture[str]) -> None:
    physics, sound = small(), small()
    physics.state("qvel")[1, 0] = bad
    sound.step(5)
    assert physics.step(5).tolist() == [False, True, False]
    for name, value in states(sound).items():
        assert torch.equal(physics.state(name)[[0, 2]], value[[0, 2]]), name
        assert not physics.state(name)[1].any(), name
    assert physics.step(5).tolist() == [False, False, False]
    assert physics.state("qpos").isfinite().all()
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


HEAP = (
    "<mujoco><worldbody><geom type='plane' size='5 5 1'/>"
    + "".join(f"<body pos='{number * 0.05} 0 .05'><freejoint/><geom size='.1'/></body>" for number in range(3))
    + "</worldbody></mujoco>"
)
"""Three balls, each in touch with the others and with the ground: six contacts of four constraints each."""


def test_too_little_room_is_told(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    model = mujoco.MjModel.from_xml_string(HEAP)
    assert capacity(model) == (6, 24)
    physics = WARP.simulate(model, 2)
    physics.step(1)
    physics.check()
    monkeypatch.setattr(warp_physics, "MAX_CONSTRAINTS", 8)
    crowded = WARP.simulate(model, 2)
    crowded.step(1)
    with pytest.raises(CapacityError, match=r"ran out of room \(NEFC\): 6 contacts and 8 constraints"):
        crowded.check()
    crowded.check()  # told once
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_room_is_made_for_the_worst_case() -> None:
    """The cheetah's eight capsules touch the floor at two points each, and not each other; six limits."""
    model = HalfCheetah().model
    assert len(colliding_pairs(model)) == 8
    assert capacity(model) == (16, 16 * 4 + 6)


@pytest.mark.parametrize(
    ("attributes", "pairs"),
    [
        ("", [(1, 2)]),  # of the same tree, neither parent and child nor welded
        ("<contact><exclude body1='a' body2='c'/></contact>", []),
        ("<contact><pair geom1='a' geom2='b'/></contact>", [(0, 1), (1, 2)]),
    ],
)
def test_pairs_that_can_collide(attributes: str, pairs: Sequence[tuple[int, int]]) -> None:
    """Three links of a chain: a, b and c, of which a and c alone are not parent and child."""
    model = mujoco.MjModel.from_xml_string(
        "<mujoco><worldbody><body name='a'><freejoint/><geom name='a' size='.1'/><body name='b'><joint/>"
        "<geom name='b' size='.1'/><body name='c'><joint/><geom name='c' size='.1'/></body></body></body></worldbody>"
        f"{attributes}</mujoco>"
    )
    names = {model.geom(name).id: number for number, name in enumerate("abc")}
    found = sorted((names[first], names[second]) for first, second in colliding_pairs(model))
    assert found == sorted((0, 2) if pair == (1, 2) else pair for pair in pairs)


@pytest.mark.parametrize(("name", "lack"), REFUSED.items())
def test_a_robot_that_warp_cannot_run_is_refused(name: str, lack: str) -> None:
    with pytest.raises(InputError, match=f"cannot run this robot: {lack}"):
        TrialEnv(make_family(name), 2, engine=WARP)


def test_without_the_extra_the_command_to_install_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "limbshift.envs.physics.warp")
    monkeypatch.setitem(sys.modules, "mujoco_warp", None)
    with pytest.raises(InputError, match=r"mujoco_warp is not installed: pip install '\.\[gpu\]'"):
        TrialEnv(make_family(SMALL), 2, engine=WARP)


def play(env: TrialEnv, trials: int = 2) -> Tensor:
    """(T, N, trial_obs_dim) observations under the same actions every time."""
    seen, generator = [], torch.Generator().manual_seed(3)
    actions = torch.rand(env.steps_per_trial, env.num_envs, env.task_env.action_dim, generator=generator)
    for _ in range(trials):
        seen.append(env.reset())
        seen += [env.step(6 * action - 3).obs.clone() for action in actions]
    return torch.stack(seen)


def test_a_trial_is_the_same_trial_on_both_engines() -> None:
    """Its tasks, its falls and restarts, rewards and boundaries: all but the last digits, over two trials."""
    family = make_family(SMALL)
    expected, actual = (play(TrialEnv(family, SIMS, 2, horizon=12, seed=5, engine=engine)) for engine in (CPU, WARP))
    torch.testing.assert_close(actual, expected, rtol=1e-3, atol=1e-3)
    assert expected[:, :, -1].sum() > 2 * 2 * SIMS, "no robot fell"


def test_a_task_that_shifts_does_so_on_both_engines() -> None:
    family = make_family(SMALL)
    expected, actual = (
        play(TrialEnv(family, SIMS, 2, horizon=6, seed=5, shift_at=3, engine=engine)) for engine in (CPU, WARP)
    )
    torch.testing.assert_close(actual, expected, rtol=1e-3, atol=1e-3)


def test_nothing_of_a_trial_is_read_by_the_host() -> None:
    env = TrialEnv(make_family(SMALL), SIMS, 2, horizon=6, observe_task=True, shift_probability=0.5, engine=WARP)
    play(env)
    with none_allowed():
        play(env)
    with none_allowed(), pytest.raises(ValueRead):
        env.task_env.task_values()


def test_the_families_that_are_refused_are_those_that_fail() -> None:
    """The list above is complete: each other robot is accepted, at least as a model."""
    for name in families():
        family = make_family(name)
        if name not in REFUSED:
            warp_physics.put_model(family.robot.model, 2, family.model_fields)
        assert isinstance(family.task_space, TaskSpace)
