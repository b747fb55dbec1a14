"""Meta-training by RL² with PPO."""
