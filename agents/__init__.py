"""Networks that act: they know tensors, not simulators."""

from typing import Literal

RecurrentCell = Literal["lstm", "gru", "transformer"]
"""What remembers."""
ActionHead = Literal["linear", "hyper"]
"""What reads actions from what is remembered and from what is seen."""
TRANSFORMER_WIDTHS = 8
"""A transformer's width is a multiple of it: four heads share the width, and rotate their numbers in pairs."""


def width_fault(cell: RecurrentCell, hidden_size: int) -> str:
    """Returns what of a width does not fit a cell, in one line; empty where it does.

    >>> width_fault("transformer", 12)
    'hidden_size is 12, expected a multiple of 8 for a transformer'
    """
    if cell == "transformer" and hidden_size % TRANSFORMER_WIDTHS:
        return f"hidden_size is {hidden_size}, expected a multiple of {TRANSFORMER_WIDTHS} for a transformer"
    return ""


def belief_fault(belief_size: int, cell: RecurrentCell, *, memory: bool, sees_task: bool) -> str:
    """Returns why a policy can have no belief network of this width, in one line; empty where it can.

    >>> belief_fault(64, "lstm", memory=True, sees_task=True)
    'belief_size is 64, expected 0 for a policy that sees its task'
    """
    needs_none = {
        "that sees its task": sees_task,
        "without memory": not memory,
        "whose cell is transformer": cell == "transformer",
    }
    who = next((policy for policy, holds in needs_none.items() if holds), "")
    return f"belief_size is {belief_size}, expected 0 for a policy {who}" if belief_size and who else ""


def chosen_belief_size(asked: int | None, own: int, cell: RecurrentCell, *, memory: bool, sees_task: bool) -> int:
    """Returns the width that is asked for; by default the family's own, where the policy can have such a network.

    >>> chosen_belief_size(None, 64, "gru", memory=True, sees_task=False)
    64
    >>> chosen_belief_size(None, 64, "gru", memory=False, sees_task=False)
    0
    """
    if asked is not None:
        return asked
    return 0 if belief_fault(own, cell, memory=memory, sees_task=sees_task) else own
