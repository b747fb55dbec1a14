"""Families of ants: which way they go, and on what bodies."""

import math
from collections.abc import Mapping
from dataclasses import replace
from itertools import product

import torch
from torch import Tensor
from torch.nn.functional import normalize

from limbshift.envs.family import Motion, Robot, RunningFamily
from limbshift.envs.physics.protocol import CONTACT_FORCES, Physics
from limbshift.envs.robots.ant_robot import JOINTS, LEGS, RESET_NOISE, Ant, GymnasiumAnt, PlacedAnt
from limbshift.envs.task_step import Measure, Measured
from limbshift.envs.tasks.body_parameters import SHORT_DELAY, leg_length, lost_leg
from limbshift.envs.tasks.common import (
    DIRECTION,
    HEADING,
    all_but,
    hidden_place,
    mass_factor,
    motor_lives,
    motor_power,
    motor_signs,
)
from limbshift.envs.tasks.effects import ScaleBodyMass, ScaleLimbMass
from limbshift.envs.tasks.parameter import Effect, TaskParameter
from limbshift.envs.tasks.rewards import alive, along, control_cost
from limbshift.envs.tasks.task_space import drawn_tasks

ALIVE_WEIGHT = 0.2
"""Pay for each step without a fall; Gymnasium's 1 outweighs running for so long that ants learn to stand still."""
CONTROL_WEIGHT = 0.01
"""Cost of a squared action; Gymnasium's is 0.5."""
MAX_CONTACT_FORCE = 1.0
"""At which Gymnasium cuts each of these off, N or N m."""
NEAR = 0.5
"""How close to a goal counts as there, m."""
WORTHLESS = 4.0
"""Distance to a goal that pays nothing, m: no goal is so far that an ant would gain by falling."""


class AntFamily(RunningFamily):
    """Ants run along +x; those that are to do otherwise say so."""

    robot: Robot = Ant()
    gamma = 0.99
    initial_log_std = -1.5  # larger noise throws the robot about, which learns to stand first
    variants = {
        "default": {},
        "gymnasium": {
            "robot": GymnasiumAnt(),
            "alive_weight": 1.0,
            "control_weight": 0.5,
            "contact_weight": 5e-4,
        },
    }
    alive_weight = ALIVE_WEIGHT
    control_weight = CONTROL_WEIGHT
    contact_weight = 0.0

    def reward(self, motion: Motion, task: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """v_x + 0.2 (0 where it falls) - 0.01 * sum(a^2);
        variant "gymnasium": v_x + 1 (0 where it falls) - 0.5 * sum(a^2) - 0.0005 * sum(clip(f, -1, 1)^2);
        f are the forces (N) and torques (N m) of contacts on the bodies
        """
        return self.paid(self.progress(motion, task), motion)

    def paid(self, progress: Tensor, motion: Motion) -> dict[str, Tensor]:
        """Progress, staying upright, and the costs of the motors' work and, where they are paid for, of contacts."""
        terms = {
            "run": progress,
            "alive": self.alive_weight * alive(motion.fallen),
            "control": control_cost(motion.action, self.control_weight),
        }
        if self.contact_weight:
            forces = motion.physics.computed_field(CONTACT_FORCES).clamp(-MAX_CONTACT_FORCE, MAX_CONTACT_FORCE)
            terms["contact"] = -self.contact_weight * forces.square().sum(dim=(1, 2))
        return terms


def limbs(widest: float, extrapolation: float) -> tuple[TaskParameter, ...]:
    """Returns a factor on the mass of the torso and of each leg."""
    parts: dict[str, Effect] = {
        "torso": ScaleBodyMass("torso"),
        **{f"{leg}_leg": ScaleLimbMass(root) for leg, root in LEGS.items()},
    }
    return tuple(mass_factor(name, effect, widest, extrapolation=extrapolation) for name, effect in parts.items())


HELDOUT_WIRINGS = tuple(
    signs for signs in product((-1.0, 1.0), repeat=len(JOINTS)) if math.prod(signs[:5]) > 0 and math.prod(signs[3:]) < 0
)
"""A quarter of all wirings, in which the signs of any four motors tell nothing of each other."""


class AntWiring(AntFamily):
    """Run along +x with motors of which any may be wired the wrong way round."""

    parameters = motor_signs(JOINTS)
    listed_tasks = all_but(tuple(product((-1.0, 1.0), repeat=len(JOINTS))), HELDOUT_WIRINGS)


class AntDir(AntFamily):
    """Run in a direction, any of the circle, that is hidden."""

    variants = {**AntFamily.variants, "varibad": {"parameters": (replace(HEADING, low=-57.3, high=57.3),)}}
    parameters = (HEADING,)
    belief_size = 64  # who is told where to run at first learns to run sooner
    told_share = 0.6  # by then it runs

    def reward(self, motion: Motion, task: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """v_x * cos(heading) + v_y * sin(heading) + 0.2 (0 where it falls) - 0.01 * sum(a^2);
        variant "gymnasium": v_x * cos(heading) + v_y * sin(heading) + 1 (0 where it falls) - 0.5 * sum(a^2)
        - 0.0005 * sum(clip(f, -1, 1)^2);
        f are the forces (N) and torques (N m) of contacts on the bodies
        """
        return super().reward(motion, task)

    def progress(self, motion: Motion, task: Mapping[str, Tensor]) -> Tensor:
        return along(motion.velocity, task["heading"])


class RunEitherWay(AntFamily):
    """Ants of which each runs its own way along x."""

    def reward(self, motion: Motion, task: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """direction * v_x + 0.2 (0 where it falls) - 0.01 * sum(a^2);
        variant "gymnasium": direction * v_x + 1 (0 where it falls) - 0.5 * sum(a^2)
        - 0.0005 * sum(clip(f, -1, 1)^2);
        f are the forces (N) and torques (N m) of contacts on the bodies
        """
        return super().reward(motion, task)

    def progress(self, motion: Motion, task: Mapping[str, Tensor]) -> Tensor:
        return task["direction"] * motion.velocity[:, 0]


class AntDirForwardBack(RunEitherWay):
    """Run forward or backward; which of the two is hidden."""

    parameters = (DIRECTION,)


class AntLimbs(AntFamily):
    """Run along +x on a body whose legs and torso are each up to 3.4 times heavier or lighter."""

    parameters = limbs(widest=3, extrapolation=4)


class AntLimbsDir(RunEitherWay):
    """Run forward or backward on a body whose legs and torso are each up to 2.25 times heavier or lighter."""

    parameters = (*limbs(widest=2, extrapolation=3), DIRECTION)


ANKLES = ("left_ankle_geom", "right_ankle_geom", "third_ankle_geom", "fourth_ankle_geom")
"""The XML's names of the lower legs, in the legs' order."""
STANDING = (1.0, -1.0, -1.0, 1.0)
"""Ankles of an ant that stands, rad, in the legs' order."""


class AntBodies(AntFamily):
    """Run along +x on legs of unknown lengths, by motors that are weak, strong or late; extrapolation loses a leg."""

    variants = {"default": {}}
    parameters = (
        leg_length("upper", [f"aux_{number}" for number in (1, 2, 3, 4)], low=0.6, high=1.5, beyond=1.7),
        leg_length("lower", ANKLES, low=0.6, high=1.5, beyond=1.7),
        mass_factor("torso", ScaleBodyMass("torso"), 1, extrapolation=2),
        motor_power(JOINTS, 0.7, 1.4),
        lost_leg(tuple(LEGS), tuple(LEGS.values())),
        SHORT_DELAY,
    )
    mid_trial = {"lost_leg": ((1.0, 4.0),)}

    def reward(self, motion: Motion, task: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """v_x + 0.2 (0 where it falls) - 0.01 * sum(a^2)"""
        return super().reward(motion, task)

    def fitted(self, physics: Physics, qpos: Tensor) -> Tensor:
        """Stands the ants up, 0 to 0.2 m above the ground: from Gymnasium's start long legs would throw them over."""
        feet = [self.robot.model.geom(name).id for name in ANKLES]
        standing, size = qpos.clone(), physics.model_field("geom_size")
        standing[:, 3], standing[:, 4:7] = 1.0, 0.0
        standing[:, 2] += RESET_NOISE - float(self.robot.model.qpos0[2])
        depth = torch.zeros_like(qpos[:, 0])
        for leg, (foot, bent) in enumerate(zip(feet, STANDING, strict=True)):
            ankle = standing[:, 8 + 2 * leg]
            ankle += bent
            # Along the leg from the ankle to the tip's ball; a lost leg has none.
            depth = torch.maximum(depth, 2 * size[:, foot, 1] * ankle.sin().abs() + size[:, foot, 0])
        standing[:, 2] += depth
        return standing


class AntCrippled(AntFamily):
    """Run along +x with one leg dead; the back right one is never trained on."""

    parameters = motor_lives([(leg, JOINTS[2 * number : 2 * number + 2]) for number, leg in enumerate(LEGS)])
    listed_tasks = all_but([tuple(float(leg != dead) for leg in LEGS) for dead in LEGS], [(1.0, 1.0, 1.0, 0.0)])
    mirrored = dict(zip((f"{leg}_alive" for leg in LEGS), (f"{leg}_alive" for leg in reversed(LEGS)), strict=True))


class AntGoal(AntFamily):
    """Walk to a hidden place up to 3 m away."""

    robot: Robot = PlacedAnt()
    parameters = hidden_place(3.0)
    discs = (("goal_x", "goal_y"),)
    variants = {
        "default": {},
        # From afar the reward tells nothing: who is told the place learns to walk there, who is not goes and looks.
        "sparse": {"belief_size": 32, "num_candidates": 128, "told_share": 1.0, "guided": True},
        "pearl": {"listed_tasks": drawn_tasks(parameters, train=150, heldout=30, discs=discs)},
    }
    goal_radius = NEAR
    measure = Measure("distance", "m", near=NEAR)

    def reward(self, motion: Motion, task: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """approach + 1 - distance / 4 m + 0.2 (0 where it falls) - 0.01 * sum(a^2);
        variant "sparse": (1 if distance < 0.5 m else 0) + 0.2 (0 where it falls) - 0.01 * sum(a^2);
        distance is that of the torso from the goal, approach its speed towards the goal
        """
        approach, distance = self._way(motion, task)
        if self.variant == "sparse":
            return self.paid((distance < NEAR).to(distance.dtype), motion)
        return {**self.paid(approach, motion), "near": 1 - distance / WORTHLESS}

    def guidance(self, motion: Motion, task: Mapping[str, Tensor]) -> Tensor:
        approach, _ = self._way(motion, task)
        return approach

    def measured(self, motion: Motion, task: Mapping[str, Tensor]) -> Measured:
        _, distance = self._way(motion, task)
        return Measured(distance, torch.zeros_like(distance))

    def _way(self, motion: Motion, task: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        offset = torch.stack([task["goal_x"], task["goal_y"]], dim=-1) - self.robot.position(motion.physics)
        return torch.linalg.vecdot(motion.velocity, normalize(offset, dim=-1)), offset.norm(dim=-1)
