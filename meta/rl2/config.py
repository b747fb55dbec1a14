"""PPO's settings; their docstrings are the command line's help."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PPOConfig:
    """How the policy is improved."""

    learning_rate: float = 7e-4
    """Adam's step size at the start."""
    final_learning_rate: float = 1e-4
    """Adam's step size at the end of the budget; it falls linearly, and does not rise again when a resumed run's budget
    is raised."""
    clip_coef: float = 0.2
    """How far a step may move an action's probability ratio from 1."""
    gae_lambda: float = 0.95
    """GAE's lambda."""
    vf_coef: float = 0.5
    """Weight of the value's loss."""
    ent_coef: float = 0.002
    """Weight of the policy's entropy."""
    task_coef: float = 0.25
    """Weight, at the start, of the loss of telling the task from what is remembered; 0 is plain RL²."""
    final_task_coef: float = 0.0
    """The same at the end of the budget: by then a policy has its memory, and returns alone count. It moves with the
    learning rate, and does not go back either."""
    max_grad_norm: float = 0.5
    """Gradients are clipped to this norm."""
    update_epochs: int = 4
    """How often each trial is learnt from."""
    num_minibatches: int = 16
    """Parts that the trials of an iteration are split into, as far as there are trials; a trial stays whole."""
