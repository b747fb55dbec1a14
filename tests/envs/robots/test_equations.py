"""Each family's printed equation, evaluated over quantities that are computed here, is what it pays."""

import re
from typing import Any

import mujoco
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from limbshift.envs.family import Motion, TaskFamily
from limbshift.envs.mjcf.families import MjcfFamily
from limbshift.envs.mjcf.robot import MjcfRobot
from limbshift.envs.physics.protocol import Physics
from limbshift.envs.task_env import TaskEnv
from tests.envs.robots.equation import Equation, equation_of
from tests.envs.robots.own_robots import FIXED, TRAVELLERS
from tests.envs.robots.suite import every_family

SIMS = 24


class Paid:
    """Robots in random states of motion, and what a family pays them."""

    def __init__(self, family: TaskFamily) -> None:
        self.env = TaskEnv(family, SIMS, seed=3)
        self.env.begin_tasks(self.env.all_envs)
        self.env.begin_episodes(self.env.all_envs)
        generator = torch.Generator().manual_seed(5)
        low, high = self.env.action_low, self.env.action_high
        for _ in range(15):
            share = torch.rand(SIMS, self.env.action_dim, generator=generator, dtype=torch.float64)
            self.env.step(low + (high - low) * share)
        position = family.robot.position(self.env.physics)
        velocity = torch.randn(position.shape, generator=generator, dtype=torch.float64)
        fallen = torch.rand(SIMS, generator=generator) < 0.3
        self.motion = Motion(self.env.physics, velocity, low + (high - low) * share, fallen)
        self.task = {name: values.clone() for name, values in self.env.task.items()}
        if family.goal_radius:  # half of the goals are near, on either side of the radius
            share = torch.linspace(0.7, 1.3, SIMS // 2, dtype=torch.float64)
            self.task["goal_x"][::2] = position[::2, 0] + family.goal_radius * share
            self.task["goal_y"][::2] = position[::2, 1]
        if "cfrc_ext" in family.robot.computed_fields:  # contacts of all strengths, up to where their cost is cut off
            forces = self.env.physics.computed_field("cfrc_ext")
            forces.copy_(torch.randn(forces.shape, generator=generator) * torch.logspace(-1, 3, SIMS).view(-1, 1, 1))
        self.reward = torch.stack(list(family.reward(self.motion, self.task).values())).sum(dim=0).numpy()

    def quantities(self, sim: int) -> dict[str, Any]:
        """All that an equation may name, of one robot."""
        robot, motion = self.env.robot, self.motion
        task = {name: float(values[sim]) for name, values in self.task.items()}
        state = {name: motion.physics.state(name)[sim].numpy() for name in ("qpos", "qvel")}
        velocity = np.atleast_1d(motion.velocity[sim].numpy())
        named = {
            **dict(zip(("v_x", "v_y"), velocity, strict=False)),
            **task,
            "heading": np.deg2rad(task.get("heading", 0.0)),
            "a": motion.action[sim].numpy(),
            "upright": 0.0 if motion.fallen[sim] else 1.0,
        }
        if robot.name == "Quadruped":
            named |= in_the_trunks_frame(state["qpos"], state["qvel"])
        elif robot.name == "Arm":
            parts = robot.observe(motion.physics)
            named |= {"q": state["qpos"], "q_reference": parts[2][sim].numpy()}
        elif robot.name in ("Reacher", "Ant"):
            named |= goal(motion.physics, sim, task, state["qpos"], velocity)
        if "cfrc_ext" in robot.computed_fields:
            named["f"] = motion.physics.computed_field("cfrc_ext")[sim].numpy()
        if isinstance(robot, MjcfRobot):
            start = robot.model.key_qpos[0] if robot.model.nkey else robot.model.qpos0
            named |= {"q": state["qpos"], "q_start": start}
        return named


def in_the_trunks_frame(qpos: NDArray[Any], qvel: NDArray[Any]) -> dict[str, Any]:
    """By MuJoCo's rotations: velocity, angular velocity (which is so already) and where down is."""
    inverse, velocity, down = np.zeros(4), np.zeros(3), np.zeros(3)
    mujoco.mju_negQuat(inverse, qpos[3:7])
    mujoco.mju_rotVecQuat(velocity, qvel[:3], inverse)
    mujoco.mju_rotVecQuat(down, np.array([0.0, 0.0, -1.0]), inverse)
    vectors = {"v": velocity, "w": qvel[3:6], "g": down}
    named = {f"{name}_{axis}": vector[i] for name, vector in vectors.items() for i, axis in enumerate("xyz")}
    return {**named, "joint_velocity": qvel[6:]}


def goal(
    physics: Physics, sim: int, task: dict[str, float], qpos: NDArray[Any], velocity: NDArray[Any]
) -> dict[str, Any]:
    """How far it is to the goal, or to the target that is seen, and how fast that is approached."""
    seen = physics.model.njnt == 4 and physics.model.nq == 4
    place = np.array([task["goal_x"], task["goal_y"]]) if "goal_x" in task else qpos[2:4] if seen else np.zeros(2)
    body = physics.model.body("fingertip" if seen else "torso").id
    offset = place - physics.computed_field("xpos")[sim, body, :2].numpy()
    distance = float(np.hypot(*offset))
    return {"distance": distance, "approach": float(velocity @ offset) / distance}


def values(equation: Equation, paid: Paid) -> NDArray[Any]:
    return np.array([equation.value(paid.quantities(sim)) for sim in range(SIMS)])


@every_family
def test_a_family_pays_by_its_printed_equation(family: TaskFamily) -> None:
    paid = Paid(family)
    equation = equation_of(family.reward.__doc__ or "", family.variant)
    np.testing.assert_allclose(values(equation, paid), paid.reward, rtol=1e-9, atol=1e-12, err_msg=equation.text)
    for number in equation.numbers():
        wrong = equation.altered(number)
        assert not np.allclose(values(wrong, paid), paid.reward, rtol=1e-9, atol=1e-12), f"{wrong.text} would do too"


@pytest.mark.filterwarnings("ignore:.*settotalmass")
@pytest.mark.parametrize("xml", [TRAVELLERS[0], FIXED[1]], ids=["travels", "fixed"])
def test_a_robot_of_ones_own_pays_by_its_printed_equation(xml: Any) -> None:
    family = MjcfFamily("Limbs", MjcfRobot.from_xml(xml))
    clauses = [" ".join(part.split()) for part in (family.reward.__doc__ or "").split(";")]
    text = clauses[0] if family.robot.travels else clauses[1].removeprefix("with a fixed base: ")
    paid = Paid(family)
    np.testing.assert_allclose(values(Equation(text), paid), paid.reward, rtol=1e-9)


@every_family
def test_a_docstring_speaks_of_no_other_variant(family: TaskFamily) -> None:
    assert set(re.findall(r'variant "(\w+)"', family.reward.__doc__ or "")) <= set(family.variants)


def test_equations_are_read_as_they_are_printed() -> None:
    doc = 'exp(-d / 2 cm) - |x - 1|^2; variant "b": 3 (0 where it falls)\n   - min(5e-1 * sum(a^2), 10); d is far'
    quantities = {"d": 0.02, "x": 3.0, "upright": 1.0, "a": np.array([1.0, 3.0])}
    assert equation_of(doc, "default").value(quantities) == pytest.approx(np.exp(-1) - 4)
    assert equation_of(doc, "b").value(quantities) == 3 - 5
    assert [number[0] for number in equation_of(doc, "b").numbers()] == ["3", "5e-1", "2", "10"]
