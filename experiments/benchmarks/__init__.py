"""How fast this is beside others, and beside what it stands on: `limbshift bench`."""
