"""Task families and trials as Stable-Baselines3's vector environment; its word for num_envs is n_envs."""

from collections.abc import Iterable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from limbshift.envs.adapters.common import Floats
from limbshift.envs.adapters.gym_trials import TrialVectorEnv
from limbshift.envs.adapters.gym_vector import TaskFamilyVectorEnv
from limbshift.envs.adapters.infos import info_of
from limbshift.envs.adapters.options import check_options
from limbshift.envs.errors import ActionError, InputError
from limbshift.envs.given import numbers, whole_number

Indices = int | Iterable[int] | None
Step = tuple[Floats, Floats, NDArray[np.bool_], list[dict[str, Any]]]


class SB3VecEnv(VecEnv):
    """One of our vector envs, for any of Stable-Baselines3's algorithms.

    Each call steps all robots; the algorithm sees an episode (or, of trials, a whole trial) end
    where ours does, with `terminal_observation` and, at a time limit, `TimeLimit.truncated`. In
    trials a fall is no end: what Stable-Baselines3 calls done would make a recurrent policy forget.
    Actions are in [-1, 1], the ends of the robot's own range, as Stable-Baselines3's noise supposes.
    At an episode's end its info holds what our vector env's `final_info` does, of each env, and
    `reset_infos` what is told of its first step: "task" and so on. Infos of other steps are empty: a
    dictionary for each env and step would cost more than the physics.

    `set_options` takes the options of our vector envs' reset, for all envs or a list with those of
    each, such as {"task": {"torso_mass": 2.0}}; they are used once, by the next reset.
    """

    def __init__(self, env: TaskFamilyVectorEnv | TrialVectorEnv) -> None:
        self.env = env
        self._tasks = env.trials.task_env if isinstance(env, TrialVectorEnv) else env.task_env
        self._actions: NDArray[Any] | None = None
        bounds = env.single_action_space
        assert isinstance(bounds, Box)
        self._middle, self._half_range = (bounds.high + bounds.low) / 2, (bounds.high - bounds.low) / 2
        super().__init__(env.num_envs, env.single_observation_space, Box(-1.0, 1.0, bounds.shape, np.float32))
        self.metadata = {**self.metadata, "render_fps": env.metadata["render_fps"]}

    def reset(self) -> Floats:
        """Returns (N, obs_dim) float32; with the seed and the options that were given since the last reset."""
        obs, infos = self.env.reset(seed=self._seeds[0], options=self._options if any(self._options) else None)
        self.reset_infos = [info_of(infos, number) for number in range(self.num_envs)]
        self._reset_seeds()
        self._reset_options()
        return obs

    def set_options(self, options: list[dict[str, Any]] | dict[str, Any] | None = None) -> None:
        """Sets the options of the next reset; InputError where they cannot be used, and those set before stay."""
        given = [options or {}] * self.num_envs if options is None or isinstance(options, dict) else options
        check_options(self._tasks, given, may_keep=self.env.begun)
        super().set_options(given)

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Sets the seed of the next reset, from 0 to 4294967295; None for one that is drawn."""
        return super().seed(None if seed is None else whole_number("seed", seed, 0, most=2**32 - 1))

    def step_async(self, actions: NDArray[Any]) -> None:
        given = numbers("actions", actions, (self.num_envs, *self._middle.shape), error=ActionError)
        self._actions = self._middle + self._half_range * given

    def step_wait(self) -> Step:
        """Returns observations, (N,) float32 rewards, (N,) dones, and a dictionary for each env."""
        actions, self._actions = self._actions, None
        if actions is None:
            raise InputError("step_wait was called without actions, expected step_async before it")
        obs, reward, terminated, truncated, infos = self.env.step(actions)
        done = terminated | truncated
        told: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        final, begun = infos.get("final_info", {}), {name: infos[name] for name in infos if name.startswith("task")}
        for number in np.flatnonzero(done).tolist():
            told[number] = {
                **info_of(final, number),
                "terminal_observation": infos["final_obs"][number],
                "TimeLimit.truncated": bool(truncated[number] and not terminated[number]),
            }
            self.reset_infos[number] = info_of(begun, number)
        return obs, reward.astype(np.float32), done, told

    def get_images(self) -> Sequence[NDArray[np.uint8] | None]:
        """Returns a frame of each env, (H, W, 3) uint8; None without a render mode."""
        return self.env.render() or [None] * self.num_envs

    def close(self) -> None:
        self.env.close()

    def get_attr(self, attr_name: str, indices: Indices = None) -> list[Any]:
        """Returns the vector env's attribute, once for each env."""
        return [getattr(self.env, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Indices = None) -> None:
        """Sets it for all: there is one vector env."""
        setattr(self.env, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: Indices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Calls the vector env's method once; the result stands for each env."""
        result = getattr(self.env, method_name)(*method_args, **method_kwargs)
        return [result for _ in self._get_indices(indices)]

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: Indices = None
    ) -> list[bool]:
        return [False for _ in self._get_indices(indices)]
