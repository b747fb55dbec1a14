"""Videos of a controller that adapts."""

from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from agents.actor import PolicyActor
from agents.files import check_writable
from agents.recurrent import RecurrentActorCritic
from envs.family import TaskFamily
from envs.rendering import RenderingError
from envs.trial_env import TrialEnv
from experiments.configs import RenderConfig, choose_device, choose_engine
from experiments.evaluate import load_with_family
from experiments.video import record_trials

TRAINING_VIDEO_TASKS = 3


def run_render(config: RenderConfig, console: Console | None = None) -> None:
    """The command."""
    console = console or Console()
    check_writable(config.out)
    controller, family = load_with_family(config.controller)
    device = choose_device(config.device)
    policy = controller.policy.to(device)
    env = TrialEnv(
        family,
        config.tasks,
        config.episodes or controller.card.episodes_per_trial,
        config.horizon or controller.card.horizon,
        config.split,
        config.seed,
        observe_task=policy.spec.task_dim > 0,
        engine=choose_engine(config.physics, device),
    )
    returns = record_trials(PolicyActor(policy, config.tasks), env, config.out)
    env.close()
    for trial in returns:
        console.print("return by episode: " + ", ".join(f"{value:.1f}" for value in trial), highlight=False)
    console.print(
        f"video in {config.out}; physics on {config.physics}, network on {device.type}", highlight=False, soft_wrap=True
    )


def render_policy(
    policy: RecurrentActorCritic, family: TaskFamily, like: TrialEnv, path: Path, seed: int, note: Callable[[str], None]
) -> bool:
    """A video on held-out tasks, in trials of the shape of `like`; False where there is no GL, which is noted."""
    env = TrialEnv(
        family,
        TRAINING_VIDEO_TASKS,
        like.episodes_per_trial,
        like.horizon,
        "heldout",
        seed,
        observe_task=policy.spec.task_dim > 0,
        engine=like.tasks.engine,
    )
    try:
        record_trials(PolicyActor(policy, TRAINING_VIDEO_TASKS), env, path)
    except RenderingError as error:
        note(f"no video: {error}")
        return False
    finally:
        env.close()
    return True
