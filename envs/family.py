"""Task families: a robot, its task space and its reward."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import mujoco
import torch
from torch import Tensor

from limbshift.envs.errors import FamilyError
from limbshift.envs.mjcf.framing import Framing
from limbshift.envs.physics.device_array import DeviceArray
from limbshift.envs.physics.models import load_model
from limbshift.envs.physics.protocol import Physics
from limbshift.envs.schema import shortened
from limbshift.envs.task_step import Measure, Measured
from limbshift.envs.tasks.parameter import ModelEffect, StateEffect, TaskParameter
from limbshift.envs.tasks.streams import RandomStream
from limbshift.envs.tasks.task_space import TaskSpace


class Motion(NamedTuple):
    """What a reward may read after a control step."""

    physics: Physics
    velocity: Tensor
    """(N,) or (N, k) mean velocity over the step of what `Robot.position` gives, m/s."""
    action: Tensor
    """(N, A) the action as sent, in the robot's own units: where actions arrive late, not yet the one executed."""
    fallen: Tensor
    """(N,) bool; no simulation's, for a robot that cannot fall."""


Look = Callable[[Motion, Mapping[str, Tensor]], Any]
"""Makes something of a motion on tasks, (N,) values by parameter, right after a control step."""


class Mirror(NamedTuple):
    """How a robot that is alike on both sides looks in a mirror between them: entries change places, some their sign.

    >>> turned = Mirror(obs=(1, 0), obs_sign=(1.0, 1.0), action=(0,), action_sign=(-1.0,))
    >>> turned.obs, turned.action_sign
    ((1, 0), (-1.0,))
    """

    obs: tuple[int, ...]
    """Of the physical observation: the entry that comes in each place."""
    obs_sign: tuple[float, ...]
    action: tuple[int, ...]
    action_sign: tuple[float, ...]


class Robot(ABC):
    """A MuJoCo model, what it senses, how it starts and when it has fallen.

    >>> from limbshift.envs.catalogue import make_family
    >>> robot = make_family("HalfCheetahDir").robot
    >>> robot.name, robot.control_timestep, robot.model.nu
    ('HalfCheetah', 0.05, 6)
    """

    name: str
    xml: ClassVar[Path]
    frame_skip: int
    """Substeps in a control step."""
    integrator: mujoco.mjtIntegrator | None = None
    """Replaces the XML's integrator."""
    cone: mujoco.mjtCone | None = None
    """Replaces the XML's friction cone."""
    camera: Mapping[str, float] = {}
    """distance (m), azimuth and elevation (degrees) of the camera that follows the robot."""
    framing: Framing | None = None
    """What films are of; None for the body that owns the first joint, and what hangs on it."""
    start_states: Mapping[str, DeviceArray] = {}
    """At its start, by their names in MjData: activations, where its mocap bodies are; others are the model's own."""
    computed_fields: ClassVar[tuple[str, ...]] = ()
    """Names of the computed fields that it reads."""
    mirror: Mirror | None = None
    """How it looks in a mirror; None for one that is not alike on both sides, or of which nobody said so."""

    @cached_property
    def model(self) -> mujoco.MjModel:
        model = load_model(self.xml)
        if self.integrator is not None:
            model.opt.integrator = self.integrator
        if self.cone is not None:
            model.opt.cone = self.cone
        return model

    @cached_property
    def start(self) -> DeviceArray:
        """How it stands before noise is added, (nq,)."""
        return DeviceArray(self.model.qpos0)

    def as_written(self) -> Self:
        """Returns the same robot under the integrator and cone that its XML names: as Gymnasium runs it, and slower."""
        robot = type(self)()
        robot.integrator = robot.cone = None
        return robot

    @property
    def control_timestep(self) -> float:
        """Seconds between two actions."""
        return float(self.model.opt.timestep) * self.frame_skip

    def action_bounds(self) -> tuple[Tensor, Tensor]:
        """Returns the (A,) lowest and highest actions: by default the actuators' own."""
        low, high = self.model.actuator_ctrlrange.T
        return torch.tensor(low), torch.tensor(high)

    def controls(self, action: Tensor) -> Tensor:
        """Returns what the actuators are given, (N, A), for (N, A) actions within their bounds."""
        return action

    @abstractmethod
    def observe(self, physics: Physics) -> tuple[Tensor, ...]:
        """Returns what the robot senses: parts (N, ...), live or new, that the env joins into an observation.

        Live parts are the same each time: where all are live, MuJoCo's own engine is asked for them once.
        """

    @abstractmethod
    def position(self, physics: Physics) -> Tensor:
        """Returns the coordinates whose velocity rewards read, (N,) or (N, k), in m, live or new.

        Live ones are the same each time, as in `observe`.
        """

    @abstractmethod
    def initial_state(self, uniform: Tensor) -> tuple[Tensor, Tensor]:
        """Returns (N, nq) qpos and (N, nv) qvel of a first step, from (N, nq + nv) numbers in (0, 1)."""

    def even_noise(self, uniform: Tensor, half_width: float) -> tuple[Tensor, Tensor]:
        """Returns (N, nq) and (N, nv) numbers spread evenly within half_width of zero, for `initial_state`."""
        qpos, qvel = (half_width * (2 * uniform - 1)).split([self.model.nq, self.model.nv], dim=-1)
        return qpos, qvel

    def fallen(self, physics: Physics) -> Tensor | None:
        """Returns which robots have fallen, (N,) bool; None for a robot that cannot fall."""
        return None


class TaskFamily(ABC):
    """A robot in many worlds: what changes from one to the next, and what is rewarded.

    To add a family, subclass it in the robot's file, set the class attributes, write `reward`, and name it in
    `catalogue.py`; the class docstring's first line is its description, and `reward`'s docstring is its equation.

    >>> from limbshift.envs.catalogue import make_family
    >>> family = make_family("HalfCheetahVel", variant="garage")
    >>> family.episodes_per_trial, family.horizon, family.task_space.splits
    (4, 100, ('train', 'heldout', 'validation', 'extrapolation'))
    """

    name: str
    """By default the class's."""
    robot: Robot
    parameters: tuple[TaskParameter, ...]
    listed_tasks: Mapping[str, tuple[tuple[float, ...], ...]] = {}
    discs: tuple[tuple[str, str], ...] = ()
    mid_trial: Mapping[str, tuple[tuple[float, float], ...]] = {}
    """What alone changes where a task changes in the midst of a trial, as `TaskSpace` has it; empty for all."""
    mirrored: Mapping[str, str] | None = None
    """Parameters that change places in a mirror, where the family is otherwise the same in it; None where it is not."""
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {"default": {}}
    """By name, the attributes that a variant sets."""
    measure: Measure | None = None
    """What `measured` gives; None for families of which nothing but the reward is measured."""
    goal_radius: float = 0.0
    """How close to a hidden place counts as there, m."""
    episodes_per_trial: int = 2
    horizon: int = 200
    """Control steps in an episode."""
    gamma: float = 0.98
    """Discount at which the family is learnt, unless another is asked for."""
    initial_log_std: float = -0.5
    """Logarithm of the standard deviation of an untrained policy's actions, which end at -1 and 1; likewise."""
    task_coef: float = 0.25
    """Weight, at the start, of the auxiliary loss by which the memory must tell the task; likewise."""
    belief_size: int = 0
    """Width of the belief network of a controller that must find out its task; 0 for none; likewise."""
    told_share: float = 0.85
    """Share of the budget, from its start, in which a controller with a belief network is told its task; likewise."""
    num_candidates: int = 0
    """Tasks that such a network searches among, one by one, for families whose reward tells little from afar; 0 for
    none; likewise."""
    guided: bool = False
    """Whether a learner that is told its task is paid `guidance` at first."""

    def __init_subclass__(cls) -> None:
        cls.name = vars(cls).get("name", cls.__name__)

    def __init__(self, variant: str = "default") -> None:
        if not isinstance(variant, str) or variant not in self.variants:
            expected = ", ".join(self.variants)
            raise FamilyError(f"variant of {self.name} is {variant!r}, expected one of {expected}")
        self.variant = variant
        vars(self).update(self.variants[variant])
        if not isinstance(robot := getattr(self, "robot", None), Robot):
            raise FamilyError(f"robot of {self.name} is {shortened(robot)}, expected a Robot, such as HalfCheetah()")
        self.task_space = TaskSpace(self.parameters, self.listed_tasks, self.discs, self.mid_trial)

    @abstractmethod
    def reward(self, motion: Motion, task: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns the terms, (N,) each, whose sum is the reward; task holds (N,) values by parameter."""

    def measured(self, motion: Motion, task: Mapping[str, Tensor]) -> Measured | None:
        """Returns what `measure` names, of motions on tasks, (N,) values by parameter; None, the default, for nothing.

        It is told of evaluations and shown in films: no policy and no learner sees it.
        """
        return None

    def guidance(self, motion: Motion, task: Mapping[str, Tensor]) -> Tensor:
        """Returns what a learner that is told its task is paid at first, beside the reward, (N,): where `guided`.

        No policy sees it, and nothing is evaluated by it.
        """
        raise NotImplementedError

    def fitted(self, physics: Physics, qpos: Tensor) -> Tensor:
        """Returns (N, nq) initial positions as the bodies that tasks have made need them; by default as they are."""
        return qpos

    def place_goal(self, physics: Physics, task: Mapping[str, Tensor], mask: Tensor) -> None:
        """Writes what shows the goal, and nothing else, into the states of the simulations that mask picks."""
        for parameter in self.parameters:
            if isinstance(parameter.effect, StateEffect):
                parameter.effect.apply(physics, task[parameter.name], mask)

    def __repr__(self) -> str:
        names = [parameter.name for parameter in self.parameters]
        shown = ", ".join(names if len(names) <= 3 else [*names[:2], f"… {len(names)} in all"])
        return f"<TaskFamily {self.name}, variant {self.variant}: robot {self.robot.name}, tasks of {shown}>"

    @property
    def title(self) -> str:
        """What a film or a page calls it."""
        return self.name if self.variant == "default" else f"{self.name} ({self.variant})"

    @property
    def description(self) -> str:
        return (self.__doc__ or "").strip().split("\n")[0]

    @property
    def nominal(self) -> dict[str, float]:
        """The unmodified robot."""
        return self.task_space.nominal

    @cached_property
    def model_fields(self) -> tuple[str, ...]:
        """Model fields that need a value for each simulation."""
        effects = [parameter.effect for parameter in self.parameters if isinstance(parameter.effect, ModelEffect)]
        return tuple(dict.fromkeys(name for effect in effects for name in effect.model_fields))

    def with_train_tasks(self, count: int | None) -> Self:
        """Returns the family with so many tasks to train on; None for its own."""
        if count is None:
            return self
        family = copy.copy(self)
        family.task_space = self.task_space.with_train_tasks(count, RandomStream("few tasks", self.name, self.variant))
        return family

    def apply(self, physics: Physics, values: Tensor, mask: Tensor) -> None:
        """Turns the simulations that mask picks into the tasks of (N, P) values, from the nominal robot each time."""
        if not self.model_fields:
            return
        for name in self.model_fields:
            live = physics.model_field(name)
            picked = mask.view(-1, *[1] * (live.dim() - 1))
            live.copy_(torch.where(picked, physics.nominal(name), live))
        for position, parameter in enumerate(self.parameters):
            if isinstance(parameter.effect, ModelEffect):
                parameter.effect.apply(physics, values[:, position], mask)
        physics.recompute_constants(mask)


class RunningFamily(TaskFamily):
    """Robots that are to get on, measured by their speed."""

    measure: Measure | None = Measure("speed", "m/s")

    def measured(self, motion: Motion, task: Mapping[str, Tensor]) -> Measured:
        return Measured(self.progress(motion, task), self.asked(task))

    def progress(self, motion: Motion, task: Mapping[str, Tensor]) -> Tensor:
        """Returns the speed that counts, (N,) in m/s: by default that along x."""
        return motion.velocity if motion.velocity.dim() == 1 else motion.velocity[:, 0]

    def asked(self, task: Mapping[str, Tensor]) -> Tensor | None:
        """Returns the speed that is asked for, (N,) in m/s; None where more is better."""
        return None
