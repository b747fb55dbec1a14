"""Ants of many bodies, against models that are compiled from an XML that was edited so."""

from collections.abc import Mapping

import mujoco
import numpy as np
import pytest
import torch

from limbshift.envs.catalogue import make_family
from limbshift.envs.physics.models import MESSAGES
from limbshift.envs.robots.ant_robot import JOINTS, LEGS
from limbshift.envs.task_env import TaskEnv
from tests.envs.robots.suite import sample

Task = Mapping[str, float]
TASKS: Mapping[str, Task] = {
    "long upper": {"upper_length": 1.5},
    "short lower": {"lower_length": 0.6},
    "all": {"upper_length": 0.7, "lower_length": 1.4, "torso_mass": 1.5, "motor_power": 0.8},
    "a lost leg": {"lost_leg": 2.0, "lower_length": 1.7},
}
FIELDS = (
    *("body_mass", "body_inertia", "body_ipos", "body_iquat", "body_pos", "body_subtreemass", "body_invweight0"),
    *("geom_size", "geom_pos", "geom_quat", "geom_rbound", "actuator_gear"),
)


def written(task: Task) -> mujoco.MjModel:
    """The ant of a task, from its edited XML, in which geoms have densities."""
    robot = make_family("AntBodies").robot
    with MESSAGES.expecting("settotalmass"):
        spec = mujoco.MjSpec.from_file(str(robot.xml))
        spec.option.integrator = robot.model.opt.integrator
        spec.geom("torso_geom").density = 5.0 * task.get("torso_mass", 1.0)
        for root in LEGS.values():
            (upper,) = spec.body(root).bodies
            (lower,) = upper.bodies
            lower.pos[:] *= task.get("upper_length", 1.0)
            for body, name in ((upper, "upper_length"), (lower, "lower_length")):
                body.geoms[0].fromto[3:] *= task.get(name, 1.0)
        for actuator in spec.actuators:
            actuator.gear[0] *= task.get("motor_power", 1.0)
        if lost := int(task.get("lost_leg", 0)):
            for actuator in list(spec.actuators):
                if actuator.target in JOINTS[2 * lost - 2 : 2 * lost]:
                    spec.delete(actuator)
            spec.delete(spec.body(list(LEGS.values())[lost - 1]))
        return spec.compile()


def posed(*tasks: Task) -> TaskEnv:
    """Ants of these tasks at the start of an episode."""
    env = TaskEnv(make_family("AntBodies"), len(tasks))
    env.set_tasks(tasks, env.all_envs)
    env.begin_episodes(env.all_envs)
    return env


@pytest.mark.parametrize("task", [task for task in TASKS.values() if "lost_leg" not in task], ids=str)
def test_a_body_is_the_one_that_would_be_compiled(task: Task) -> None:
    env = posed(task)
    expected, edited = written(task), env.physics.snapshot(0)[0]
    for field in FIELDS:
        found, wanted = getattr(edited, field), getattr(expected, field)
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9, err_msg=field)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_a_body_moves_as_the_one_that_would_be_compiled(task: Task) -> None:
    """Under the same controls; a lost leg is none."""
    env, model = posed(task), written(task)
    data = mujoco.MjData(model)
    names = [model.joint(number).name for number in range(model.njnt)]
    joints = [env.robot.model.joint(name) for name in names]
    qpos = np.concatenate([joint.qposadr + np.arange(len(joint.qpos0)) for joint in joints])
    qvel = np.concatenate([joint.dofadr + np.arange(len(joint.damping)) for joint in joints])
    moved = env.robot.model.actuator_trnid[:, 0].tolist()
    motors = [moved.index(env.robot.model.joint(names[joint]).id) for joint in model.actuator_trnid[:, 0]]
    state = {name: env.physics.state(name)[0].numpy() for name in ("qpos", "qvel")}
    data.qpos[:], data.qvel[:] = state["qpos"][qpos], state["qvel"][qvel]
    generator = torch.Generator().manual_seed(3)
    for step in range(200):
        if step % 20 == 0:
            controls = torch.rand(8, generator=generator, dtype=torch.float64) - 0.5
        env.physics.state("ctrl")[0] = controls
        data.ctrl[:] = controls.numpy()[motors]
        assert not env.physics.step(1).any()
        mujoco.mj_step(model, data)
        np.testing.assert_allclose(state["qpos"][qpos], data.qpos, atol=1e-7, err_msg=f"step {step}")
    assert data.qpos[2] < 1.0


@pytest.mark.parametrize("split", ["train", "extrapolation"])
def test_every_body_stands(split: str) -> None:
    """For a second, without any action: on three legs too."""
    values = sample(make_family("AntBodies"), split, 32)
    env = posed(*({name: float(column[row]) for name, column in values.items()} for row in range(32)))
    for sim in range(env.num_envs):
        assert not (env.physics.snapshot(sim)[1].contact.dist < 0).any(), "it starts in the ground"
    for _ in range(20):
        assert not env.step(torch.zeros(32, 8)).terminated.any()
