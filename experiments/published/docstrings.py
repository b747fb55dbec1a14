"""Lets the site show the examples of docstrings as what they are: code."""

import re
from typing import Any

from griffe import Extension, Object

_EXAMPLE = re.compile(r"(?:^|(?<=\n\n))(>>> .*?)(?=\n\n|\Z)", re.DOTALL)
"""A doctest, up to the next blank line."""


class Examples(Extension):
    """Fences doctests, which Markdown would take for quotations."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Rewrites the docstring of what was read."""
        if obj.docstring:
            obj.docstring.value = fenced(obj.docstring.value)


def fenced(text: str) -> str:
    r"""Returns a docstring with its doctests as blocks of code.

    >>> fenced("Adds.\n\n>>> 1 + 1\n2\n\nWell.")
    'Adds.\n\n```pycon\n>>> 1 + 1\n2\n```\n\nWell.'
    """
    return _EXAMPLE.sub(r"```pycon\n\1\n```", text)
