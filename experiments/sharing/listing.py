"""Lists the controllers that come with the package."""

from collections.abc import Callable

from rich import box
from rich.console import Console
from rich.table import Table

from limbshift.experiments.runs.controllers import SHIPPED, shipped_names
from limbshift.experiments.sharing.config import ControllersConfig
from limbshift.experiments.sharing.record import Record, Returns
from limbshift.experiments.sharing.record_file import RECORD, read_record
from limbshift.experiments.terminal import make_console
from limbshift.experiments.wording import markdown_table, number, percent, with_interval

COLUMNS = ("controller", "trial", "training", "first episode", "last episode", "falls", "random actions")
NOTE = (
    "Return per episode on held-out tasks: interquartile mean. Falls: share of the episodes. limbshift evaluate "
    "CONTROLLER shows more of one, with intervals, and limbshift render CONTROLLER its video."
)


def run_controllers(config: ControllersConfig, console: Console | None = None) -> None:
    """Prints the list."""
    if config.markdown:
        print(catalogue())
        return
    listed = Table(box=box.SIMPLE_HEAD, caption=NOTE, caption_justify="left", padding=(0, 1, 0, 0))
    for column in COLUMNS:
        listed.add_column(column, no_wrap=column in ("controller", "trial", "training"))
    for row in rows(number_of):
        listed.add_row(*row)
    (console or make_console()).print(listed)


def catalogue() -> str:
    """Returns the list as Markdown."""
    return markdown_table([COLUMNS, *((f"`{name}`", *rest) for name, *rest in rows(with_interval))])


def number_of(returns: Returns, episode: int) -> str:
    """Writes the return of an episode without its interval."""
    return number(returns.iqm[episode])


def rows(told: Callable[[Returns, int], str]) -> list[tuple[str, ...]]:
    """Returns what is told of each controller."""
    return [row(name, read_record(SHIPPED / name / RECORD), told) for name in shipped_names()]


def row(name: str, record: Record, told: Callable[[Returns, int], str]) -> tuple[str, ...]:
    """Returns what is told of one; told: how the return of an episode is written."""
    found = record.heldout
    return (
        name,
        f"{record.episodes} x {record.horizon}",
        f"{record.steps / 1e6:.1f} M steps",
        told(found.returns, 0),
        told(found.returns, -1),
        percent(found.falls),
        number(found.controls["random"].iqm[-1]),
    )
