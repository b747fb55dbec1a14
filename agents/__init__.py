"""Networks that act: they know tensors, not simulators."""

from typing import Literal

RecurrentCell = Literal["lstm", "gru", "transformer"]
"""What remembers."""
ActionHead = Literal["linear", "hyper"]
"""What reads actions from what is remembered and from what is seen."""
TRANSFORMER_WIDTHS = 8
"""A transformer's width is a multiple of it: four heads share the width, and rotate their numbers in pairs."""
