"""Processes that learn together, each from trials of its own."""
