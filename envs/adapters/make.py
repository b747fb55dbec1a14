"""Makes vector environments: trials, and the forms of Stable-Baselines3 and rsl_rl."""

from typing import TYPE_CHECKING

import torch

from limbshift.envs.adapters.common import chosen_family, steps_of_episode
from limbshift.envs.adapters.gym_trials import TrialVectorEnv
from limbshift.envs.adapters.gym_vector import TaskFamilyVectorEnv
from limbshift.envs.errors import InputError
from limbshift.envs.family import TaskFamily
from limbshift.envs.given import MOST, flag, whole_number
from limbshift.envs.physics import EngineName
from limbshift.envs.physics.engine import chosen_engine
from limbshift.envs.task_env import TaskEnv
from limbshift.envs.trial_env import TrialEnv

if TYPE_CHECKING:
    from limbshift.envs.adapters.rsl_rl import RslRlVecEnv
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
    _refuse_episodes(episodes_per_trial)
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


def make_rsl_rl(
    family: str | TaskFamily,
    num_envs: int,
    *,
    trials: bool = False,
    split: str = "train",
    variant: str = "default",
    episodes_per_trial: int | None = None,
    horizon: int | None = None,
    seed: int | None = None,
    observe_task: bool = False,
    physics: EngineName = "mujoco",
    device: str | torch.device = "auto",
) -> "RslRlVecEnv":
    """Returns a family's tasks as rsl_rl's VecEnv: single episodes or, with trials, whole trials.

    observe_task: whether observations have a group "task" beside "policy", for a critic or a teacher.
    physics: "warp" simulates on the device, where observations, rewards and dones stay; "mujoco" is on the CPU, and the
    runner moves what it needs. device: of the physics; "auto" is a CUDA device for Warp, where there is one.

    Episodes and horizon are the family's own unless given. Raises InputError where tensordict, which comes with
    rsl_rl, is not installed.

    >>> env = make_rsl_rl("InvertedPendulumBody", num_envs=4, horizon=50, seed=0)
    >>> env.get_observations()["policy"].shape, env.num_actions, env.max_episode_length
    (torch.Size([4, 4]), 1, 50)
    """
    try:
        from limbshift.envs.adapters.rsl_rl import RslRlEpisodes, RslRlTrials  # an optional extra
    except ImportError as error:
        raise InputError(f"{error.name} is not installed: pip install '.[rsl-rl]'") from error
    chosen, engine = chosen_family(family, variant), chosen_engine(physics, device)
    count, observes = whole_number("num_envs", num_envs, most=MOST), flag("observe_task", observe_task)
    steps = steps_of_episode(chosen, horizon, None)
    if flag("trials", trials):
        episodes = chosen.episodes_per_trial if episodes_per_trial is None else episodes_per_trial
        whole = whole_number("episodes_per_trial", episodes, most=MOST)
        made = TrialEnv(chosen, count, whole, horizon=steps, split=split, engine=engine)
        return RslRlTrials(made, observe_task=observes, seed=seed)
    _refuse_episodes(episodes_per_trial)
    return RslRlEpisodes(TaskEnv(chosen, count, split, engine=engine), steps, observe_task=observes, seed=seed)


def _refuse_episodes(episodes_per_trial: int | None) -> None:
    if episodes_per_trial is not None:
        raise InputError(f"episodes_per_trial is {episodes_per_trial}, expected None: trials=True makes trials")
