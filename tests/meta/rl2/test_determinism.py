"""What is the same, bit for bit, on one machine."""

import pytest
import torch

from limbshift.envs.catalogue import make_family
from limbshift.envs.physics.engine import Engine
from limbshift.meta.rl2.build import make_trainer
from limbshift.meta.threads import torch_threads


def parameters_after_training(num_threads: int) -> list[torch.Tensor]:
    """Of a small policy after three iterations, with so many threads for the physics."""
    family = make_family("Walker2dRandParams")
    trainer = make_trainer(family, num_envs=8, horizon=20, hidden_size=16, engine=Engine(num_threads=num_threads))
    with torch_threads(1):
        for _ in range(3):
            trainer.iterate(0.0)
    trainer.env.close()
    return [parameter.detach().clone() for parameter in trainer.policy.parameters()]


@pytest.mark.parametrize("num_threads", [1, 2, 5])
def test_training_is_the_same_with_any_number_of_physics_threads(num_threads: int) -> None:
    """Three is compared with; a number that does not divide the 8 trials shares them out unevenly."""
    pairs = zip(parameters_after_training(num_threads), parameters_after_training(3), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)
