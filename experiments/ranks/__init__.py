"""A training by several processes: how they are started, come together, and end together."""
