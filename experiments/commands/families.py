"""Lists the task families."""

from rich import box
from rich.console import Console
from rich.table import Table

from limbshift.agents.atomic_write import check_writable
from limbshift.envs.catalogue import families, make_family
from limbshift.envs.family import TaskFamily
from limbshift.envs.task_env import TaskEnv
from limbshift.envs.tasks.parameter import TaskParameter
from limbshift.envs.tasks.task_space import SPLITS
from limbshift.experiments.configs import FamiliesConfig
from limbshift.experiments.figures.robot_sheet import save_contact_sheet


def run_families(config: FamiliesConfig, console: Console | None = None) -> None:
    """The command."""
    console = console or Console()
    if config.picture:
        check_writable(config.picture)
        save_contact_sheet(config.picture)
        console.print(f"picture in {config.picture}", highlight=False, soft_wrap=True)
    elif config.markdown:
        print(catalogue())
    elif config.family is None:
        console.print(families_table())
    else:
        print_family(make_family(config.family), console)


COLUMNS = ("family", "what changes", "obs, act, task", "train, held out, beyond")
NOTE = (
    "Numbers of observations, actions and task parameters; numbers of tasks to train on, held out, and outside the "
    "training ranges, where that is not any number. limbshift families FAMILY tells all about one."
)


def families_table() -> Table:
    """A row for each family."""
    table = Table(box=box.SIMPLE_HEAD, caption=NOTE, caption_justify="left", pad_edge=False)
    for column, width in zip(COLUMNS, (None, None, 9, 13), strict=True):
        table.add_column(column, no_wrap=column == "family", max_width=width)
    for row in families_rows():
        table.add_row(*row)
    return table


def catalogue() -> str:
    """The same as Markdown."""
    lines = [COLUMNS, ("---",) * len(COLUMNS), *((f"`{name}`", *rest) for name, *rest in families_rows())]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def families_rows() -> list[tuple[str, ...]]:
    """Name, description, sizes and numbers of tasks of each family."""
    rows: list[tuple[str, ...]] = []
    for name in families():
        family = make_family(name)
        obs_dim, action_dim = sizes(family)
        counts = (f"{obs_dim}, {action_dim}, {len(family.parameters)}", tasks_text(family))
        rows.append((name, family.description, *counts))
    return rows


def print_family(family: TaskFamily, console: Console) -> None:
    """All about one family."""
    obs_dim, action_dim = sizes(family)
    console.print(f"[bold]{family.name}[/bold]: {family.description}", highlight=False)
    console.print(f"robot {family.robot.name}, {obs_dim} observations, {action_dim} actions", highlight=False)
    console.print(f"reward = {' '.join((family.reward.__doc__ or '').split())}", highlight=False)
    steps = f"{family.episodes_per_trial} episodes of {family.horizon} steps of {family.robot.control_timestep:g} s"
    learning = f"discount {family.gamma:g}, initial log std {family.initial_log_std:g}"
    console.print(f"a trial is {steps}; {learning}; variants {', '.join(family.variants)}", highlight=False)
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


def tasks_text(family: TaskFamily) -> str:
    """How many tasks each split has, such as "48, 16, -" or "any, any, any"."""
    counts = []
    for split in SPLITS:
        members = len(family.task_space.listed_tasks.get(split, ())) or "any"
        counts.append(str(members) if split in family.task_space.splits else "-")
    if not family.task_space.unseen("heldout"):
        counts[1] = "the same"
    return ", ".join(counts)


def splits_text(family: TaskFamily) -> str:
    """Each split with the number of its tasks, and whether training never meets them."""
    texts = []
    for split in family.task_space.splits:
        members = family.task_space.listed_tasks.get(split)
        count = f" ({len(members)})" if members else ""
        seen = " = train" if split == "heldout" and not family.task_space.unseen(split) else ""
        texts.append(f"{split}{count}{seen}")
    return ", ".join(texts)


def sizes(family: TaskFamily) -> tuple[int, int]:
    """Numbers of observations and actions."""
    env = TaskEnv(family, 1)
    env.close()
    return env.obs_dim, env.action_dim
