"""Quadrupeds of many bodies, against models that are compiled from an XML that was edited so."""

from collections.abc import Mapping

import mujoco
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from limbshift.envs.catalogue import make_family
from limbshift.envs.errors import InputError
from limbshift.envs.physics.engine import Engine
from limbshift.envs.physics.mujoco_batch import MujocoPhysics
from limbshift.envs.rendering import TaskRenderer
from limbshift.envs.robots.quadruped import LEGS, QuadrupedBodies, parts
from limbshift.envs.task_env import TaskEnv
from limbshift.envs.tasks.links import LINK_FIELDS, Links
from limbshift.envs.tasks.parameter import ModelEffect
from limbshift.envs.tasks.shape_effects import ScaleBodySize
from limbshift.envs.tasks.task_space import TaskSpace
from limbshift.envs.trial_env import TrialEnv
from tests.envs.robots.suite import sample
from tests.gl import needs_gl
from tests.reads import none_allowed

Task = Mapping[str, float]
GEOMETRY: Mapping[str, Task] = {
    "long upper": {"upper_length": 1.5},
    "short lower": {"lower_length": 0.6},
    "large feet": {"foot_size": 1.6},
    "large trunk": {"trunk_size": 1.3},
    "heavy trunk": {"trunk_mass": 1.6},
    "all": {
        **{"upper_length": 0.7, "lower_length": 1.4, "foot_size": 0.7, "trunk_size": 0.85, "trunk_mass": 0.6},
        **{"motor_strength": 0.8, "dead_motor": 5.0},
    },
    "a lost leg": {"lost_leg": 2.0},
    "a lost leg of another body": {"lost_leg": 3.0, "upper_length": 1.7, "lower_length": 1.6, "trunk_mass": 2.0},
}
SUBSTEPS = 300
"""Of a trajectory, which lasts three seconds."""


def density(geom: mujoco.MjsGeom, volume: float) -> float:
    return float(geom.mass) / volume


def capsule(radius: float, length: float) -> float:
    return float(np.pi * radius**2 * (length + 4 / 3 * radius))


def written(task: Task) -> mujoco.MjModel:
    """The quadruped of a task, from its edited XML: MuJoCo itself computes masses and inertias from densities."""
    spec = mujoco.MjSpec.from_file(str(make_family("QuadrupedBodies").robot.xml))
    factor = {name: task.get(name, 1.0) for name in QuadrupedBodies().nominal}
    for leg in LEGS:
        thigh, calf = (spec.body(f"{leg}_{part}") for part in ("thigh", "calf"))
        for body, name in ((thigh, "upper_length"), (calf, "lower_length")):
            bone = body.geoms[0]
            bone.density, bone.mass = density(bone, capsule(bone.size[0], 0.2)), np.nan
            bone.fromto[5] *= factor[name]
        foot = spec.geom(f"{leg}_foot")
        foot.density, foot.mass = density(foot, capsule(foot.size[0], 0.0)), np.nan
        foot.size[0] *= factor["foot_size"]
        foot.pos[2] *= factor["lower_length"]
        calf.pos[2] *= factor["upper_length"]
    trunk = spec.body("trunk")
    for geom in trunk.geoms:
        geom.mass *= factor["trunk_mass"]
        geom.size[:] *= factor["trunk_size"]
        geom.pos[:] *= factor["trunk_size"]
    for body in trunk.bodies:
        body.pos[:] *= factor["trunk_size"]
    for number, actuator in enumerate(spec.actuators, start=1):
        strength = 0.0 if number == task.get("dead_motor") else factor["motor_strength"]
        actuator.gainprm[:] *= strength
        actuator.biasprm[:] *= strength
    if lost := int(task.get("lost_leg", 0)):
        spec.delete(spec.key("stand"))
        for joint in ("abduction", "hip_pitch", "knee"):
            spec.delete(spec.actuator(f"{LEGS[lost - 1]}_{joint}"))
        spec.delete(spec.body(f"{LEGS[lost - 1]}_hip"))
    return spec.compile()


def posed(*tasks: Task) -> TaskEnv:
    """Robots of these tasks at the start of an episode."""
    env = TaskEnv(make_family("QuadrupedBodies"), len(tasks))
    env.set_tasks(tasks, env.all_envs)
    env.begin_episodes(env.all_envs)
    return env


def shared_names(model: mujoco.MjModel, kind: str) -> list[str]:
    count = {"body": "nbody", "joint": "njnt", "actuator": "nu"}[kind]
    return [getattr(model, kind)(number).name for number in range(getattr(model, count))]


@pytest.mark.parametrize("task", GEOMETRY.values(), ids=GEOMETRY)
def test_a_body_is_the_one_that_would_be_compiled(task: Task) -> None:
    env = posed(task)
    expected, edited = written(task), env.physics.snapshot(0)[0]
    for name in shared_names(expected, "body"):
        one, other = edited.body(name), expected.body(name)
        massive = ("ipos", "iquat", "invweight0") if other.mass > 0 else ()
        for field in ("mass", "inertia", "pos", "subtreemass", *massive):
            found, wanted = getattr(one, field), getattr(other, field)
            if field == "iquat":  # two quaternions of opposite signs turn alike
                found, wanted = found * np.sign(found[0]), wanted * np.sign(wanted[0])
            np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12, err_msg=f"{field} of {name}")
        for geom, counterpart in zip(geoms_of(edited, name), geoms_of(expected, name), strict=True):
            for field in ("geom_size", "geom_pos", "geom_quat", "geom_rbound", "geom_aabb"):
                found, wanted = getattr(edited, field)[geom], getattr(expected, field)[counterpart]
                np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12, err_msg=f"{field} on {name}")
    for name in shared_names(expected, "actuator"):
        for field in ("gainprm", "biasprm"):
            found, wanted = (getattr(model.actuator(name), field) for model in (edited, expected))
            np.testing.assert_allclose(found, wanted, rtol=1e-12, err_msg=f"{field} of {name}")


def geoms_of(model: mujoco.MjModel, body: str) -> NDArray[np.int_]:
    return np.flatnonzero(model.geom_bodyid == model.body(body).id)


@pytest.mark.parametrize("task", GEOMETRY.values(), ids=GEOMETRY)
def test_a_body_moves_as_the_one_that_would_be_compiled(task: Task) -> None:
    """Under the same controls, which throw it over, from its start."""
    env, model = posed(task), written(task)
    data = mujoco.MjData(model)
    joints = [env.robot.model.joint(name) for name in shared_names(model, "joint")]
    qpos = np.concatenate([joint.qposadr + np.arange(len(joint.qpos0)) for joint in joints])
    qvel = np.concatenate([joint.dofadr + np.arange(len(joint.damping)) for joint in joints])
    motors = [env.robot.model.actuator(name).id for name in shared_names(model, "actuator")]
    state = {name: env.physics.state(name)[0].numpy() for name in ("qpos", "qvel")}
    data.qpos[:], data.qvel[:] = state["qpos"][qpos], state["qvel"][qvel]
    generator, touched = torch.Generator().manual_seed(3), set[int]()
    for step in range(SUBSTEPS):
        if step % 20 == 0:
            controls = 2 * torch.rand(12, generator=generator, dtype=torch.float64) - 1
        env.physics.state("ctrl")[0] = controls
        data.ctrl[:] = controls.numpy()[motors]
        assert not env.physics.step(1).any()
        mujoco.mj_step(model, data)
        touched |= set(data.contact.geom2.tolist())
        np.testing.assert_allclose(state["qpos"][qpos], data.qpos, atol=1e-8, err_msg=f"step {step}")
    assert len(touched) > 4, "no part but the feet has touched the ground"


def test_what_is_lost_stays_where_it_was() -> None:
    """A joint of a lost leg turns no more, whatever it is told; those of the others do."""
    env = posed({"lost_leg": 4.0})
    before = env.observe()[0, 9:21]
    for _ in range(10):
        env.step(torch.full((1, 12), 0.5))
    moved = (env.observe()[0, 9:21] - before).abs()
    assert moved[9:].max() < 0.005
    assert moved[:9].min() > 0.02


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
def test_effects_may_come_in_any_order(order: tuple[int, ...]) -> None:
    """Lengths, feet, a heavier shank and a lost leg."""
    family, task = (
        make_family("QuadrupedBodies"),
        {"lower_length": 1.4, "foot_size": 1.6, "trunk_mass": 1.5, "lost_leg": 1.0},
    )
    expected = TaskEnv(family, 1)
    expected.set_tasks([task], expected.all_envs)
    mixed = make_family("QuadrupedBodies")
    named = {parameter.name: parameter for parameter in family.parameters}
    mixed.parameters = tuple(named[list(task)[place]] for place in order)
    mixed.task_space = TaskSpace(mixed.parameters)
    env = TaskEnv(mixed, 1)
    env.set_tasks([task], env.all_envs)
    for name in (*LINK_FIELDS, "body_pos"):
        found, wanted = env.physics.model_field(name)[0], expected.physics.model_field(name)[0]
        if name == "body_ipos":  # what weighs nothing has no centre
            weighs = expected.physics.model_field("body_mass")[0] > 0
            found, wanted = found[weighs], wanted[weighs]
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-15, msg=name)


BROKEN = """
<mujoco><worldbody><body name="link"><freejoint/>{inertial}
  <geom type="capsule" size="0.02" fromto="0 0 0 0 0 -0.2"/><geom type="{kind}" size="0.03 0.03 0.03" pos="{place}"/>
</body></worldbody></mujoco>
"""


@pytest.mark.parametrize(
    ("inertial", "kind", "place"),
    [
        ("", "box", "0 0 -0.2"),
        ("", "sphere", "0.01 0 -0.2"),
        ('<inertial pos="0 0 -0.1" mass="1" diaginertia="0.1 0.1 0.1"/>', "sphere", "0 0 -0.2"),
        ('<inertial pos="0 0 -0.1" mass="1" diaginertia="0.1 0.12 0.05"/>', "sphere", "0 0 -0.2"),
    ],
    ids=["a box", "off the axis", "of another inertia", "not round"],
)
def test_what_is_no_link_is_refused(inertial: str, kind: str, place: str) -> None:
    model = mujoco.MjModel.from_xml_string(BROKEN.format(inertial=inertial, kind=kind, place=place))
    with pytest.raises(InputError, match=r"^the body 'link' has another shape or inertia, expected capsules and"):
        Links(model, (1,))


def test_links_of_different_makes_are_refused() -> None:
    model = make_family("QuadrupedBodies").robot.model
    bodies = tuple(model.body(f"front_left_{part}").id for part in ("thigh", "calf"))
    with pytest.raises(InputError, match=r"^links of one parameter have different numbers of geoms, expected as many"):
        Links(model, bodies)


def test_a_body_of_meshes_keeps_its_size() -> None:
    """All simulations share a mesh."""
    model = mujoco.MjModel.from_xml_string(
        "<mujoco><asset><mesh name='rock' vertex='0 0 0 1 0 0 0 1 0 0 0 1'/></asset>"
        "<worldbody><body name='rock'><freejoint/><geom type='mesh' mesh='rock'/></body></worldbody></mujoco>"
    )
    size = ScaleBodySize("rock")
    physics = MujocoPhysics(model, 1, size.model_fields)
    with pytest.raises(InputError, match=r"^the body 'rock' is of meshes, expected boxes, capsules and the like$"):
        size.apply(physics, torch.tensor([2.0]), torch.tensor([True]))


def drawn(split: str, count: int) -> list[dict[str, float]]:
    """The split's first tasks."""
    values = sample(make_family("QuadrupedBodies"), split, count)
    return [{name: float(column[row]) for name, column in values.items()} for row in range(count)]


@pytest.mark.parametrize("split", ["train", "extrapolation"])
def test_it_starts_with_its_lowest_foot_on_the_ground(split: str) -> None:
    """Whatever its legs, its feet, and how its joints are turned at first."""
    env = posed(*drawn(split, 32))
    for sim in range(env.num_envs):
        model, data = env.physics.snapshot(sim)
        gaps = [float(data.geom(foot).xpos[2] - model.geom(foot).size[0]) for foot in parts("foot")]
        lost = int(env.task["lost_leg"][sim])
        assert min(gap for leg, gap in enumerate(gaps, start=1) if leg != lost) == pytest.approx(0.0, abs=1e-9)
        assert all(contact.dist > -1e-9 for contact in data.contact)
        assert {model.geom(int(geom)).name for geom in data.contact.geom2} <= set(parts("foot"))


POSES = ((0.0, 0.0, 0.0), (0.0, 1.0, 0.6), (-1.0, -1.0, -0.6))
"""Actions that are held, by all legs alike: abduction, hip pitch, knee. The first is the standing pose."""


@pytest.mark.parametrize(("split", "standing"), [("train", 0.9), ("heldout", 0.9), ("extrapolation", 0.0)])
def test_every_body_can_stand(split: str, standing: float) -> None:
    """For a second, under no feedback but its servos': so many in the standing pose, and each in one of three.

    On three legs it must lean, at once and with all motors that are left.
    """
    tasks = drawn(split, 48)
    if split == "extrapolation":
        tasks = [{**task, "dead_motor": 0.0, "action_delay": 0.0} for task in tasks]
    stood = torch.stack([stands(tasks, pose) for pose in POSES])
    assert stood[0].double().mean() >= standing
    assert stood.any(dim=0).all(), [task for task, fine in zip(tasks, stood.any(dim=0), strict=True) if not fine]


def stands(tasks: list[dict[str, float]], pose: tuple[float, ...], steps: int = 20) -> Tensor:
    """(N,) which of these robots do not fall while they hold a pose."""
    env = posed(*tasks)
    action, up = torch.tensor(pose * len(LEGS)).expand(len(tasks), -1), env.all_envs.clone()
    for _ in range(steps):
        up &= ~env.step(action).terminated
    return up


def test_a_leg_is_lost_in_mid_run_and_nothing_else_changes() -> None:
    env = TrialEnv(make_family("QuadrupedBodies"), 16, 1, horizon=8, split="heldout", shift_at=4)
    env.reset()
    task = env.task_env.task
    before, legs = {name: values.clone() for name, values in task.items()}, []
    for _ in range(8):
        env.step(torch.zeros(16, 12))
        legs.append(task["lost_leg"].clone())
    assert not torch.stack(legs[:4]).any()
    assert set(legs[4].tolist()) == {1.0, 2.0, 3.0, 4.0}
    assert torch.equal(legs[4], legs[7])
    for name, values in before.items():
        assert torch.equal(task[name], values) == (name != "lost_leg"), name
    lost = env.task_env.physics.model_field("body_mass")[0]
    assert int((lost == 0).sum()) == 2 + 3  # the world and the payload have no mass, nor has the leg any more


def test_a_leg_that_is_lost_at_the_start_stays_the_one() -> None:
    env = TrialEnv(make_family("QuadrupedBodies"), 8, 1, horizon=4, split="extrapolation", shift_at=2)
    env.reset()
    before = env.task_env.task["lost_leg"].clone()
    for _ in range(4):
        env.step(torch.zeros(8, 12))
    assert torch.equal(env.task_env.task["lost_leg"], before)


def test_nominal_effects_change_no_bit() -> None:
    family = QuadrupedBodies()
    physics = MujocoPhysics(family.robot.model, 2, family.model_fields)
    family.apply(physics, torch.tensor([list(family.nominal.values())] * 2), torch.ones(2, dtype=torch.bool))
    for name in family.model_fields:
        assert torch.equal(physics.model_field(name), physics.nominal(name).expand_as(physics.model_field(name))), name
    assert all(isinstance(family.parameters[place].effect, ModelEffect) for place in range(8))


def pixels(task: Task) -> dict[str, int]:
    """How many pixels of a picture show each leg, and the trunk."""
    env = posed(task)
    renderer = TaskRenderer(env.family, 160, 120)
    renderer.frame(env.physics, 0, {**env.family.nominal, **task})
    renderer._renderer.enable_segmentation_rendering()
    picture = renderer._renderer.render()
    renderer.close()
    model = env.robot.model
    geoms = picture[..., 0][picture[..., 1] == int(mujoco.mjtObj.mjOBJ_GEOM)]
    seen = [model.body(int(model.geom_bodyid[geom])).name for geom in geoms]
    return {part: sum(name.startswith(part) for name in seen) for part in (*LEGS, "trunk")}


@needs_gl
def test_pictures_show_the_body() -> None:
    """From its right: the front right leg hides the front left one."""
    nominal, lost = pixels({}), pixels({"lost_leg": 2.0})
    assert nominal["front_right"] > 50
    assert lost["front_right"] == 0
    assert lost["front_left"] > nominal["front_left"]
    assert pixels({"upper_length": 1.5, "lower_length": 1.5})["front_right"] > 1.3 * nominal["front_right"]
    assert pixels({"trunk_size": 1.3})["trunk"] > 1.2 * nominal["trunk"]


@pytest.mark.slow
def test_a_body_is_the_same_on_warp() -> None:
    """As it is made and as it moves, on the ground, and after a leg was lost in mid-run."""
    tasks = list(GEOMETRY.values())
    envs = [TaskEnv(make_family("QuadrupedBodies"), len(tasks), engine=Engine(name)) for name in ("mujoco", "warp")]
    on_host, on_device = envs

    def moved_alike(steps: int, tolerance: float) -> None:
        for env in envs:
            for _ in range(steps):
                env.step(torch.zeros(len(tasks), 12))
            env.physics.check()
        found, expected = (env.physics.state("qpos").double() for env in (on_device, on_host))
        torch.testing.assert_close(found, expected, rtol=0.0, atol=tolerance)

    for env in envs:
        env.set_tasks(tasks, env.all_envs)
        env.begin_episodes(env.all_envs)
        env.physics.state("qpos")[:, 2] += 1e-3  # whether feet that just touch do so is a matter of the last digit
    moved_alike(5, 1e-4)
    for env in envs:
        env.shift_tasks(env.all_envs)
    assert (on_host.task["lost_leg"] > 0).all()
    for name in on_host.family.model_fields:
        expected, actual = (env.physics.model_field(name).double() for env in envs)
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-6, msg=name)
    moved_alike(1, 1e-4)
    moved_alike(4, 5e-2)  # shanks and thighs hit the ground
    on_device.begin_tasks(on_device.all_envs)  # its choices are sent when they are first drawn from
    with none_allowed():
        on_device.begin_tasks(on_device.all_envs)
        on_device.begin_episodes(on_device.all_envs)
        on_device.shift_tasks(on_device.all_envs)
