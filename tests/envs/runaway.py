"""A robot whose simulation blows up by itself: a sled that is pushed the harder, the faster it goes."""

from functools import cached_property

import mujoco
import torch
from torch import Tensor

from limbshift.envs.physics.protocol import Physics
from tests.envs.sled import MJCF, Sled, Sledding


class RunawaySled(Sled):
    """Each substep multiplies the velocity of a sled of nominal mass by 1 + 0.05 * 80 / 2 = 3; it cannot fall."""

    name = "RunawaySled"

    @cached_property
    def model(self) -> mujoco.MjModel:
        return mujoco.MjModel.from_xml_string(MJCF.replace('axis="1 0 0"', 'axis="1 0 0" damping="-80"'))

    def fallen(self, physics: Physics) -> Tensor:
        return torch.zeros(physics.num_sims, dtype=torch.bool)


class Runaway(Sledding):
    """Push a sled that runs away, until it is too fast for its simulator."""

    name = "Runaway"
    robot = RunawaySled()
    episodes_per_trial = 2
    horizon = 15
