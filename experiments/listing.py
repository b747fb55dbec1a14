"""Lists the task families."""

from rich.console import Console
from rich.table import Table

from envs.family import TaskFamily, families, make_family
from envs.parameters import TaskParameter
from envs.task_env import TaskEnv
from experiments.configs import FamiliesConfig


def run_families(config: FamiliesConfig, console: Console | None = None) -> None:
    """The command."""
    console = console or Console()
    if config.family is None:
        console.print(families_table())
    else:
        print_family(make_family(config.family), console)


def families_table() -> Table:
    """A row for each family."""
    table = Table(title="Task families: limbshift families FAMILY tells all about one", title_justify="left")
    table.add_column("family", no_wrap=True)
    table.add_column("what changes")
    table.add_column("obs, act", no_wrap=True)
    table.add_column("parameters", justify="right")
    table.add_column("splits")
    for name in families():
        family = make_family(name)
        obs_dim, action_dim = sizes(family)
        counts = (f"{obs_dim}, {action_dim}", str(len(family.parameters)))
        table.add_row(name, family.description, *counts, splits_text(family))
    return table


def print_family(family: TaskFamily, console: Console) -> None:
    """All about one family."""
    obs_dim, action_dim = sizes(family)
    console.print(f"[bold]{family.name}[/bold]: {family.description}", highlight=False)
    console.print(f"robot {family.robot.name}, {obs_dim} observations, {action_dim} actions", highlight=False)
    console.print(f"reward = {(family.reward.__doc__ or '').strip()}", highlight=False)
    steps = f"{family.episodes_per_trial} episodes of {family.horizon} steps of {family.robot.control_timestep:g} s"
    console.print(
        f"a trial is {steps}; discount {family.gamma:g}; variants {', '.join(family.variants)}", highlight=False
    )
    table = Table("parameter", "unit", "range", "scale", "nominal", "extrapolation", "meaning")
    for parameter in family.parameters:
        table.add_row(*parameter_row(parameter))
    console.print(table)
    console.print(f"splits: {splits_text(family)}", highlight=False)


def parameter_row(parameter: TaskParameter) -> tuple[str, ...]:
    """Name, unit, range, scale, nominal, extrapolation, meaning."""
    allowed = f"{parameter.low:.3g} to {parameter.high:.3g}"
    if parameter.choices:
        allowed = " or ".join(f"{choice:g}" for choice in parameter.choices)
    outside = ", ".join(f"{low:.3g} to {high:.3g}" for low, high in parameter.extrapolation)
    return (
        parameter.name,
        parameter.unit or "-",
        allowed,
        "-" if parameter.choices else parameter.scale,
        f"{parameter.nominal:g}",
        outside or "-",
        parameter.description,
    )


def splits_text(family: TaskFamily) -> str:
    """Each split with the number of its tasks, and whether training never meets them."""
    texts = []
    for split in family.tasks.splits:
        members = family.tasks.members.get(split)
        count = f" ({len(members)})" if members else ""
        seen = " = train" if split == "heldout" and not family.tasks.unseen(split) else ""
        texts.append(f"{split}{count}{seen}")
    return ", ".join(texts)


def sizes(family: TaskFamily) -> tuple[int, int]:
    """Numbers of observations and actions."""
    env = TaskEnv(family, 1)
    env.close()
    return env.obs_dim, env.action_dim
