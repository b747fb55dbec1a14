"""What is no checkpoint of a run, or is one that was altered: each is refused in one line, at once."""

import copy
import hashlib
import io
import pickle
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from limbshift.envs.catalogue import make_family
from limbshift.experiments.cli import main
from limbshift.experiments.configs import TrainConfig
from limbshift.experiments.runs.session import Session
from limbshift.experiments.runs.trainers import trainer_of
from limbshift.meta.checkpoint import FORMAT, CheckpointError, save_checkpoint

TRIAL_STEPS = 4 * 2 * 5
State = dict[str, Any]
NAN, INF = float("nan"), float("inf")


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """A run that has been trained for three iterations."""
    run = tmp_path_factory.mktemp("runs")
    config = TrainConfig(
        "HalfCheetahDir", num_envs=4, episodes=2, horizon=5, hidden_size=8, gamma=0.9, steps=3 * TRIAL_STEPS
    )
    family = make_family("HalfCheetahDir")
    session = Session(config, family, trainer_of(config, family, torch.device("cpu")), run=run, console=Console())
    for _ in range(3):
        session.trainer.iterate(0.0)
    session.best = -1.5
    return session


def load(session: Session) -> State:
    return session.checkpoints.load(session._check)


def wrong(session: Session) -> str:
    """Why the newest checkpoint is refused, which takes less than a second."""
    start = time.monotonic()
    with pytest.raises(CheckpointError) as raised:
        load(session)
    assert time.monotonic() - start < 1.0
    message = str(raised.value)
    assert "\n" not in message
    assert len(message) < 400
    assert message.startswith(str(session.checkpoints.newest))
    return message


def setting(*path: str | int, to: object) -> Callable[[State], State]:
    """Replaces what is at a path into the state."""

    def alter(state: State) -> State:
        place: Any = state
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = to
        return state

    return alter


def changing(*path: str | int, by: Callable[[Any], Any]) -> Callable[[State], State]:
    """Replaces what is at a path by a function of it."""

    def alter(state: State) -> State:
        place: Any = state
        for key in path:
            place = place[key]
        return setting(*path, to=by(place))(state)

    return alter


def without(*path: str | int) -> Callable[[State], State]:
    def alter(state: State) -> State:
        place: Any = state
        for key in path[:-1]:
            place = place[key]
        del place[path[-1]]
        return state

    return alter


def poisoned(value: float) -> Callable[[torch.Tensor], torch.Tensor]:
    """Puts a value at a tensor's first place."""

    def poison(tensor: torch.Tensor) -> torch.Tensor:
        tensor = tensor.clone()
        tensor.view(-1)[0] = value
        return tensor

    return poison


MOMENTS = ("optimizer", "state", 0)
GROUP = ("optimizer", "param_groups", 0)
ALTERATIONS: dict[str, tuple[Callable[[State], Any], str]] = {
    "empty": (lambda state: {}, "state has no 'policy', expected one"),
    "no weights": (without("policy"), "state has no 'policy'"),
    "no weight": (without("policy", "encoder.weight"), "state.policy has no 'encoder.weight'"),
    "no optimiser": (without("optimizer"), "state has no 'optimizer'"),
    "no generator": (without("generator"), "state has no 'generator'"),
    "no progress": (without("progress"), "state has no 'progress'"),
    "no scaler": (without("scaler", "count"), "state.scaler has no 'count'"),
    "a stranger": (setting("colour", to="red"), "state has 'colour', expected nothing of that name"),
    "weights as a list": (setting("policy", to=[1.0]), "state.policy is a list of 1, expected a dict"),
    "other width": (changing("policy", "encoder.weight", by=lambda old: old[:4]), "of shape (4, 25), expected torch"),
    "other axes": (changing("policy", "log_std", by=lambda old: old[None]), "of shape (1, 6), expected torch.float32"),
    "other dtype": (changing("policy", "log_std", by=torch.Tensor.double), "is torch.float64 of shape (6,), expected"),
    "sparse": (changing("policy", "encoder.weight", by=torch.Tensor.to_sparse), "encoder.weight is torch.float32"),
    "a number for a tensor": (setting("policy", "log_std", to=1.0), "log_std is 1.0, expected torch.float32 of shape"),
    "NaN weights": (changing("policy", "encoder.weight", by=poisoned(NAN)), "encoder.weight holds nan, expected fin"),
    "infinite weights": (changing("task_head", "bias", by=poisoned(INF)), "state.task_head.bias holds inf, expected"),
    "NaN normaliser": (changing("policy", "normaliser.mean", by=poisoned(NAN)), "normaliser.mean holds nan"),
    "negative variance": (changing("policy", "normaliser.var", by=poisoned(-1.0)), "normaliser.var holds -1, expected"),
    "negative count": (changing("policy", "normaliser.count", by=poisoned(-4.0)), "normaliser.count holds -4, expecte"),
    "NaN moments": (changing(*MOMENTS, "exp_avg", by=poisoned(NAN)), "optimizer.state.0.exp_avg holds nan"),
    "negative moments": (changing(*MOMENTS, "exp_avg_sq", by=poisoned(-1.0)), "exp_avg_sq holds -1, expected numbers"),
    "negative steps": (setting(*MOMENTS, "step", to=torch.tensor(-3.0)), "optimizer.state.0.step holds -3"),
    "other moments": (setting(*MOMENTS, "exp_avg", to=torch.zeros(2, 2)), "exp_avg is torch.float32 of shape (2, 2)"),
    "no moments": (setting("optimizer", "state", to={}), "optimizer.state has no 0, expected one"),
    "moments too few": (without("optimizer", "state", 3), "optimizer.state has no 3, expected one"),
    "two groups": (changing("optimizer", "param_groups", by=lambda old: old * 2), "param_groups is a list of 2"),
    "no groups": (setting("optimizer", "param_groups", to=[]), "param_groups is a list of 0, expected a list of one"),
    "other group": (changing(*GROUP, "params", by=lambda old: old[:-1]), "params is a list of 12, expected a list of"),
    "other betas": (setting(*GROUP, "betas", to=(0.5, 0.5)), "param_groups[0].betas is a tuple of 2, expected a tuple"),
    "NaN rate": (setting(*GROUP, "lr", to=NAN), "param_groups[0].lr is nan, expected a number from 0"),
    "negative rate": (setting(*GROUP, "lr", to=-1.0), "param_groups[0].lr is -1.0, expected a number from 0"),
    "no rate": (without(*GROUP, "lr"), "param_groups[0].lr is None, expected a number"),
    "negative steps so far": (setting("progress", to=(-40, 1.0, 3)), "progress[0] is -40, expected a whole number"),
    "a part of a step": (setting("progress", to=(40.5, 1.0, 3)), "progress[0] is 40.5, expected a whole number"),
    "huge steps": (setting("progress", to=(10**30, 1.0, 3)), "progress[0] is a number of 100 bits, expected a whole"),
    "NaN seconds": (setting("progress", to=(120, NAN, 3)), "progress[1] is nan, expected a number from 0"),
    "other steps": (setting("progress", to=(80, 1.0, 3)), "progress is of 80 steps in 3 iterations, expected 40 in ea"),
    "progress too short": (setting("progress", to=(120, 1.0)), "progress is a tuple of 2, expected a tuple of 3"),
    "a truth for a number": (setting("scaler", "count", to=True), "scaler.count is True, expected a whole number"),
    "negative reward count": (setting("scaler", "count", to=-1), "state.scaler.count is -1, expected a whole number"),
    "NaN reward moments": (changing("scaler", "moments", by=poisoned(NAN)), "scaler.moments holds nan"),
    "generator too short": (changing("generator", by=lambda old: old[:100]), "generator has 100 bytes, expected 5,056"),
    "generator of floats": (changing("generator", by=torch.Tensor.float), "generator is torch.float32 of shape"),
    "generator of zeros": (changing("generator", by=torch.zeros_like), "generator holds no state of one: "),
    "negative tasks": (changing("task_index", by=lambda old: old - 400), "task_index begins with [-392, -391, "),
    "huge tasks": (changing("task_index", by=lambda old: old + 2**40), "task_index begins with ["),
    "tasks out of order": (changing("task_index", by=lambda old: old.flip(0)), "task_index begins with [11, 10, 9, 8]"),
    "negative share": (setting("annealed", to=-0.5), "state.annealed is -0.5, expected a number from 0"),
    "session as a list": (setting("session", to=[1]), "session is a list of 1, expected a dict"),
    "best as a tensor": (setting("session", "best", to=torch.zeros(3)), "session.best is torch.float32 of shape (3,)"),
    "look in no time": (setting("session", "looks", to=NAN), "session.looks is nan, expected a number from 0"),
    "best of nothing": (setting("session", "best", to=[torch.tensor(NAN).double()]), "session.best[0] holds nan"),
}


@pytest.mark.parametrize(("alter", "message"), ALTERATIONS.values(), ids=ALTERATIONS)
def test_an_altered_state_is_refused_in_one_line(session: Session, alter: Callable[[State], Any], message: str) -> None:
    state = alter(copy.deepcopy(session.state_dict()))
    save_checkpoint(session.checkpoints.newest, state, settings=session.checkpoints._settings)
    assert message in wrong(session)


def test_what_was_not_altered_is_taken(session: Session) -> None:
    save_checkpoint(session.checkpoints.newest, session.state_dict(), settings=session.checkpoints._settings)
    assert load(session)["progress"][0] == 3 * TRIAL_STEPS


def test_a_checkpoint_of_the_first_version_is_taken(session: Session) -> None:
    state = session.state_dict()
    del state["session"], state["annealed"]
    torch.save(state, session.checkpoints.newest)
    loaded = load(session)
    other = copy.copy(session)
    other._load(loaded)
    assert (other.looks.last, other.best, other.trainer.annealed) == (session.trainer.progress.seconds, None, 0.0)


@pytest.mark.parametrize("place", [0, 30, 100, 300, 1000, 5000, -2000, -60, -1])
def test_a_flipped_bit_is_noticed(session: Session, place: int) -> None:
    newest = session.checkpoints.newest
    save_checkpoint(newest, session.state_dict(), settings=session.checkpoints._settings)
    content = bytearray(newest.read_bytes())
    content[place] ^= 4
    newest.write_bytes(content)
    wrong(session)


class Trap:
    """Makes a file where it is unpickled."""

    def __init__(self, sprung: Path) -> None:
        self.sprung = sprung

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.sprung,)


def zip_bomb() -> bytes:
    """A gigabyte of zeros, well packed."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}q\x00.")
        with archive.open("archive/data/0", "w") as data:
            for _ in range(64):
                data.write(bytes(2**20))
    return content.getvalue()


def with_checksum(kept: bytes) -> bytes:
    return FORMAT + hashlib.sha256(kept).hexdigest().encode() + b" " + kept


def saved(value: object) -> bytes:
    content = io.BytesIO()
    torch.save(value, content)
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda trap: b"", "it begins with b''"),
        (lambda trap: pickle.dumps(trap), "it begins with b'\\x80"),
        (lambda trap: saved(trap), "Weights only load failed"),
        (lambda trap: saved([1, 2]), "it holds a list, not a dict"),
        (lambda trap: saved(torch.zeros(3)), "it holds a Tensor, not a dict"),
        (lambda trap: FORMAT + b"x" * 100_000_000, "it has 100,000,021 bytes, and can have "),
        (lambda trap: with_checksum(b"[" * 100_000), "is broken, expected what a training saved"),
        (lambda trap: with_checksum(b'{"version": 3}\n'), "its version is 3, not 2 or 1"),
        (lambda trap: with_checksum(b"[]\n"), "its version is [], not 2 or 1"),
        (lambda trap: FORMAT + b'{"version": 2}\n', "its content is not that of which its checksum was taken"),
        (lambda trap: b"PK" + bytes(1000), "is broken, expected what a training saved"),
        (lambda trap: zip_bomb(), "it has 67,108,"),
    ],
)
def test_what_is_no_checkpoint_is_refused_unread(
    session: Session, tmp_path: Path, content: Callable[[Trap], bytes], message: str
) -> None:
    session.checkpoints.newest.write_bytes(content(Trap(tmp_path / "sprung")))
    assert message in wrong(session)
    assert not (tmp_path / "sprung").exists()


def test_a_checkpoint_of_another_run_is_refused(session: Session) -> None:
    others = {"seed": "7", "an_option_of_later": "1"}
    save_checkpoint(session.checkpoints.newest, session.state_dict(), settings=others)
    assert wrong(session).endswith("checkpoint.pt is of a training whose seed is 7, expected 0 as in its directory")
    save_checkpoint(session.checkpoints.newest, session.state_dict(), settings={**others, "seed": "0"})
    session.checkpoints.load(session._check)


def test_the_command_refuses_in_one_line_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    tiny = ["--num-envs", "4", "--episodes", "2", "--horizon", "5", "--hidden-size", "8", "--wandb", "disabled"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("limbshift.experiments.runs.session.render_policy", lambda *_, **__: False)
        assert main(["train", "HalfCheetahDir", "--run-dir", str(run), "--steps", "1", *tiny]) == 0
    for path in run.glob("checkpoint*.pt"):
        path.write_bytes(path.read_bytes()[:-1])
    capsys.readouterr()
    assert main(["train", "--run-dir", str(run), "--resume", "--steps", "80"]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"limbshift: {run}/checkpoint.pt is broken, expected what a training saved: ")
    assert captured.err.count("\n") == 1
    assert not captured.out
