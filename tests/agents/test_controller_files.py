"""Files that hold no controller, or one that was altered: each is refused in one line, in no time."""

import json
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from limbshift.agents.controller import Controller
from limbshift.envs.errors import ControllerError, InputError
from tests.agents.test_controller import make_controller

Tensors = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("controller") / "whole.safetensors"
    make_controller().save(path)
    return path


def content(path: Path) -> tuple[Tensors, dict[str, str]]:
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata())  # noqa: SIM118 (not a mapping)


def refusal(path: Path) -> str:
    """Returns the one line that tells what is wrong with a file."""
    begun = time.perf_counter()
    with pytest.raises(InputError) as caught:
        Controller.load(path)
    assert time.perf_counter() - begun < 1.0
    assert "\n" not in str(caught.value)
    return str(caught.value)


def put(name: str, value: float, index: int = 0) -> Callable[[Tensors], None]:
    def change(tensors: Tensors) -> None:
        tensors[name].view(-1)[index] = value

    return change


def replace(name: str, make: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Tensors], None]:
    def change(tensors: Tensors) -> None:
        tensors[name] = make(tensors[name]).contiguous()

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("encoder.weight", float("nan")), "encoder.weight in {path} holds nan, expected finite numbers"),
        (put("log_std", float("inf")), "log_std in {path} holds inf, expected finite numbers"),
        (put("normaliser.var", -1.0), "normaliser.var in {path} is -1, expected 0 or more"),
        (put("normaliser.count", -4.0), "normaliser.count in {path} is -4, expected 0 or more"),
        (put("action_high", float("nan")), "expected finite ranges"),
        (put("action_high", -1.0), "expected finite ranges"),
        (put("action_low", 5.0), "expected finite ranges"),
        (replace("action_low", lambda low: low[1:]), "is torch.float32 of shape (5,), expected (6,) numbers"),
        (replace("action_low", lambda low: low.int()), "is torch.int32 of shape (6,), expected (6,) numbers"),
        (replace("log_std", lambda std: std.double()), "has dtype torch.float64, expected torch.float32"),
        (replace("log_std", lambda std: std.int()), "log_std in {path} has dtype torch.int32, expected torch.float32"),
        (replace("encoder.bias", lambda bias: bias[1:]), "encoder.bias in {path} has shape (7,), expected (8,)"),
        (lambda tensors: tensors.pop("value_head.bias"), "{path} lacks 'value_head.bias'"),
        (lambda tensors: tensors.pop("action_low"), "action_low in {path} is none, expected (6,) numbers"),
        (lambda tensors: tensors.update(more=torch.zeros(1)), "{path} holds an unknown 'more'"),
    ],
)  # fmt: skip
def test_tensors_that_are_no_policys_are_refused(
    whole: Path, tmp_path: Path, change: Callable[[Tensors], None], message: str
) -> None:
    tensors, metadata = content(whole)
    change(tensors)
    path = tmp_path / "altered.safetensors"
    save_file(tensors, path, metadata)
    assert message.format(path=path) in refusal(path)


@pytest.mark.parametrize(
    ("part", "name", "value", "message"),
    [
        ("spec", "hidden_size", 0, "spec in {path}: hidden_size is 0, expected at least 1"),
        ("spec", "hidden_size", 10**9, "spec in {path}: hidden_size is 1000000000, expected at most 16384"),
        ("spec", "hidden_size", 16_384, "encoder.weight in {path} has shape (8, 25), expected (16384, 25)"),
        ("spec", "obs_dim", 17.5, "spec in {path}: obs_dim is 17.5, expected a whole number"),
        ("spec", "cell", "LSTM", "spec in {path}: cell is 'LSTM', expected one of lstm, gru"),
        ("spec", "memory", "yes", "spec in {path}: memory is 'yes', expected True or False"),
        ("spec", "task_dim", -1, "spec in {path}: task_dim is -1, expected at least 0"),
        ("spec", "colour", "red", "spec in {path} holds an unknown 'colour'"),
        ("card", "family", 3, "card in {path}: family is 3, expected a text"),
        ("card", "family", "a" * 201, "expected at most 200 characters"),
        ("card", "horizon", -5, "card in {path}: horizon is -5, expected a number above 0"),
        ("card", "steps", -1, "card in {path}: steps is -1, expected a number from 0 to 1e+15"),
        ("card", "physics", "bullet", "card in {path}: physics is 'bullet', expected one of mujoco, warp"),
    ],
)
def test_a_card_that_says_what_cannot_be_is_refused(
    whole: Path, tmp_path: Path, part: str, name: str, value: Any, message: str
) -> None:
    tensors, metadata = content(whole)
    about = json.loads(metadata["about"])
    about[part][name] = value
    path = tmp_path / "altered.safetensors"
    save_file(tensors, path, {**metadata, "about": json.dumps(about)})
    assert message.format(path=path) in refusal(path)


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ("", "{path} does not say what it holds"),
        ("[" * 1_000_000, "{path} does not say what it holds: recursion limit exceeded"),
        ("[1]", "{path} says [1] of what it holds, expected spec and card"),
        ('{"spec": {}, "card": {}}', "spec in {path} lacks obs_dim"),
        ('{"spec": [], "card": {}}', "spec in {path} is [], expected an object"),
        ('{"spec": {"obs_dim": NaN}, "card": {}}', "{path} does not say what it holds"),
    ],
)
def test_what_says_nothing_of_a_controller_is_refused(whole: Path, tmp_path: Path, about: str, message: str) -> None:
    tensors, metadata = content(whole)
    path = tmp_path / "altered.safetensors"
    save_file(tensors, path, {**metadata, "about": about})
    assert message.format(path=path) in refusal(path)


def test_what_is_no_controller_is_refused(whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(whole.read_bytes()[:-100])
    assert f"{path} is truncated" in refusal(path)
    save_file({"a": torch.zeros(1)}, path)
    assert refusal(path) == f"{path} is a file without a format, expected limbshift-controller-2"
    assert "no controller at" in refusal(tmp_path / "missing.safetensors")
    path.write_bytes(b"")
    assert "is truncated or no .safetensors file" in refusal(path)
    path.write_bytes((100 * 2**20).to_bytes(8, "little") + b" " * 100 * 2**20)
    assert refusal(path).endswith("its header would have 104,857,600 bytes")


class Trap:
    """A pickle that would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_a_pickle_in_disguise_is_not_executed(tmp_path: Path) -> None:
    path, sprung = tmp_path / "a.safetensors", tmp_path / "sprung"
    path.write_bytes(pickle.dumps(Trap(sprung)))
    assert "no .safetensors file" in refusal(path)
    torch.save({"action_low": Trap(sprung)}, path)
    assert "no .safetensors file" in refusal(path)
    assert not sprung.exists()


def test_flipped_bits_are_refused_or_leave_a_controller_that_acts(whole: Path, tmp_path: Path) -> None:
    """A number of a weight may be another: that no file can tell. What is loaded is finite and acts."""
    generator = torch.Generator().manual_seed(0)
    path, refused = tmp_path / "flipped.safetensors", 0
    for _ in range(100):
        data = bytearray(whole.read_bytes())
        for place in torch.randint(len(data) * 8, (20,), generator=generator).tolist():
            data[place // 8] ^= 1 << place % 8
        path.write_bytes(data)
        try:
            controller = Controller.load(path)
        except InputError as error:
            assert "\n" not in str(error)  # noqa: PT017 (some are accepted)
            refused += 1
        else:
            action = controller.act(torch.zeros(1, 17), torch.zeros(1), torch.ones(1))
            assert action.isfinite().all()
    assert refused > 50
    with pytest.raises(ControllerError):
        Controller.load(tmp_path)


@pytest.fixture(scope="module")
def attending(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a transformer whose memory makes its head's weights."""
    path = tmp_path_factory.mktemp("controller") / "attending.safetensors"
    make_controller(cell="transformer", head="hyper").save(path)
    return path


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"context": 0}, "spec in {path}: context is 0, expected at least 1 for a transformer"),
        ({"context": -1}, "spec in {path}: context is -1, expected at least 0"),
        ({"context": 10**9}, "spec in {path}: context is 1000000000, expected at most 16384"),
        ({"context": "all"}, "spec in {path}: context is 'all', expected a whole number"),
        ({"hidden_size": 12}, "spec in {path}: hidden_size is 12, expected a multiple of 8 for a transformer"),
        ({"head": "deep"}, "spec in {path}: head is 'deep', expected one of linear, hyper"),
        ({"head": "linear"}, "action_head.bias in {path} has shape (54,), expected (6,)"),
        ({"cell": "gru"}, "spec in {path}: context is 2, expected 0 for a cell that is gru"),
        ({"cell": "gru", "context": 0}, "recurrent.weight_hh_l0 in {path} is none, expected (24, 8)"),
    ],
)  # fmt: skip
def test_a_network_that_cannot_be_is_refused(
    attending: Path, tmp_path: Path, given: dict[str, Any], message: str
) -> None:
    tensors, metadata = content(attending)
    about = json.loads(metadata["about"])
    about["spec"] |= given
    path = tmp_path / "altered.safetensors"
    save_file(tensors, path, {**metadata, "about": json.dumps(about)})
    assert refusal(path) == message.format(path=path)


@pytest.mark.parametrize(
    ("spec", "shown", "refused"),
    [
        ({"hidden_size": 12_000}, {"encoder.weight": (12_000, 25)}, "recurrent.blocks.0.query_key_value.weight"),
        (
            {"hidden_size": 256, "action_dim": 16_384},
            {
                "encoder.weight": (256, 16_403),
                "recurrent.blocks.0.query_key_value.weight": (768, 256),
                "action_low": (16_384,),
                "action_high": (16_384,),
            },
            "action_head.weight",
        ),
    ],
    ids=["a wide transformer", "a head of many actions"],
)
def test_what_a_file_says_of_its_sizes_takes_no_memory(
    attending: Path, tmp_path: Path, spec: dict[str, int], shown: dict[str, tuple[int, ...]], refused: str
) -> None:
    """Such networks would have more than 4 GB; the file shows a part of one, and not what would be largest."""
    tensors, metadata = content(attending)
    about = json.loads(metadata["about"])
    about["spec"] |= spec
    tensors |= {name: torch.full(shape, -1.0 if name == "action_low" else 1.0) for name, shape in shown.items()}
    path = tmp_path / "altered.safetensors"
    save_file(tensors, path, {**metadata, "about": json.dumps(about)})
    with patch("limbshift.agents.controller.RecurrentActorCritic") as made:
        assert refusal(path).startswith(f"{refused} in {path} has shape ")
    made.assert_not_called()


def test_what_older_files_do_not_tell_is_as_it_was(whole: Path, tmp_path: Path) -> None:
    tensors, metadata = content(whole)
    about = json.loads(metadata["about"])
    for newer in ("head", "context"):
        del about["spec"][newer]
    path = tmp_path / "older.safetensors"
    save_file(tensors, path, {**metadata, "about": json.dumps(about)})
    assert Controller.load(path).policy.spec == Controller.load(whole).policy.spec
