"""A training run: its directory, its session, and what it tells."""
