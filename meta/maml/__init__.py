"""Meta-training by MAML: a start from which gradient steps suit any task."""
