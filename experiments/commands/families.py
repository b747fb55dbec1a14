"""Lists the task families."""

from collections.abc import Mapping

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from limbshift.agents.atomic_write import check_writable
from limbshift.envs.catalogue import families, make_family
from limbshift.envs.errors import InputError
from limbshift.envs.family import TaskFamily
from limbshift.envs.task_env import TaskEnv
from limbshift.envs.tasks.parameter import Mark, TaskParameter
from limbshift.envs.tasks.task_space import EXTRAPOLATION, HELDOUT, TRAIN
from limbshift.experiments.configs import FamiliesConfig
from limbshift.experiments.figures.robot_sheet import save_contact_sheet
from limbshift.experiments.runs.families import named_family
from limbshift.experiments.terminal import make_console
from limbshift.experiments.wording import markdown_table


def run_families(config: FamiliesConfig, console: Console | None = None) -> None:
    """Prints all families or one, or draws a picture of all robots, as the command's options ask."""
    console = console or make_console()
    if config.picture:
        check_writable(config.picture)
        save_contact_sheet(config.picture)
        console.print(f"picture in {config.picture}", highlight=False, soft_wrap=True)
    elif config.markdown:
        if named := config.family or config.family_file:
            raise InputError(f"markdown is of all families, expected no {named} beside it")
        print(catalogue())
    elif config.family or config.family_file:
        print_family(named_family(config.family, config.family_file), console)
    else:
        console.print(families_table())


COLUMNS = ("family", "what changes", "obs, act, task", "train, held out, beyond")
NOTE = (
    "Numbers of observations, actions and task parameters; numbers of tasks to train on, held out, and outside the "
    "training ranges, where that is not any number. limbshift families FAMILY tells all about one."
)


MAX_NAME = 32
"""Width at which a parameter's name is folded."""
MARKS: Mapping[Mark, str] = {"arrow": "an arrow", "post": "a moving post", "disc_x": "a disc", "disc_y": "a disc"}


def families_table() -> Table:
    """Returns a table with a row for each family."""
    table = Table(box=box.SIMPLE_HEAD, caption=NOTE, caption_justify="left", pad_edge=False)
    for column, width in zip(COLUMNS, (None, None, 9, 13), strict=True):
        table.add_column(column, no_wrap=column == "family", max_width=width)
    for row in families_rows():
        table.add_row(*row)
    return table


def catalogue() -> str:
    """Returns the same table as Markdown."""
    return markdown_table([COLUMNS, *((f"`{name}`", *rest) for name, *rest in families_rows())])


def families_rows() -> list[tuple[str, ...]]:
    """Returns name, description, sizes and numbers of tasks of each family."""
    rows: list[tuple[str, ...]] = []
    for name in families():
        family = make_family(name)
        obs_dim, action_dim = sizes(family)
        counts = (f"{obs_dim}, {action_dim}, {len(family.parameters)}", tasks_text(family))
        rows.append((name, family.description, *counts))
    return rows


def print_family(family: TaskFamily, console: Console) -> None:
    """Prints all about one family."""
    obs_dim, action_dim = sizes(family)
    console.print(Text.assemble((family.name, "bold"), f": {family.description}"))
    console.print(f"robot {family.robot.name}, {obs_dim} observations, {action_dim} actions", highlight=False)
    console.print(f"reward = {' '.join((family.reward.__doc__ or '').split())}", highlight=False)
    steps = f"{family.episodes_per_trial} episodes of {family.horizon} steps of {family.robot.control_timestep:g} s"
    learning = (
        f"discount {family.gamma:g}, initial log std {family.initial_log_std:g}, auxiliary loss {family.task_coef:g}"
        + (f", belief network {family.belief_size} after {family.told_share:.0%}" if family.belief_size else "")
        + (f", {family.num_candidates} candidate tasks" if family.num_candidates else "")
    )
    console.print(f"a trial is {steps}; {learning}; variants {', '.join(family.variants)}", highlight=False)
    console.print(parameters_table(family))
    console.print(f"splits: {splits_text(family)}", highlight=False)


def parameters_table(family: TaskFamily) -> Table:
    """Returns a row for each parameter; names stay whole, those of over 32 letters on two lines."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    widest = max(map(len, family.task_space.names), default=0)
    table.add_column("parameter", width=max(min(widest, MAX_NAME), len("parameter")), overflow="fold")
    for column in ("values", "extrapolation", "meaning"):
        table.add_column(column, overflow="fold")
    for parameter in family.parameters:
        table.add_row(*parameter_row(parameter))
    return table


def parameter_row(parameter: TaskParameter) -> tuple[str, ...]:
    """Returns name, values, extrapolation and meaning, on several lines each."""
    allowed = f"{parameter.low:.3g} to {parameter.high:.3g}"
    scale = f"{parameter.scale} scale"
    if parameter.choices:
        trained = parameter.choices_within(((parameter.low, parameter.high),))
        allowed = " or ".join(f"{choice:g}" for choice in trained)
        scale = "choice"
    values = (
        f"{allowed} {parameter.unit}".rstrip(),
        scale if parameter.kind == "scalar" else parameter.kind,
        f"nominal {parameter.nominal:g}",
    )
    outside = [f"{low:.3g} to {high:.3g}" for low, high in parameter.extrapolation]
    shown = f" ({MARKS[parameter.mark]} in videos)" if parameter.mark else ""
    return parameter.name, "\n".join(values), "\n".join(outside) or "-", parameter.description + shown


def tasks_text(family: TaskFamily) -> str:
    """Returns how many tasks each split has, such as "48, 16, -" or "any, any, any"."""
    counts = []
    for split in (TRAIN, HELDOUT, EXTRAPOLATION):
        members = len(family.task_space.listed(split) or ()) or "any"
        counts.append(str(members) if split in family.task_space.splits else "-")
    if not family.task_space.unseen("heldout"):
        counts[1] = "the same"
    return ", ".join(counts)


def splits_text(family: TaskFamily) -> str:
    """Returns each split with the number of its tasks; "= train" where training meets all of them."""
    texts = []
    for split in family.task_space.splits:
        members = family.task_space.listed(split)
        count = f" ({len(members)})" if members else ""
        seen = " = train" if split != TRAIN and not family.task_space.unseen(split) else ""
        texts.append(f"{split}{count}{seen}")
    return ", ".join(texts)


def sizes(family: TaskFamily) -> tuple[int, int]:
    """Returns the numbers of observations and actions."""
    env = TaskEnv(family, 1)
    env.close()
    return env.obs_dim, env.action_dim
