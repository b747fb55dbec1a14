"""How a policy adapts, and what the figures mean."""
