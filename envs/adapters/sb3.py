"""Task families and trials as Stable-Baselines3's vector environment; its word for num_envs is n_envs."""

from collections.abc import Iterable
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from limbshift.envs.adapters.common import Floats
from limbshift.envs.adapters.gym_trials import TrialVectorEnv
from limbshift.envs.adapters.gym_vector import TaskFamilyVectorEnv

Indices = int | Iterable[int] | None
Step = tuple[Floats, Floats, NDArray[np.bool_], list[dict[str, Any]]]


class SB3VecEnv(VecEnv):
    """One of our vector envs, for any of Stable-Baselines3's algorithms.

    Each call steps all robots; the algorithm sees an episode (or, of trials, a whole trial) end
    where ours does, with `terminal_observation` and, at a time limit, `TimeLimit.truncated`. In
    trials a fall is no end: what Stable-Baselines3 calls done would make a recurrent policy forget.
    Actions are in [-1, 1], the ends of the robot's own range, as Stable-Baselines3's noise supposes.
    Infos hold nothing else: a dictionary for each env and step would cost more than the physics.
    """

    def __init__(self, env: TaskFamilyVectorEnv | TrialVectorEnv) -> None:
        self.env = env
        bounds = env.single_action_space
        assert isinstance(bounds, Box)
        self._middle, self._half_range = (bounds.high + bounds.low) / 2, (bounds.high - bounds.low) / 2
        super().__init__(env.num_envs, env.single_observation_space, Box(-1.0, 1.0, bounds.shape, np.float32))

    def reset(self) -> Floats:
        """Returns (N, obs_dim) float32; with the seed that `seed` gave, where it did since the last reset."""
        obs, _ = self.env.reset(seed=self._seeds[0])
        self._reset_seeds()
        return obs

    def step_async(self, actions: NDArray[Any]) -> None:
        self._actions = self._middle + self._half_range * actions

    def step_wait(self) -> Step:
        """Returns observations, (N,) float32 rewards, (N,) dones, and a dictionary for each env."""
        obs, reward, terminated, truncated, infos = self.env.step(self._actions)
        done = terminated | truncated
        told: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for number in np.flatnonzero(done):
            told[number]["terminal_observation"] = infos["final_obs"][number]
            told[number]["TimeLimit.truncated"] = bool(truncated[number] and not terminated[number])
        return obs, reward.astype(np.float32), done, told

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
