"""Where the time of meta-training goes."""

from collections.abc import Sequence

from limbshift.meta.rl2.iteration import Iteration


def shares_of(iterations: Sequence[Iteration]) -> dict[str, float]:
    """Returns the parts of the time of iterations in which one thing was done after the other."""
    total = sum(iteration.seconds for iteration in iterations)
    return {
        "physics": sum(iteration.env_seconds for iteration in iterations) / total,
        "policy": sum(iteration.policy_seconds for iteration in iterations) / total,
        "update": sum(iteration.update_seconds for iteration in iterations) / total,
    }
