"""The families that every robot of the user's own has."""

import difflib
from collections.abc import Callable, Mapping, Sequence

import mujoco
import torch
from torch import Tensor

from limbshift.envs.errors import FamilyError
from limbshift.envs.family import Motion, TaskFamily
from limbshift.envs.mjcf.robot import MjcfRobot
from limbshift.envs.mjcf.source import RobotError
from limbshift.envs.task_env import TaskEnv
from limbshift.envs.task_step import Measure, Measured
from limbshift.envs.tasks.common import dead_motor, factor, friction, mass_factors, motor_sign, slope
from limbshift.envs.tasks.effects import AddMass
from limbshift.envs.tasks.motor_effects import KillMotor, ReverseCommands, ScaleActuators, reversible, scalable
from limbshift.envs.tasks.parameter import TaskParameter
from limbshift.envs.tasks.rewards import control_cost

CONTROL_WEIGHT = 0.05
"""Cost of a squared action."""
STANDING_SIMS = 16
"""In which a robot is tried out before it is trained."""


class MjcfFamily(TaskFamily):
    """One of the families that every robot has, over its named bodies and actuators.

    >>> from limbshift.envs.physics.models import gymnasium_xml
    >>> family = MjcfFamily("Motors", MjcfRobot.from_xml(gymnasium_xml("ant.xml")))
    >>> family.nominal
    {'motor_strength': 1.0, 'dead_motor': 0.0}
    """

    gamma = 0.99

    def __init__(self, kind: str, robot: MjcfRobot) -> None:
        if kind not in KINDS:
            nearest = difflib.get_close_matches(kind, KINDS, n=1, cutoff=0.3)
            hint = f"did you mean {nearest[0]}?" if nearest else f"expected one of {', '.join(KINDS)}"
            raise FamilyError(f"a robot of one's own has no family {kind!r}: {hint}")
        self.name = kind
        self.robot: MjcfRobot = robot
        self.parameters = KINDS[kind](robot)
        self.left_out = left_out(robot, CHANGEABLE[kind]) if kind in CHANGEABLE else ()
        if not self.parameters:
            raise FamilyError(
                f"{kind} can change none of the actuators of robot {robot.name} ({', '.join(self.left_out)}),"
                f" expected one of {', '.join(other for other in KINDS if other != kind)}"
            )
        self.measure = Measure("speed", "m/s") if robot.travels else Measure("error", "rad")
        super().__init__()

    @property
    def title(self) -> str:
        return f"{self.robot.name}: {self.name}"

    @property
    def description(self) -> str:
        changes = (KINDS[self.name].__doc__ or "").rstrip(".")
        return f"{'Run along +x' if self.robot.travels else 'Hold the starting pose'}: {changes}."

    def reward(self, motion: Motion, task: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """v_x - 0.05 * sum(a^2); with a fixed base: -mean(|q - q_start|) - 0.05 * sum(a^2)"""
        cost = control_cost(motion.action, CONTROL_WEIGHT)
        if self.robot.travels:
            return {"run": motion.velocity, "control": cost}
        return {"pose": -self.robot.pose_error(motion.physics), "control": cost}

    def measured(self, motion: Motion, task: Mapping[str, Tensor]) -> Measured:
        if self.robot.travels:
            return Measured(motion.velocity)
        error = self.robot.pose_error(motion.physics)
        return Measured(error, torch.zeros_like(error))


def limbs(robot: MjcfRobot) -> tuple[TaskParameter, ...]:
    """Each body up to 2.25 times heavier or lighter."""
    model = robot.model
    bodies = [model.body(number).name for number in robot.mechanism.bodies if model.body_mass[number] > 0]
    return mass_factors(bodies, widest=2, extrapolation=3)


def payload(robot: MjcfRobot) -> tuple[TaskParameter, ...]:
    """A load of up to half of the robot's mass, on its root or, with a fixed base, on its last body."""
    model = robot.model
    body = model.body(robot.root if robot.travels else robot.mechanism.last).name
    most = 0.5 * float(model.body_subtreemass[robot.root])
    load = TaskParameter(
        "payload",
        0.0,
        most,
        f"mass of a load on {body}",
        unit="kg",
        nominal=0.0,
        extrapolation=((most, 1.5 * most),),
        effect=AddMass(body),
    )
    return (load,)


def ground(robot: MjcfRobot) -> tuple[TaskParameter, ...]:
    """Slippery or rough ground, uphill or downhill."""
    return (friction(0.4, 2.0, (0.2, 0.4), (2.0, 4.0)), slope(10.0, (-15.0, -10.0), (10.0, 15.0)))


def motors(robot: MjcfRobot) -> tuple[TaskParameter, ...]:
    """Weak or strong motors, of which one may be dead."""
    ids = actuators(robot, scalable)
    if not ids:
        return ()
    names = names_of(robot, ids)
    strength = factor(
        "motor_strength",
        0.5,
        1.5,
        description="factor on the force of all motors",
        effect=ScaleActuators(names, limits=True),
        extrapolation=((0.25, 0.5), (1.5, 2.0)),
    )
    return (strength, dead_motor(names, KillMotor(tuple(ids))))


def wiring(robot: MjcfRobot) -> tuple[TaskParameter, ...]:
    """Motors of which any may be wired the wrong way round."""
    names = names_of(robot, actuators(robot, reversible))
    return tuple(motor_sign(name, f"how {name} is wired", ReverseCommands((name,))) for name in names)


def actuators(robot: MjcfRobot, changeable: Callable[[mujoco.MjModel, int], bool]) -> list[int]:
    """Returns the ids of a robot's actuators that can be changed, in order."""
    return [actuator for actuator in range(robot.model.nactuator) if changeable(robot.model, actuator)]


def names_of(robot: MjcfRobot, ids: Sequence[int]) -> tuple[str, ...]:
    """Returns the names of actuators."""
    return tuple(robot.model.actuator(number).name for number in ids)


def left_out(robot: MjcfRobot, changeable: Callable[[mujoco.MjModel, int], bool]) -> tuple[str, ...]:
    """Returns the names of a robot's actuators that cannot be changed: muscles cannot be reversed, for one."""
    changed = actuators(robot, changeable)
    return names_of(robot, [number for number in range(robot.model.nactuator) if number not in changed])


KINDS = {"Limbs": limbs, "Payload": payload, "Ground": ground, "Motors": motors, "Wiring": wiring}
"""The families of every robot."""
CHANGEABLE = {"Motors": scalable, "Wiring": reversible}
"""Which actuators a family may change."""


def check_stands(family: TaskFamily) -> None:
    """Raises RobotError where the first step of a robot of the user's own ends every episode.

    It is tried unmodified, with actions of 0 and with random ones. What a family's own code raises shows here too,
    before anything is written.
    """
    robot = family.robot
    env = TaskEnv(family, STANDING_SIMS)
    env.set_tasks([{}] * STANDING_SIMS, env.all_envs)
    env.begin_episodes(env.all_envs)
    action = 2 * torch.rand(STANDING_SIMS, env.action_dim, generator=torch.Generator().manual_seed(0)) - 1
    action[::2] = 0
    step = env.step(action)
    env.close()
    if not isinstance(robot, MjcfRobot):
        return
    if step.diverged.all():
        raise RobotError(f"robot {robot.name} cannot be simulated: it diverges in its first step, whatever it does")
    if step.terminated.all():
        raise RobotError(
            f"robot {robot.name} has fallen after its first step, whatever it does (it {robot.fall_rule}):"
            " expected one that stands at its start, or other limits: fall_height, fall_tilt"
        )


def about(family: TaskFamily) -> list[str]:
    """Returns what to know, a line each, before a robot of the user's own is trained; nothing for other robots."""
    if not isinstance(family.robot, MjcfRobot):
        return []
    robot = family.robot
    root = robot.model.body(robot.root).name
    lines = [f"Robot {robot.name}: its root is {root}; it {robot.fall_rule}"]
    if isinstance(family, MjcfFamily) and family.left_out:
        lines.append(f"Left out of {family.name}, as it cannot change them: {', '.join(family.left_out)}")
    return lines
