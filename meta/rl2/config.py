"""PPO's settings; their docstrings are the command line's help."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge, Gt, Le

if TYPE_CHECKING:
    from limbshift.envs.family import TaskFamily

Positive = Annotated[float, Gt(0), Le(1e9)]
Weight = Annotated[float, Ge(0), Le(1e9)]
Count = Annotated[int, Gt(0), Le(1_000_000)]
Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class PPOConfig:
    """How the policy is improved."""

    learning_rate: Positive = 7e-4
    """Adam's learning rate at the start; a transformer takes 0.4 times this, and 0.4 times the next."""
    final_learning_rate: Weight = 1e-4
    """Adam's learning rate at the end of the budget; it falls linearly, and does not rise again where a resumed run is
    given a larger budget."""
    clip_coef: Positive = 0.2
    """Clipping range of the probability ratio, around 1."""
    gae_lambda: Annotated[float, Ge(0), Le(1)] = 0.95
    """Lambda of generalised advantage estimation."""
    vf_coef: Weight = 0.5
    """Weight of the value loss."""
    ent_coef: Weight = 0.002
    """Weight of the entropy bonus."""
    task_coef: Weight | None = None
    """Weight, at the start, of the auxiliary loss by which the memory must tell the task; 0 is plain RL². By default
    the family's, which for most is 0.25."""
    final_task_coef: Weight = 0.0
    """Weight of the same loss at the end of the budget; 0 leaves only returns to learn from. It follows the learning
    rate, and does not go back either."""
    told_share: Annotated[float, Ge(0), Le(1)] | None = None
    """Share of the budget, from its start, in which a policy with a belief network is told its task, as the oracle is;
    then it sees that network's guess. It is not told again where a resumed run is given a larger budget. Where the
    family guides learners that are told their task, it does so for that share. By default the family's, which for most
    is 0.85."""
    max_grad_norm: Positive = 0.5
    """Norm that gradients are clipped to."""
    update_epochs: Count = 4
    """Passes over the trials of an iteration."""
    sequence_length: Count | None = 50
    """Steps of the pieces that trials are cut into to be learnt from, each from the recurrent state that it was played
    from; gradients do not flow from one into another. Of the trial's divisors the nearest is taken. None for whole
    trials, from which a transformer learns whatever this is."""
    num_minibatches: Count = 8
    """Minibatches per pass; each holds pieces of several trials, so there are at most as many as pieces."""


def with_own(config: PPOConfig, family: "TaskFamily") -> PPOConfig:
    """Returns the settings with the family's own where they have none.

    >>> from limbshift.envs.catalogue import make_family
    >>> chosen = with_own(PPOConfig(task_coef=0.0), make_family("HalfCheetahDir"))
    >>> chosen.task_coef, chosen.told_share
    (0.0, 0.85)
    """
    return replace(
        config,
        task_coef=family.task_coef if config.task_coef is None else config.task_coef,
        told_share=family.told_share if config.told_share is None else config.told_share,
    )
