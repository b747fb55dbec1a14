"""How numbers are written for people, and how Markdown is laid out: the same in reports, cards, lists and docs."""

import textwrap
from collections.abc import Sequence
from typing import Protocol

WIDTH = 120
"""Of lines of text."""


class Curve(Protocol):
    """Returns by episode."""

    @property
    def iqm(self) -> Sequence[float]:
        """Interquartile mean over tasks."""

    @property
    def ci95(self) -> Sequence[tuple[float, float] | None]:
        """Its interval; None where there is none."""


def number(value: float) -> str:
    """Writes a return.

    >>> number(1234.5), number(12.345), number(-0.0123), number(-0.0)
    ('1,234', '12.3', '-0.012', '0')
    """
    if value == 0:
        return "0"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 1 else f"{value:.2g}"


def with_interval(curve: Curve, episode: int) -> str:
    """Writes the return of an episode, and its interval where it has one."""
    interval = curve.ci95[episode]
    ends = f" ({number(interval[0])} to {number(interval[1])})" if interval else ""
    return f"{number(curve.iqm[episode])}{ends}"


def percent(share: float) -> str:
    """Writes a share.

    >>> percent(0.046)
    '5 %'
    """
    return f"{100 * share:.0f} %"


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """Returns a Markdown table, the first row of which is its head.

    >>> print(markdown_table([("robot", "legs"), ("ant", "4")]))
    | robot | legs |
    |---|---|
    | ant | 4 |
    """
    head, *rest = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([head, "|---" * len(rows[0]) + "|", *rest])


def filled(text: str) -> str:
    """Breaks a paragraph into lines, but neither words nor what is joined by hyphens."""
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)
