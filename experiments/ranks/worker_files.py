"""The files by which the launcher and its ranks know of each other, in a folder that is theirs."""

SETTINGS = "settings.json"
"""The configuration, from the launcher."""
FINISHED = "finished"
"""Rank 0's, where the budget is spent."""
ENDED = "ended.json"
"""What ended a rank: its line and exit status, from the one that tells it."""
