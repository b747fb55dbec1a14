"""PPO's settings; their docstrings are the command line's help."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PPOConfig:
    """How the policy is improved."""

    learning_rate: float = 7e-4
    """Adam's learning rate at the start."""
    final_learning_rate: float = 1e-4
    """Adam's learning rate at the end of the budget; it falls linearly, and does not rise again where a resumed run is
    given a larger budget."""
    clip_coef: float = 0.2
    """Clipping range of the probability ratio, around 1."""
    gae_lambda: float = 0.95
    """Lambda of generalised advantage estimation."""
    vf_coef: float = 0.5
    """Weight of the value loss."""
    ent_coef: float = 0.002
    """Weight of the entropy bonus."""
    task_coef: float = 0.25
    """Weight, at the start, of the auxiliary loss by which the memory must tell the task; 0 is plain RL²."""
    final_task_coef: float = 0.0
    """Weight of the same loss at the end of the budget; 0 leaves only returns to learn from. It follows the learning
    rate, and does not go back either."""
    max_grad_norm: float = 0.5
    """Norm that gradients are clipped to."""
    update_epochs: int = 4
    """Passes over the trials of an iteration."""
    num_minibatches: int = 16
    """Minibatches per pass; each holds whole trials, so there are at most as many as trials."""
