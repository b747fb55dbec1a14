"""Makes vector environments: trials, and Stable-Baselines3's form."""

from typing import TYPE_CHECKING

from limbshift.envs.adapters.gym_trials import TrialVectorEnv
from limbshift.envs.adapters.gym_vector import TaskFamilyVectorEnv
from limbshift.envs.errors import InputError
from limbshift.envs.family import TaskFamily

if TYPE_CHECKING:
    from limbshift.envs.adapters.sb3 import SB3VecEnv


def make_trials(
    family: str | TaskFamily,
    num_envs: int,
    episodes_per_trial: int | None = None,
    horizon: int | None = None,
    split: str = "train",
    seed: int | None = None,
    variant: str = "default",
) -> TrialVectorEnv:
    """A vector env whose episode is a whole trial; the family's own trial shape unless given.

    >>> trials = make_trials("HalfCheetahDir", num_envs=4, split="heldout", seed=0)
    >>> trials.episodes_per_trial, trials.horizon, trials.action_space.shape
    (2, 200, (4, 6))
    """
    return TrialVectorEnv(family, num_envs, episodes_per_trial, horizon, split, seed, variant)


def make_sb3(
    family: str | TaskFamily,
    num_envs: int,
    trials: bool = False,
    *,
    split: str = "train",
    variant: str = "default",
    episodes_per_trial: int | None = None,
    horizon: int | None = None,
    seed: int | None = None,
) -> "SB3VecEnv":
    """Stable-Baselines3's VecEnv over a family's tasks: single episodes or, with trials, whole trials.

    The horizon is the family's own unless given. InputError where Stable-Baselines3 is not installed.

    >>> env = make_sb3("HalfCheetahDir", num_envs=4, trials=True, seed=0)
    >>> env.reset().shape
    (4, 25)
    """
    try:
        from limbshift.envs.adapters.sb3 import SB3VecEnv  # an optional extra
    except ImportError as error:
        raise InputError(f"{error.name} is not installed: pip install '.[sb3]'") from error
    if trials:
        return SB3VecEnv(TrialVectorEnv(family, num_envs, episodes_per_trial, horizon, split, seed, variant))
    return SB3VecEnv(TaskFamilyVectorEnv(family, num_envs, split, variant, horizon, seed=seed))
