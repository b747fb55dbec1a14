"""Environments that share their tasks."""

import pytest
import torch

from limbshift.envs.catalogue import make_family
from limbshift.envs.trial_env import TrialEnv


@pytest.mark.parametrize("family", ["HalfCheetahLimbs", "HalfCheetahHardware"])
def test_ranks_have_the_tasks_and_starts_of_one_environment(family: str) -> None:
    """Two of three simulations each, against one of six, in their first and second trials."""
    one = TrialEnv(make_family(family), 6, 2, horizon=3, observe_task=True)
    two = [TrialEnv(make_family(family), 3, 2, horizon=3, observe_task=True, rank=rank, num_ranks=2) for rank in (0, 1)]
    for trial in range(2):
        obs = one.reset()
        assert torch.equal(torch.cat([env.reset() for env in two]), obs)
        assert [env.task_env.task_index.tolist() for env in two] == [
            [6 * trial, 6 * trial + 1, 6 * trial + 2],
            [6 * trial + 3, 6 * trial + 4, 6 * trial + 5],
        ]
