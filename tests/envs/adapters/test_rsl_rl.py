"""rsl_rl's form of the envs."""

import json
import math
import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import limbshift
from limbshift.envs.adapters.gym_trials import TrialVectorEnv
from limbshift.envs.adapters.gym_vector import TaskFamilyVectorEnv
from limbshift.envs.adapters.make import make_rsl_rl
from limbshift.envs.adapters.rsl_rl import RslRlTrials, RslRlVecEnv
from limbshift.envs.errors import ActionError, InputError
from limbshift.envs.physics.engine import chosen_engine
from tests.envs.sled import Sledding
from tests.reads import none_allowed

SMALL = "InvertedPendulumBody"
"""Whose kernels MuJoCo Warp compiles in seconds."""


def push(env: RslRlVecEnv, share: float = 1.0) -> Tensor:
    return torch.full((env.num_envs, env.num_actions), share)


@pytest.mark.parametrize("trials", [False, True])
def test_it_is_our_vector_env_step_for_step(trials: bool) -> None:
    """The pendulum's motor takes 3 N, so that its share of the range is not the action."""
    ours: Any = TaskFamilyVectorEnv(SMALL, 2, horizon=6, seed=5)
    if trials:
        ours = TrialVectorEnv(SMALL, 2, 2, horizon=3, seed=5)
    theirs = make_rsl_rl(SMALL, 2, trials=trials, horizon=3 if trials else 6, seed=5)
    np.testing.assert_array_equal(theirs.get_observations()["policy"].numpy(), ours.reset()[0])
    for step in range(1, 14):
        obs, reward, done, extras = theirs.step(push(theirs, 0.5))
        expected = ours.step(np.full((2, 1), 1.5, dtype=np.float32))
        np.testing.assert_array_equal(obs["policy"].numpy(), expected[0])
        np.testing.assert_array_equal(reward.numpy(), expected[1].astype(np.float32))
        assert done.tolist() == (expected[2] | expected[3]).tolist()
        assert extras["time_outs"].tolist() == (expected[3] & ~expected[2]).tolist()
        assert {name: values.tolist() for name, values in extras["task"].items()} == {
            name: values.tolist() for name, values in expected[4]["task"].items()
        }
        assert (obs["policy"].dtype, reward.dtype, done.dtype) == (torch.float32, torch.float32, torch.int64)
        if trials:
            assert theirs.episode_length_buf.tolist() == [step % 6] * 2
        assert theirs.get_observations() is obs


def test_a_fall_ends_an_episode_but_no_trial() -> None:
    """Pushed all along, the sled passes a metre, where it has fallen, within 14 steps."""
    plain, trials = make_rsl_rl(Sledding(), 2, horizon=30, seed=0), make_rsl_rl(Sledding(), 2, trials=True, horizon=15)
    falls = [plain.step(push(plain)) for _ in range(20)]
    assert any(done.any() for _, _, done, _ in falls)
    assert not any(extras["time_outs"].any() for *_, extras in falls)
    steps = [trials.step(push(trials)) for _ in range(45)]
    assert [bool(done.any()) for _, _, done, _ in steps] == [False] * 44 + [True]
    assert any(extras["fallen"].any() for *_, extras in steps)
    assert max(extras["log"]["/fallen"].item() for *_, extras in steps) in (0.5, 1.0)


def test_episodes_may_begin_in_the_midst() -> None:
    """As `init_at_random_ep_len` makes them: of four steps one env has taken two, and the other three."""
    env = make_rsl_rl(Sledding(), 2, horizon=4, seed=0)
    env.episode_length_buf = torch.tensor([2, 3])
    ends = [env.step(0 * push(env))[2].tolist() for _ in range(5)]
    assert ends == [[0, 1], [1, 0], [0, 0], [0, 0], [0, 1]]
    with pytest.raises(InputError, match=r"^shape of episode_length_buf is \(3,\), expected \(2,\)$"):
        env.episode_length_buf = torch.zeros(3)
    for wrong in (None, [2, 3]):
        with pytest.raises(InputError, match=r"^shape of episode_length_buf is None, expected \(2,\)$"):
            env.episode_length_buf = wrong  # type: ignore[assignment]  # as a script without types may
    for odd in (torch.tensor([-1, 3]), torch.tensor([math.nan, 1.0])):
        with pytest.raises(InputError, match=r"^episode_length_buf is tensor.*, expected whole numbers from 0 on$"):
            env.episode_length_buf = odd
    trials = make_rsl_rl(Sledding(), 2, trials=True)
    with pytest.raises(InputError, match=r"init_at_random_ep_len is of single episodes$"):
        trials.episode_length_buf = torch.tensor([2, 3])


def test_rewards_terms_are_told_to_the_log() -> None:
    """A push of 1 costs 0.5, at any price."""
    env = make_rsl_rl(Sledding(), 2, seed=0)
    log = env.step(push(env))[3]["log"]
    assert set(log) == {"/reward/sold", "/reward/control"}
    assert log["/reward/control"].item() == -0.5


def test_seeds_and_options_set_what_a_reset_begins() -> None:
    env = make_rsl_rl(Sledding(), 2, seed=3)
    first = env.get_observations()["policy"]
    extras = env.reset(seed=3, options={"task": {"mass": [0.5, 1.5]}})[1]
    assert extras["task"]["mass"].tolist() == [0.5, 1.5]
    assert env.reset(options={"keep_task": True})[1]["task"]["mass"].tolist() == [0.5, 1.5]
    assert not torch.equal(env.reset()[0]["policy"], first)
    assert torch.equal(env.reset(seed=3)[0]["policy"], first)
    assert torch.equal(make_rsl_rl(Sledding(), 2, seed=3).get_observations()["policy"], first)
    drawn = [make_rsl_rl(Sledding(), 2).get_observations()["policy"] for _ in range(2)]
    assert not torch.equal(*drawn)


def test_the_task_is_a_group_of_its_own_where_it_is_asked_for() -> None:
    hidden, shown = (make_rsl_rl(SMALL, 3, trials=True, seed=0, observe_task=told) for told in (False, True))
    assert set(hidden.get_observations().keys()) == {"policy"}
    obs = shown.get_observations()
    assert torch.equal(obs["policy"], hidden.get_observations()["policy"])
    assert torch.equal(obs["task"], shown.task_env.encoded_task())
    assert isinstance(shown, RslRlTrials)
    assert obs["policy"].shape[1] == shown.layout["boundary"].stop


def test_it_tells_of_itself_what_runners_ask() -> None:
    env = make_rsl_rl("HalfCheetahVel", 3, trials=True, episodes_per_trial=2, horizon=7, seed=4)
    assert (env.num_envs, env.num_actions, env.max_episode_length, env.device.type) == (3, 6, 14, "cpu")
    assert env.unwrapped is env
    assert env.step_dt == pytest.approx(0.05)
    assert json.loads(json.dumps(env.cfg)) == {
        "family": "HalfCheetahVel",
        "variant": "default",
        "split": "train",
        "num_envs": 3,
        "max_episode_length": 14,
        "observe_task": False,
        "physics": "mujoco",
        "seed": 4,
        "episodes_per_trial": 2,
        "horizon": 7,
    }
    env.close()


@pytest.mark.parametrize("family", ["HalfCheetahHardware", "AntCrippled"])
def test_it_works_in_and_out_of_inference_mode_in_turn(family: str) -> None:
    env = make_rsl_rl(family, 2, horizon=2, seed=0)
    for _ in range(3):
        with torch.inference_mode():
            env.step(push(env))
        env.step(push(env))
        env.reset()


@pytest.mark.parametrize("trials", [False, True])
def test_warp_gives_what_mujoco_gives(trials: bool) -> None:
    """With float32's digits, and, in trials, without a look of the host at any tensor of the device."""
    here, there = (
        make_rsl_rl(SMALL, 3, trials=trials, horizon=5, seed=2, observe_task=True, physics=physics, device="cpu")
        for physics in ("mujoco", "warp")
    )
    assert there.get_observations().device == there.task_env.physics.device
    ends = 0
    for _ in range(9):
        action = push(here, 0.1)
        if trials:
            with none_allowed():
                there_step = there.step(action)
        else:
            there_step = there.step(action)
        here_step = here.step(action)
        for group in ("policy", "task"):
            torch.testing.assert_close(there_step[0][group], here_step[0][group], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(there_step[1], here_step[1], rtol=1e-4, atol=1e-4)
        assert torch.equal(there_step[2], here_step[2])
        ends += int(here_step[2].sum())
    assert (ends > 0) is not trials
    with pytest.raises(ActionError, match=r"^shape of actions is \(2, 1\), expected \(3, 1\)$"):
        there.step(action[:2])


def test_what_cannot_be_used_is_refused() -> None:
    env = make_rsl_rl(Sledding(), 2)
    with pytest.raises(ActionError, match=r"^shape of actions is \(2, 3\), expected \(2, 1\)$"):
        env.step(torch.zeros(2, 3))
    with pytest.raises(ActionError, match=r"^value in actions is nan, expected finite numbers$"):
        env.step(push(env, float("nan")))
    with pytest.raises(InputError, match=r"^episodes_per_trial is 3, expected None: trials=True makes trials$"):
        make_rsl_rl(Sledding(), 2, episodes_per_trial=3)
    with pytest.raises(InputError, match=r"^observe_task is 1, expected True or False$"):
        make_rsl_rl(Sledding(), 2, observe_task=1)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"^seed is -1, expected a whole number of at least 0$"):
        make_rsl_rl(Sledding(), 2, seed=-1)


def test_devices_are_those_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert chosen_engine("warp").device.type == "cuda"
    assert chosen_engine("warp", "cuda:0").device.index == 0
    assert chosen_engine("mujoco").device.type == "cpu"
    for physics, device, message in (
        ("mujoco", "cuda", "device is cuda with physics mujoco, expected cpu, or physics warp"),
        ("warp", "cuda:1", "device is cuda:1, expected cpu, or one of the 1 CUDA devices that PyTorch sees"),
        ("warp", "meta", "device is meta, expected cpu, or one of the 1 CUDA devices that PyTorch sees"),
        ("warp", "gpu", "device is 'gpu', expected auto, cpu or cuda"),
        ("bullet", "cpu", "physics is 'bullet', expected one of mujoco, warp"),
    ):
        with pytest.raises(InputError, match=f"^{message}$"):
            chosen_engine(physics, device)


def test_without_the_extra_the_command_to_install_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "limbshift.envs.adapters.rsl_rl", raising=False)
    monkeypatch.setitem(sys.modules, "tensordict", None)
    with pytest.raises(InputError, match=r"^tensordict is not installed: pip install '\.\[rsl-rl\]'$"):
        limbshift.make_rsl_rl("HalfCheetahDir", 2)
