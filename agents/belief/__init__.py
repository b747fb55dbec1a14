"""What a policy takes its task to be, inferred apart from what it remembers in order to act."""
