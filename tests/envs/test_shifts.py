"""Tasks that change in the midst of a trial."""

import pytest
import torch

from limbshift.envs.catalogue import make_family
from limbshift.envs.errors import InputError
from limbshift.envs.trial_env import TrialEnv


def torso_masses(env: TrialEnv, steps: int) -> torch.Tensor:
    """(steps, N) the mass of each robot's torso while it makes each step."""
    env.reset()
    rows = []
    for _ in range(steps):
        env.step(torch.zeros(env.num_envs, env.task_env.action_dim))
        rows.append(env.task_env.physics.model_field("body_mass")[:, 1].clone())
    return torch.stack(rows)


def test_a_task_changes_before_its_step_and_once() -> None:
    masses = torso_masses(TrialEnv(make_family("HalfCheetahLimbs"), 3, 2, horizon=4, shift_at=5), 8)
    assert (masses[:5] == masses[0]).all()
    assert (masses[5:] == masses[5]).all()
    assert (masses[5] != masses[0]).all()


def test_the_motion_goes_on_where_it_was() -> None:
    family = make_family("HalfCheetahLimbs")
    plain, shifted = TrialEnv(family, 2, 1, horizon=8), TrialEnv(family, 2, 1, horizon=8, shift_at=4)
    for env in (plain, shifted):
        env.reset()
    action = torch.zeros(2, 6)
    for _ in range(4):
        plain_obs, shifted_obs = plain.step(action).obs, shifted.step(action).obs
        assert torch.equal(plain_obs, shifted_obs)
    plain_obs, shifted_obs = plain.step(action).obs, shifted.step(action).obs
    assert (plain_obs[:, :8] - shifted_obs[:, :8]).abs().max() < 0.1, "positions jump"
    assert not torch.equal(plain_obs, shifted_obs)
    assert not shifted_obs[:, shifted.layout.boundary].any(), "the change is announced"


def test_a_finite_split_changes_to_another_member() -> None:
    env = TrialEnv(make_family("HalfCheetahDir"), 6, 1, horizon=4, shift_at=2)
    env.reset()
    first = env.task_env.task["direction"].clone()
    for _ in range(3):
        env.step(torch.zeros(6, 6))
    assert torch.equal(env.task_env.task["direction"], -first)


def test_an_oracle_sees_the_change() -> None:
    env = TrialEnv(make_family("HalfCheetahDir"), 2, 1, horizon=4, observe_task=True, shift_at=2)
    first = env.reset()[:, env.layout.task]
    seen = [env.step(torch.zeros(2, 6)).obs[:, env.layout.task] for _ in range(3)]
    assert [torch.equal(each, first) for each in seen] == [True, True, False]


def test_a_share_of_the_trials_changes_each_at_a_step_of_its_own() -> None:
    masses = torso_masses(TrialEnv(make_family("HalfCheetahLimbs"), 200, 1, horizon=10, shift_probability=0.5), 10)
    changes = masses[1:] != masses[:-1]  # (9, N)
    assert changes.sum(dim=0).max() == 1
    # 200 trials, each with probability 1/2: a mean of 100 with a deviation of 7.
    assert 70 < changes.any(dim=0).sum() < 130
    assert changes.any(dim=1).all(), "a step at which none changes"


def test_the_next_trial_begins_on_a_task_of_its_own() -> None:
    family = make_family("HalfCheetahLimbs")
    plain, shifted = TrialEnv(family, 2, 1, horizon=4), TrialEnv(family, 2, 1, horizon=4, shift_at=2)
    plain.reset()
    torso_masses(shifted, 4)
    assert torch.equal(plain.reset(), shifted.reset())
    assert torch.equal(plain.task_env.task["torso_mass"], shifted.task_env.task["torso_mass"])


@pytest.mark.parametrize("step", [0, 8, -1])
def test_a_change_outside_the_trial_is_refused(step: int) -> None:
    with pytest.raises(InputError, match=rf"^shift is at step {step}, expected a step from 1 to 7$"):
        TrialEnv(make_family("HalfCheetahDir"), 2, 2, horizon=4, shift_at=step)
