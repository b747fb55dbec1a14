"""A robot whose motion can be worked out by hand: a box on a rail, from which it can fall."""

from collections.abc import Mapping
from functools import cached_property

import mujoco
from torch import Tensor

from limbshift.envs.family import Motion, Robot, TaskFamily
from limbshift.envs.physics.protocol import Physics
from limbshift.envs.tasks.effects import ScaleBodyMass
from limbshift.envs.tasks.parameter import TaskParameter

MJCF = """
<mujoco>
  <option timestep="0.05" gravity="0 0 0"/>
  <worldbody>
    <body name="sled">
      <inertial pos="0 0 0" mass="2" diaginertia="1 1 1"/>
      <joint name="rail" type="slide" axis="1 0 0"/>
    </body>
  </worldbody>
  <actuator><motor joint="rail" gear="4" ctrllimited="true" ctrlrange="-1 1"/></actuator>
</mujoco>
"""


class Sled(Robot):
    """A box of 2 kg, pushed by up to 4 N along a rail without friction; past 1 m it has fallen.

    Two substeps of 0.05 s make a control step. Position and velocity x, v under action a become
    v' = v + 0.2 a and x' = x + 0.1 v + 0.015 a: the velocity moves first, by 0.1 a a substep.
    """

    name = "Sled"
    frame_skip = 2

    @cached_property
    def model(self) -> mujoco.MjModel:
        return mujoco.MjModel.from_xml_string(MJCF)

    def observe(self, physics: Physics) -> tuple[Tensor, ...]:
        return physics.state("qpos"), physics.state("qvel")

    def position(self, physics: Physics) -> Tensor:
        return physics.state("qpos")[:, 0]

    def initial_state(self, uniform: Tensor) -> tuple[Tensor, Tensor]:
        qpos, qvel = uniform.split(1, dim=-1)
        return 0.1 * (2 * qpos - 1), 0 * qvel

    def fallen(self, physics: Physics) -> Tensor:
        return self.position(physics).abs() > 1


class Sledding(TaskFamily):
    """Push a sled of unknown mass along a rail, for a price that is unknown too."""

    name = "Sledding"
    robot = Sled()
    parameters: tuple[TaskParameter, ...] = (
        TaskParameter(
            "mass",
            0.5,
            2.0,
            "factor on the sled's mass",
            scale="log",
            extrapolation=((2.0, 8.0),),
            positive=True,
            effect=ScaleBodyMass("sled"),
        ),
        TaskParameter("price", -3.0, 5.0, "reward for a metre a second", unit="s/m", nominal=0.0),
    )
    variants = {"default": {}, "free": {}}
    episodes_per_trial = 3
    horizon = 4

    def reward(self, motion: Motion, task: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """price * v_x - 0.5 * a^2; variant "free": price * v_x"""
        terms = {"sold": task["price"] * motion.velocity}
        return terms if self.variant == "free" else {**terms, "control": -0.5 * motion.action[:, 0].square()}
