"""Networks that act: they know tensors, not simulators."""

from typing import Literal

RecurrentCell = Literal["lstm", "gru"]
"""What remembers."""
