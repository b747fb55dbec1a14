"""Makes vector environments: trials, and Stable-Baselines3's form."""

from typing import TYPE_CHECKING

from limbshift.envs.adapters.gym_trials import TrialVectorEnv
from limbshift.envs.adapters.gym_vector import TaskFamilyVectorEnv
from limbshift.envs.errors import InputError
from limbshift.envs.family import TaskFamily
from limbshift.envs.given import flag

if TYPE_CHECKING:
    from limbshift.envs.adapters.sb3 import SB3VecEnv


def make_trials(
    family: str | TaskFamily,
    num_envs: int,
    episodes_per_trial: int | None = None,
    *,
    horizon: int | None = None,
    split: str = "train",
    seed: int | None = None,
    variant: str = "default",
    render_mode: str | None = None,
    flat_info: bool = False,
) -> TrialVectorEnv:
    """Returns a vector env whose episode is a whole trial; episodes and horizon are the family's unless given.

    render_mode: "rgb_array" for frames by `render`. flat_info: whether info names tasks "task/<parameter>".

    Raises InputError for an unknown family, variant or split, and for numbers below one.

    >>> make_trials("ReacherGoal", num_envs=8, seed=0).observation_space.shape
    (8, 12)
    """
    return TrialVectorEnv(
        family,
        num_envs,
        episodes_per_trial,
        horizon=horizon,
        split=split,
        seed=seed,
        variant=variant,
        render_mode=render_mode,
        flat_info=flat_info,
    )


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
    render_mode: str | None = None,
    flat_info: bool = False,
) -> "SB3VecEnv":
    """Returns a family's tasks as Stable-Baselines3's VecEnv: single episodes or, with trials, whole trials.

    The horizon is the family's own unless given. Raises InputError where Stable-Baselines3 is not installed.

    >>> env = make_sb3("InvertedPendulumBody", num_envs=4, seed=0)
    >>> env.set_options({"task": {"pole_length": 1.2}})
    >>> env.reset().shape, env.reset_infos[0]["task"]["pole_length"]
    ((4, 4), 1.2)
    """
    try:
        from limbshift.envs.adapters.sb3 import SB3VecEnv  # an optional extra
    except ImportError as error:
        raise InputError(f"{error.name} is not installed: pip install '.[sb3]'") from error
    if flag("trials", trials):
        return SB3VecEnv(
            make_trials(
                family,
                num_envs,
                episodes_per_trial,
                horizon=horizon,
                split=split,
                seed=seed,
                variant=variant,
                render_mode=render_mode,
                flat_info=flat_info,
            )
        )
    if episodes_per_trial is not None:
        raise InputError(f"episodes_per_trial is {episodes_per_trial}, expected None: trials=True makes trials")
    return SB3VecEnv(
        TaskFamilyVectorEnv(
            family,
            num_envs,
            split,
            variant=variant,
            horizon=horizon,
            seed=seed,
            render_mode=render_mode,
            flat_info=flat_info,
        )
    )
