"""What goes wrong elsewhere."""

from limbshift.envs.errors import RunFailure


class RankError(RunFailure):
    """Another rank has failed, or cannot be reached."""
