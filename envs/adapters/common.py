"""What the Gymnasium environments share: spaces, frames, checks of their arguments."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from traceback import walk_stack
from types import FrameType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from limbshift.envs.adapters.infos import Info, flattened
from limbshift.envs.catalogue import make_family
from limbshift.envs.errors import FamilyError, InputError
from limbshift.envs.family import TaskFamily
from limbshift.envs.given import MOST, whole_number
from limbshift.envs.task_env import TaskEnv

if TYPE_CHECKING:
    from limbshift.envs.rendering import TaskRenderer

Floats = NDArray[np.float32]
AnyVectorEnv = VectorEnv[Floats, Floats, NDArray[Any]]
_LARGEST = float(np.finfo(np.float32).max)
"""Observations are finite, and no more is known of them."""


class Frames:
    """Draws a TaskEnv's simulations; OpenGL is not touched before the first frame, so that training needs none."""

    def __init__(self, tasks: TaskEnv) -> None:
        self._task_env = tasks
        self._renderer: TaskRenderer | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_renderer": None}  # an OpenGL context cannot be copied

    def of(self, sim: int) -> NDArray[np.uint8]:
        """Returns a frame of simulation number sim, (H, W, 3) uint8."""
        from limbshift.envs.rendering import TaskRenderer

        if self._renderer is None:
            self._renderer = TaskRenderer(self._task_env.family)
        task = {name: float(values[sim]) for name, values in self._task_env.task.items()}
        return self._renderer.frame(self._task_env.physics, sim, task)

    def of_all(self) -> tuple[NDArray[np.uint8], ...]:
        """Returns a frame of each simulation."""
        return tuple(self.of(sim) for sim in range(self._task_env.num_envs))

    def close(self) -> None:
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None


class FilmedVectorEnv(VectorEnv[Floats, Floats, NDArray[Any]]):
    """What trials and single episodes share as vector envs: frames of all robots, and infos in the form asked for."""

    _frames: Frames
    begun: bool
    """Whether it was reset."""
    _flat_info: bool

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """Returns a frame of each env, (H, W, 3) uint8; None without a render mode."""
        if self.render_mode is None:
            return None
        if not self.begun:
            raise ResetNeeded("render was called before reset, expected reset first")
        return self._frames.of_all()

    def _told(self, infos: Info) -> Info:
        return flattened(infos) if self._flat_info else infos


def chosen_family(family: str | TaskFamily, variant: str) -> TaskFamily:
    """Returns a family by name, by "module:Class" (whose module is imported), or as it is given.

    >>> chosen_family("limbshift.envs.robots.ant:AntDir", "default")
    <TaskFamily AntDir, variant default: robot Ant, tasks of heading>
    """
    if not isinstance(family, str) or ":" not in family:
        return make_family(family, variant)
    module, _, name = family.partition(":")
    if not (family.isprintable() and all(module.split("."))):
        raise FamilyError(f"family is {family!r}, expected module:Class")
    try:
        kind = getattr(import_module(module), name, None)
    except ImportError as error:
        raise FamilyError(f"family {family!r} cannot be imported: {error}") from error
    if not isinstance(kind, type) or not issubclass(kind, TaskFamily):
        raise FamilyError(f"family {family!r} is no class of a task family, expected module:Class")
    return kind() if variant == "default" else kind(variant)


class SpecAsText:
    """Gymnasium's spec of an env: a family that was given as an object is named by its class, so that JSON can hold it.

    An object that its class and variant alone do not make, such as one with fewer tasks, stays as it is.
    """

    def __get__(self, env: object, owner: type) -> EnvSpec | None:
        return vars(env).get("spec") if env is not None else None

    def __set__(self, env: object, spec: EnvSpec | None) -> None:
        family = spec.kwargs.get("family") if spec else None
        if spec and isinstance(family, TaskFamily):
            kind, named = type(family), {"variant": family.variant}
            named["family"] = f"{kind.__module__}:{kind.__qualname__}"
            if _makes_again(family, named["family"]):
                spec = replace(spec, kwargs={**spec.kwargs, **named})
        vars(env)["spec"] = spec


def _makes_again(family: TaskFamily, reference: str) -> bool:
    try:
        again = chosen_family(reference, family.variant)
    except (InputError, TypeError):  # a class inside a function, or one that asks for arguments
        return False
    # One that keeps more of what it is made with than its variant would be another with that left out.
    return again.task_space == family.task_space and type(family).__init__ is TaskFamily.__init__


def observation_space(obs_dim: int) -> Box[np.float32]:
    return Box(-_LARGEST, _LARGEST, (obs_dim,), np.float32)


def action_space(tasks: TaskEnv) -> Box[np.float32]:
    low, high = (bound.to(torch.float32).numpy() for bound in (tasks.action_low, tasks.action_high))
    return Box(low, high, dtype=np.float32)


def set_spaces(env: AnyVectorEnv, tasks: TaskEnv, obs_dim: int) -> None:
    env.single_observation_space = observation_space(obs_dim)
    env.single_action_space = action_space(tasks)
    env.observation_space = batch_space(env.single_observation_space, env.num_envs)
    env.action_space = batch_space(env.single_action_space, env.num_envs)


def seed_of(env: AnyVectorEnv) -> int:
    """Returns the seed that was given, or the entropy that Gymnasium drew for want of one."""
    seed = env.np_random_seed
    assert seed is not None
    return seed


def with_render_fps(common: Info, family: TaskFamily) -> Info:
    return {**common, "render_fps": round(1 / family.robot.control_timestep)}


def check_render_mode(render_mode: str | None) -> str | None:
    if render_mode not in (None, "rgb_array"):
        raise InputError(f"render_mode is {render_mode!r}, expected 'rgb_array' or None")
    return render_mode


def check_seed(seed: object) -> int | None:
    """Returns the seed as an int; numbers of any size make one."""
    return None if seed is None else whole_number("seed", seed, 0)


def steps_of_episode(family: TaskFamily, horizon: int | None, max_episode_steps: int | None) -> int:
    """Returns after how many steps an episode is truncated: the horizon, or sooner."""
    steps = whole_number("horizon", family.horizon if horizon is None else horizon, most=MOST)
    if max_episode_steps is None:
        return steps
    limit = whole_number("max_episode_steps", max_episode_steps)
    if limit > steps:
        raise InputError(f"max_episode_steps is {limit}, expected at most the horizon, which is {steps}")
    return limit


def refuse_copied_seed(seed: int | None) -> None:
    """Raises InputError where gym.make_vec makes several single envs, which would all meet the tasks of one seed."""
    if seed is not None and any(_gymnasiums("create_single_env")):
        raise InputError(
            f"seed is {seed} in each env that gym.make_vec copies, expected None: reset(seed={seed}) gives each its"
            ' own tasks, as vectorization_mode="vector_entry_point" does'
        )


def refuse_later_limit(horizon: int) -> None:
    """Raises InputError where gym.make is about to wrap the env in a time limit that it would never reach."""
    for frame in _gymnasiums("make"):
        limit = frame.f_locals.get("max_episode_steps")
        if isinstance(limit, int) and limit > horizon:
            raise InputError(f"max_episode_steps is {limit}, expected at most the horizon, which is {horizon}")


def _gymnasiums(function: str) -> Iterator[FrameType]:
    """Yields the calls of a function of Gymnasium's registry that have led here; it tells an env nothing of itself."""
    for frame, _ in walk_stack(sys._getframe()):
        if (frame.f_globals.get("__name__"), frame.f_code.co_name) == ("gymnasium.envs.registration", function):
            yield frame


def check_autoreset_mode(mode: object) -> AutoresetMode:
    """Returns Gymnasium's member, for itself or for its value."""
    for known in AutoresetMode:
        if mode in (known, known.value):
            return known
    expected = ", ".join(repr(known.value) for known in AutoresetMode)
    raise InputError(f"autoreset_mode is {mode!r}, expected one of {expected}")
