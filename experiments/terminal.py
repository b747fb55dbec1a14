"""What commands print on."""

from rich.console import Console


def make_console() -> Console:
    """Returns a console that prints paths and names as they are: no markup in square brackets, no emoji in colons."""
    return Console(markup=False, emoji=False)
