"""Whether this machine draws."""

import functools

from limbshift.envs.adapters.gym_env import TaskFamilyEnv
from limbshift.envs.errors import RenderingError


@functools.cache
def opengl_works() -> bool:
    env = TaskFamilyEnv("HalfCheetahDir", render_mode="rgb_array", seed=0)
    env.reset()
    try:
        env.render()
    except RenderingError:
        return False
    finally:
        env.close()
    return True
