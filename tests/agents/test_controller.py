"""Controllers: their files, and how they act outside training."""

import errno
import json
import math
import os
import stat
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from safetensors.torch import save, save_file

from limbshift.agents import ActionHead, RecurrentCell
from limbshift.agents.actor import MemoryWipe, PolicyActor
from limbshift.agents.belief.network import BeliefNetwork
from limbshift.agents.controller import Controller
from limbshift.agents.controller_file import ControllerCard
from limbshift.agents.heads import TaskHead
from limbshift.agents.recurrent import PolicySpec, RecurrentActorCritic
from limbshift.agents.safe_tensors import read_tensors
from limbshift.envs.catalogue import make_family
from limbshift.envs.errors import ControllerError, InputError
from limbshift.envs.trial_env import TrialEnv

CARD = ControllerCard("HalfCheetahLimbs", "default", episodes_per_trial=2, horizon=4)


def make_controller(sees_reward: bool = True, cell: RecurrentCell = "lstm", head: ActionHead = "linear") -> Controller:
    torch.manual_seed(0)
    context = 2 if cell == "transformer" else 0
    spec = PolicySpec(17, 6, hidden_size=8, cell=cell, sees_reward=sees_reward, head=head, context=context)
    policy = RecurrentActorCritic(spec)
    policy.normaliser.update(torch.randn(100, policy.spec.trial_obs_dim))
    with torch.no_grad():
        policy.action_head.weight.mul_(100)  # actions that reach the motors' bounds
        if head == "hyper":
            policy.action_head.bias.mul_(100)
    return Controller(policy, CARD, -torch.ones(6), action_high=torch.ones(6))


def test_it_prints_short() -> None:
    expected = "<Controller of HalfCheetahLimbs, variant default: 0 env steps of training, trials of 2 x 4 steps>"
    assert repr(make_controller()) == expected


@pytest.mark.parametrize("head", get_args(ActionHead))
@pytest.mark.parametrize("cell", get_args(RecurrentCell))
def test_it_acts_as_in_training(cell: RecurrentCell, head: ActionHead) -> None:
    controller, env = (
        make_controller(cell=cell, head=head),
        TrialEnv(make_family("HalfCheetahLimbs"), 3, 2, horizon=4, split="heldout"),
    )
    controller.reset(3)
    actor, obs, layout = PolicyActor(controller.policy, 3), env.reset(), env.layout
    clipped = 0
    for _ in range(env.steps_per_trial):
        reward, boundary = obs[:, layout.previous_reward].squeeze(-1), obs[:, layout.boundary].squeeze(-1)
        action = controller.act(obs[:, layout.obs], reward, boundary)
        raw = actor(obs)
        torch.testing.assert_close(action, raw.clamp(-1, 1))
        clipped += int((raw.abs() > 1).sum())
        obs = env.step(action).obs
    assert clipped


def test_numpy_in_numpy_out_and_torch_in_torch_out() -> None:
    controller = make_controller()
    obs = np.random.default_rng(0).normal(size=(2, 17))
    controller.reset(2)
    action = controller.act(obs, np.zeros(2), np.ones(2))
    assert isinstance(action, np.ndarray)
    controller.reset(2)
    same = controller.act(torch.from_numpy(obs), torch.zeros(2), torch.ones(2))
    assert isinstance(same, torch.Tensor)
    np.testing.assert_array_equal(action, same.numpy())
    action[:] = 7  # the caller's own
    later = controller.act(obs, np.zeros(2), np.zeros(2))
    expected = controller_after(same, obs)
    np.testing.assert_array_equal(later, expected)


def controller_after(first: torch.Tensor, obs: np.ndarray) -> np.ndarray:
    """The second action of a fresh controller whose first one nobody touched."""
    controller = make_controller()
    controller.reset(2)
    torch.testing.assert_close(controller.act(torch.from_numpy(obs), torch.zeros(2), torch.ones(2)), first)
    return controller.act(obs, np.zeros(2), np.zeros(2))


@pytest.mark.parametrize("head", get_args(ActionHead))
@pytest.mark.parametrize("cell", get_args(RecurrentCell))
def test_a_file_holds_all_of_it(cell: RecurrentCell, head: ActionHead, tmp_path: Path) -> None:
    controller = make_controller(sees_reward=False, cell=cell, head=head)
    controller.save(tmp_path / "a.safetensors")
    loaded = Controller.load(tmp_path / "a.safetensors")
    assert loaded.card == CARD
    assert loaded.policy.spec == controller.policy.spec
    obs = torch.randn(1, 17)
    for _ in range(3):
        assert torch.equal(loaded.act(obs, None, torch.ones(1)), controller.act(obs, None, torch.ones(1)))
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_a_belief_networks_file_holds_its_guess_once(tmp_path: Path) -> None:
    torch.manual_seed(0)
    policy = RecurrentActorCritic(PolicySpec(17, 6, hidden_size=8, belief_size=4, belief_dim=2))
    assert isinstance(policy.belief, BeliefNetwork)
    torch.nn.init.normal_(policy.belief.head.weight)
    controller = Controller(policy, CARD, -torch.ones(6), action_high=torch.ones(6))
    controller.save(tmp_path / "a.safetensors")
    tensors, _ = read_tensors(tmp_path / "a.safetensors")
    assert [name for name in tensors if "head.bias" in name and "action" not in name and "value" not in name] == [
        "belief.head.bias"
    ]
    loaded, obs = Controller.load(tmp_path / "a.safetensors"), torch.randn(1, 17)
    for _ in range(3):
        actions = [each.act(obs, torch.ones(1), torch.zeros(1)) for each in (loaded, controller)]
        assert torch.equal(*actions)
    assert torch.equal(loaded.guessed_task(), controller.guessed_task())
    assert loaded.guessed_task().abs().min() > 0


def test_a_searchs_file_holds_its_candidates(tmp_path: Path) -> None:
    torch.manual_seed(0)
    policy = RecurrentActorCritic(PolicySpec(17, 6, hidden_size=8, belief_size=4, belief_dim=2, num_candidates=5))
    policy.search_among(torch.rand(5, 2))
    controller = Controller(policy, CARD, -torch.ones(6), action_high=torch.ones(6))
    path = tmp_path / "a.safetensors"
    controller.save(path)
    loaded, obs = Controller.load(path), torch.randn(20, 1, 17)
    for each in obs:
        actions = [one.act(each, torch.ones(1), torch.zeros(1)) for one in (loaded, controller)]
        assert torch.equal(*actions)
    assert torch.equal(loaded.guessed_task(), controller.guessed_task())
    tensors, metadata = read_tensors(path)
    for candidates, found in ((None, "is none"), (torch.zeros(5, 3), r"has shape \(5, 3\)")):
        changed = {name: tensor for name, tensor in tensors.items() if name != "belief.head.candidates"}
        save_file(
            changed | ({} if candidates is None else {"belief.head.candidates": candidates}), path, dict(metadata)
        )
        with pytest.raises(ControllerError, match=rf"^belief\.head\.candidates in .* {found}, expected \(5, 2\)$"):
            Controller.load(path)


def with_head() -> Controller:
    """A controller that tells two numbers of the task: the first thing that it remembers plus 1, and 2."""
    plain, head = make_controller(), TaskHead(8, 2)
    with torch.no_grad():
        head.weight[0, 0] = 1.0
        head.bias.copy_(torch.tensor([1.0, 2.0]))
    return Controller(plain.policy, CARD, -torch.ones(6), action_high=torch.ones(6), task_head=head)


def test_it_tells_the_task_by_what_it_remembers(tmp_path: Path) -> None:
    with_head().save(tmp_path / "a.safetensors")
    loaded, plain = Controller.load(tmp_path / "a.safetensors"), make_controller()
    loaded.reset(3)
    plain.reset(3)
    obs, nothing = torch.randn(3, 17), torch.zeros(3)
    for _ in range(2):
        assert torch.equal(loaded.act(obs, nothing, nothing), plain.act(obs, nothing, nothing))
    remembered = loaded._actor.state[0][:, 0]
    assert remembered.abs().min() > 0
    torch.testing.assert_close(loaded.guessed_task(), torch.stack([1 + remembered, torch.full((3,), 2.0)], dim=-1))
    with pytest.raises(ControllerError, match=r"^this controller holds no head that tells its task, expected one"):
        plain.guessed_task()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"bias": None}, r"task_head\.bias in .* is none, expected a number for each that tells a task$"),
        ({"bias": torch.zeros(0)}, r"task_head\.bias in .* is of shape \(0,\), expected a number"),
        ({"weight": None}, r"lacks 'task_head\.weight'$"),
        ({"weight": torch.zeros(2, 9)}, r"task_head\.weight in .* has shape \(2, 9\), expected \(2, 8\)$"),
        ({"weight": torch.full((2, 8), math.nan)}, r"task_head\.weight in .* holds nan, expected finite numbers$"),
        ({"more": torch.zeros(1)}, r"holds an unknown 'task_head\.more'$"),
    ],
)
def test_a_head_that_does_not_fit_is_refused(
    changed: dict[str, torch.Tensor | None], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.safetensors"
    with_head().save(path)
    tensors, metadata = read_tensors(path)
    for name, tensor in changed.items():
        tensors.pop(f"task_head.{name}", None)
        if tensor is not None:
            tensors[f"task_head.{name}"] = tensor
    path.write_bytes(save(tensors, dict(metadata)))
    with pytest.raises(ControllerError, match=message):
        Controller.load(path)


@pytest.mark.parametrize("cell", get_args(RecurrentCell))
def test_files_are_small(cell: RecurrentCell, tmp_path: Path) -> None:
    """At the width that is usual; what a transformer keeps of a trial is not among it."""
    spec = PolicySpec(17, 6, cell=cell, context=400 if cell == "transformer" else 0)
    controller = Controller(RecurrentActorCritic(spec), CARD, -torch.ones(6), action_high=torch.ones(6))
    controller.save(tmp_path / "a.safetensors")
    assert (tmp_path / "a.safetensors").stat().st_size < 1.5e6


def test_one_that_is_not_finite_replaces_none(tmp_path: Path) -> None:
    path, controller = tmp_path / "kept.safetensors", make_controller()
    controller.save(path)
    before = path.read_bytes()
    controller.policy.encoder.bias[3] = math.inf
    with pytest.raises(ControllerError, match=r"^encoder\.bias of the controller is not finite, expected finite weig"):
        controller.save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_without_room_is_an_os_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path, controller = tmp_path / "kept.safetensors", make_controller()
    controller.save(path)
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        controller.save(path)
    assert Controller.load(path).card == CARD
    assert list(tmp_path.iterdir()) == [path]


def test_limits_as_robots_give_them_do_not_change_what_it_computes() -> None:
    """In float64, as MuJoCo's are; the second call sees the first's action."""
    controller, doubled = make_controller(), make_controller()
    low, high = make_family("HalfCheetahLimbs").robot.action_bounds()
    doubled = Controller(doubled.policy, CARD, low, action_high=high)
    for _ in range(3):
        actions = [each.act(torch.ones(1, 17), torch.ones(1), torch.zeros(1)) for each in (controller, doubled)]
        assert actions[0].dtype == actions[1].dtype == torch.float32
        assert torch.equal(*actions)


def test_actions_are_in_the_robots_units_and_remembered_as_shares() -> None:
    """A range from -1 to 5 has its middle at 2 and reaches 3 to either side."""
    low, high = torch.full((6,), -1.0), torch.full((6,), 5.0)
    plain, wide = make_controller(), Controller(make_controller().policy, CARD, low, action_high=high)
    for _ in range(3):
        share = plain.act(torch.ones(1, 17), torch.ones(1), torch.zeros(1))
        action = wide.act(torch.ones(1, 17), torch.ones(1), torch.zeros(1))
        torch.testing.assert_close(action, 2 + 3 * share)


def test_some_robots_begin_a_new_trial_while_others_go_on() -> None:
    obs, reward, inside = torch.randn(2, 17, generator=torch.Generator().manual_seed(0)), torch.ones(2), torch.zeros(2)
    controller, undisturbed, fresh = make_controller(), make_controller(), make_controller()
    for each in (controller, undisturbed):
        each.reset(2)
        each.act(obs, reward, inside)
    fresh.reset(2)
    controller.reset(torch.tensor([True, False]))
    actions = controller.act(obs, reward, inside)
    assert torch.equal(actions[0], fresh.act(obs, reward, inside)[0])
    assert torch.equal(actions[1], undisturbed.act(obs, reward, inside)[1])
    controller.reset(np.array([True, True]))
    assert torch.equal(controller.act(obs, reward, inside), make_controller_after_reset(2).act(obs, reward, inside))
    with pytest.raises(ControllerError, match=r"reset was given float32 of shape \(3,\), expected a number or"):
        controller.reset(torch.zeros(3))


def make_controller_after_reset(num_envs: int) -> Controller:
    controller = make_controller()
    controller.reset(num_envs)
    return controller


@pytest.mark.parametrize("head", get_args(ActionHead))
def test_a_file_of_the_first_format_acts_as_it_did(head: ActionHead, tmp_path: Path) -> None:
    """Its policy acts in the robot's units, here from -3 to 3, and sees its previous action in them."""
    policy = make_controller(head=head).policy
    old, state = PolicyActor(policy, 1), policy.state_dict()
    limits = {"action_low": torch.full((6,), -3.0), "action_high": torch.full((6,), 3.0)}
    about = json.dumps({"spec": asdict(policy.spec), "card": asdict(CARD)})
    save_file({**state, **limits}, tmp_path / "old.safetensors", {"format": "limbshift-controller-1", "about": about})
    controller, previous = Controller.load(tmp_path / "old.safetensors"), torch.zeros(1, 6)
    for _ in range(4):
        obs = torch.ones(1, 17)
        previous = old(torch.cat([obs, previous, torch.ones(1, 1), torch.zeros(1, 1)], dim=-1)).clamp(-3, 3)
        torch.testing.assert_close(controller.act(obs, torch.ones(1), torch.zeros(1)), previous, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        assert controller.policy.log_std.tolist() == pytest.approx([-math.log(3)] * 6)


def test_a_file_of_the_first_format_with_uneven_limits_is_refused(tmp_path: Path) -> None:
    policy, limits = make_controller().policy, {"action_low": torch.zeros(6), "action_high": torch.ones(6)}
    about = json.dumps({"spec": asdict(policy.spec), "card": asdict(CARD)})
    metadata = {"format": "limbshift-controller-1", "about": about}
    save_file({**policy.state_dict(), **limits}, tmp_path / "old.safetensors", metadata)
    with pytest.raises(ControllerError, match="with limits that lie unevenly about 0"):
        Controller.load(tmp_path / "old.safetensors")


def test_a_saved_controller_has_the_mode_that_the_umask_leaves(tmp_path: Path) -> None:
    previous = os.umask(0o027)
    try:
        make_controller().save(tmp_path / "a.safetensors")
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "a.safetensors").stat().st_mode) == 0o640


def test_wrong_inputs_are_named() -> None:
    controller = make_controller()
    obs, one = torch.zeros(1, 17), torch.zeros(1)
    with pytest.raises(ControllerError, match=r"shape of obs is \(2, 17\), expected \(1, 17\)"):
        controller.act(torch.zeros(2, 17), one, one)
    with pytest.raises(ControllerError, match="previous_reward is None, expected shape"):
        controller.act(obs, None, one)
    with pytest.raises(ControllerError, match="was trained without"):
        make_controller(sees_reward=False).act(obs, one, one)


@pytest.mark.parametrize(
    ("obs", "message"),
    [
        (np.zeros((1, 16)), "shape of obs is (1, 16), expected (1, 17)"),
        ([["a"] * 17], "dtype of obs is <U1, expected real numbers"),
        (np.full((1, 17), None), "dtype of obs is object, expected real numbers"),
        (np.zeros((1, 17), dtype=np.complex64), "dtype of obs is complex64, expected real numbers"),
        (torch.zeros(1, 17, dtype=torch.complex64), "dtype of obs is torch.complex64, expected real numbers"),
        (torch.zeros(1, 17, dtype=torch.bool), "dtype of obs is torch.bool, expected real numbers"),
        (
            np.full((1, 17), 1e300),
            'robot 0 is told inf, expected finite numbers, or on_nan="hold" to repeat its last action',
        ),
    ],
)
def test_wrong_observations_are_named(obs: Any, message: str) -> None:
    one = np.zeros(1)
    with pytest.raises(ControllerError) as caught:
        make_controller().act(obs, one, one)
    assert str(caught.value) == message


@pytest.mark.parametrize("robots", [-1, 0, True])
def test_wrong_numbers_of_robots_are_named(robots: int) -> None:
    expected = f"number of robots is {robots}, expected a whole number of at least 1"
    with pytest.raises(ControllerError, match=f"^{expected}$"):
        make_controller().reset(robots)


@pytest.mark.parametrize("device", ["foo", "cuda:99", "cpu:x", 3.5])
def test_a_device_that_is_not_there_is_named(device: Any) -> None:
    with pytest.raises(ControllerError, match=rf"^device is {device!r}, expected one that this machine's PyTorch has$"):
        make_controller().to(device)


def test_numbers_of_all_kinds_and_strides_are_taken() -> None:
    """The observations are whole numbers, so that all kinds hold the same; views of reversed arrays are no harder."""
    whole = np.arange(-17, 17).reshape(2, 17)
    kinds: list[Any] = [
        *(whole.astype(kind) for kind in ("f2", "f4", "f8", "i1", "i8")),
        np.ascontiguousarray(whole[::-1, ::-1])[::-1, ::-1],
        whole.tolist(),
        torch.from_numpy(whole).to(torch.bfloat16),
        torch.from_numpy(whole),
    ]
    actions = []
    for obs in kinds:
        controller = make_controller()
        controller.reset(2)
        actions.append(np.asarray(controller.act(obs, np.zeros(2), np.ones(2, dtype=np.bool_))))
    for action in actions[1:]:
        np.testing.assert_array_equal(action, actions[0])


@pytest.mark.parametrize("cell", get_args(RecurrentCell))
def test_a_robot_whose_sensors_fail_holds_its_last_action_and_the_others_go_on(cell: RecurrentCell) -> None:
    """Robot 1 is told nan in its second step of three; it then goes on as a robot that never had that step."""
    obs = np.random.default_rng(0).normal(size=(3, 2, 17))
    failing, sound, skipping = make_controller(cell=cell), make_controller(cell=cell), make_controller(cell=cell)
    for each in (failing, sound, skipping):
        each.reset(2)
    first = failing.act(obs[0], np.zeros(2), np.ones(2))
    for each in (sound, skipping):
        each.act(obs[0], np.zeros(2), np.ones(2))
    broken = obs[1].copy()
    broken[1, 3] = np.nan
    with pytest.raises(ControllerError, match=r"^robot 1 is told nan, expected finite numbers, or on_nan"):
        failing.act(broken, np.zeros(2), np.zeros(2))
    held = failing.act(broken, np.zeros(2), np.zeros(2), on_nan="hold")
    np.testing.assert_array_equal(held[1], first[1])
    np.testing.assert_array_equal(held[0], sound.act(obs[1], np.zeros(2), np.zeros(2))[0])
    later = failing.act(obs[2], np.zeros(2), np.zeros(2), on_nan="hold")
    np.testing.assert_array_equal(later[0], sound.act(obs[2], np.zeros(2), np.zeros(2))[0])
    np.testing.assert_array_equal(later[1], skipping.act(obs[2], np.zeros(2), np.zeros(2))[1])


def test_without_a_last_action_the_middle_of_the_range_is_held() -> None:
    controller = Controller(make_controller().policy, CARD, -torch.ones(6), action_high=torch.full((6,), 3.0))
    lost = np.full((1, 17), np.inf)
    assert controller.act(lost, np.zeros(1), np.ones(1), on_nan="hold").tolist() == [[1.0] * 6]
    assert controller.act(np.zeros((1, 17)), np.array([np.nan]), np.ones(1), on_nan="hold").tolist() == [[1.0] * 6]
    with pytest.raises(InputError, match=r"^on_nan is 'skip', expected one of raise, hold$"):
        controller.act(lost, np.zeros(1), np.ones(1), on_nan="skip")  # type: ignore[arg-type]


def test_memory_is_wiped_as_asked() -> None:
    policy = make_controller().policy
    obs = torch.randn(6, 2, policy.spec.trial_obs_dim, generator=torch.Generator().manual_seed(5))
    obs[..., -1] = 0.0
    obs[[0, 3], :, -1] = 1.0  # episodes start at steps 0 and 3
    first = obs.clone()
    first[..., 17:-1], first[..., -1] = 0.0, 1.0
    each_step = PolicyActor(policy, 2, MemoryWipe.EACH_STEP)
    each_episode, fresh = PolicyActor(policy, 2, MemoryWipe.EACH_EPISODE), PolicyActor(policy, 2)
    never = PolicyActor(policy, 2)
    for t in range(6):
        torch.testing.assert_close(each_step(obs[t]), PolicyActor(policy, 2)(first[t]))
        if t == 3:
            fresh = PolicyActor(policy, 2)
        expected = fresh(first[t] if t in (0, 3) else obs[t])
        torch.testing.assert_close(each_episode(obs[t]), expected)
        remembered = never(obs[t])
    assert not torch.allclose(remembered, expected)
