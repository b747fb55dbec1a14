"""Trials to learn from: played, stored, and collected in turn or ahead."""
