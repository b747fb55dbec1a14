"""Pictures of a robot of one's own, and which of their pixels show it."""

import mujoco
import numpy as np
import torch
from numpy.typing import NDArray

from limbshift.envs.mjcf.families import MjcfFamily
from limbshift.envs.mjcf.robot import MjcfRobot
from limbshift.envs.physics.engine import Engine
from limbshift.envs.rendering import TaskRenderer
from limbshift.envs.task_env import TaskEnv

WIDTH, HEIGHT = 160, 120


class Film:
    """Pictures of a robot at its start, moved so far."""

    def __init__(self, robot: MjcfRobot, x: float = 0.0, z: float = 0.0) -> None:
        self.robot = robot
        self.env = TaskEnv(MjcfFamily("Limbs", robot), 1, engine=Engine(num_threads=1))
        self.env.set_tasks([{}], self.env.all_envs)
        self.env.physics.state("qpos")[:] = robot.start.like(torch.zeros(1, dtype=torch.float64))
        if robot.travels and (x or z):  # of a root with a free joint
            free = int(robot.model.jnt_qposadr[robot.model.body_jntadr[robot.root]])
            self.env.physics.state("qpos")[:, free] += x
            self.env.physics.state("qpos")[:, free + 2] += z
        self.env.physics.forward(self.env.all_envs)
        self.renderer = TaskRenderer(self.env.family, WIDTH, HEIGHT)

    def frame(self) -> NDArray[np.uint8]:
        return self.renderer.frame(self.env.physics, 0, self.env.family.nominal)

    def seen(self) -> NDArray[np.bool_]:
        """(HEIGHT, WIDTH) whether a pixel shows the robot, or a skin that is drawn over it."""
        self.frame()
        inner = self.renderer._renderer
        inner.enable_segmentation_rendering()
        picture = inner.render()
        inner.disable_segmentation_rendering()
        geoms = np.flatnonzero(np.isin(self.robot.model.geom_bodyid, self.robot.mechanism.shown))
        is_geom = picture[..., 1] == int(mujoco.mjtObj.mjOBJ_GEOM)
        is_skin = picture[..., 1] == int(mujoco.mjtObj.mjOBJ_SKIN)
        shown: NDArray[np.bool_] = is_skin | is_geom & np.isin(picture[..., 0], geoms)
        return shown

    def close(self) -> None:
        self.renderer.close()
        self.env.close()
