"""Lists the controllers that come with the package."""

from rich import box
from rich.console import Console
from rich.table import Table

from limbshift.experiments.runs.controllers import SHIPPED, shipped_names
from limbshift.experiments.sharing.card import number, percent, table, with_interval
from limbshift.experiments.sharing.config import ControllersConfig
from limbshift.experiments.sharing.record import Record
from limbshift.experiments.sharing.record_file import RECORD, read_record
from limbshift.experiments.terminal import make_console

COLUMNS = ("controller", "trial", "training", "first episode", "last episode", "falls", "random actions")
NOTE = (
    "Return per episode on held-out tasks: interquartile mean, with its 95 % bootstrap interval. Falls: share of the "
    "episodes. limbshift evaluate CONTROLLER shows more of one, limbshift render CONTROLLER its video."
)


def run_controllers(config: ControllersConfig, console: Console | None = None) -> None:
    """Prints the list."""
    if config.markdown:
        print(catalogue())
        return
    listed = Table(box=box.SIMPLE_HEAD, caption=NOTE, caption_justify="left", pad_edge=False)
    for column in COLUMNS:
        listed.add_column(column, no_wrap=column == "controller")
    for row in rows():
        listed.add_row(*row)
    (console or make_console()).print(listed)


def catalogue() -> str:
    """Returns the list as Markdown."""
    return table([COLUMNS, *((f"`{name}`", *rest) for name, *rest in rows())])


def rows() -> list[tuple[str, ...]]:
    """Returns what is told of each controller."""
    return [row(name, read_record(SHIPPED / name / RECORD)) for name in shipped_names()]


def row(name: str, record: Record) -> tuple[str, ...]:
    """Returns what is told of one."""
    found = record.heldout
    return (
        name,
        f"{record.episodes} x {record.horizon}",
        f"{record.steps / 1e6:.1f} M steps",
        with_interval(found.returns, 0),
        with_interval(found.returns, -1),
        percent(found.falls),
        number(found.controls["random"].iqm[-1]),
    )
