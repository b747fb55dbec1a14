"""Videos of a controller that adapts."""

from rich.console import Console

from limbshift.agents.actor import PolicyActor
from limbshift.agents.atomic_write import check_writable
from limbshift.envs.trial_env import TrialEnv
from limbshift.experiments.configs import RenderConfig
from limbshift.experiments.figures.video import record_trials
from limbshift.experiments.runs.controllers import load_with_family
from limbshift.experiments.runs.devices import choose_device, choose_engine


def run_render(config: RenderConfig, console: Console | None = None) -> None:
    """Runs the command."""
    console = console or Console()
    check_writable(config.out)
    controller, family = load_with_family(config.controller)
    device = choose_device(config.device)
    policy = controller.policy.to(device)
    env = TrialEnv(
        family,
        config.num_tasks,
        config.episodes or controller.card.episodes_per_trial,
        config.horizon or controller.card.horizon,
        config.split,
        config.seed,
        observe_task=policy.spec.task_dim > 0,
        engine=choose_engine(config.physics, device),
    )
    returns = record_trials(PolicyActor(policy, config.num_tasks), env, config.out)
    env.close()
    for trial in returns:
        console.print("return by episode: " + ", ".join(f"{value:.1f}" for value in trial), highlight=False)
    console.print(
        f"video in {config.out}; physics on {config.physics}, network on {device.type}", highlight=False, soft_wrap=True
    )
