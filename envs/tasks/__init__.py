"""What a task is made of: parameters, their effects, and where their values are drawn from."""
