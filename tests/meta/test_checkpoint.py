"""The checkpoints of a training: which are kept, which is taken, and what a failure leaves."""

import os
from pathlib import Path
from typing import NoReturn

import pytest
import torch

from limbshift.agents.atomic_write import remove_leftovers
from limbshift.envs.errors import InputError
from limbshift.meta.checkpoint import CheckpointError, Checkpoints


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    """Those after 10, 20, 30 and 40 steps, of which that after 20 was the best."""
    made = Checkpoints(tmp_path / "checkpoint.pt", settings={"seed": "0"})
    for steps in (10, 20, 30, 40):
        made.save({"steps": steps}, steps, best=steps == 20)
    return made


def names(checkpoints: Checkpoints) -> list[str]:
    return sorted(path.name for path in checkpoints.newest.parent.iterdir())


KEPT = ["checkpoint-20.pt", "checkpoint-30.pt", "checkpoint-40.pt", "checkpoint-best.pt", "checkpoint.pt"]


def test_the_last_three_and_the_best_are_kept(checkpoints: Checkpoints) -> None:
    assert names(checkpoints) == KEPT
    for steps in (50, 60, 70):
        checkpoints.save({"steps": steps}, steps)
    assert names(checkpoints)[:3] == ["checkpoint-50.pt", "checkpoint-60.pt", "checkpoint-70.pt"]
    assert Checkpoints(checkpoints.best, settings={"seed": "0"}).load() == {"steps": 20}
    assert checkpoints.load() == {"steps": 70}


def test_a_damaged_one_is_passed_over_with_one_line(checkpoints: Checkpoints) -> None:
    for name in ("checkpoint.pt", "checkpoint-40.pt"):  # two names of one file
        (checkpoints.newest.with_name(name)).write_bytes(b"PK")
    told = list[str]()
    assert checkpoints.load(warn=told.append) == {"steps": 30}
    assert len(told) == 1
    assert told[0].startswith(f"{checkpoints.newest} is broken, expected what a training saved: ")
    assert told[0].endswith(". Going on from checkpoint-30.pt.")
    assert "\n" not in told[0]
    assert checkpoints.last_good() == checkpoints.newest.with_name("checkpoint-30.pt")


def test_one_that_does_not_fit_is_passed_over_too(checkpoints: Checkpoints) -> None:
    def check(state: dict[str, int]) -> None:
        if state["steps"] > 20:
            raise InputError("too far")

    told = list[str]()
    assert checkpoints.load(check, told.append) == {"steps": 20}
    assert told == [f"{checkpoints.newest} cannot be gone on from: too far. Going on from checkpoint-20.pt."]


def test_where_none_is_sound_the_newest_is_named(checkpoints: Checkpoints) -> None:
    for path in checkpoints.newest.parent.iterdir():
        path.write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"checkpoint\.pt is broken"):
        checkpoints.load()
    assert checkpoints.last_good() is None


def test_a_future_that_was_left_is_removed(checkpoints: Checkpoints) -> None:
    """As after going on from the one before a damaged one."""
    checkpoints.save({"steps": 35}, 35)
    assert [name for name in names(checkpoints) if name[-4].isdigit()] == [
        f"checkpoint-{steps}.pt" for steps in (20, 30, 35)
    ]
    assert checkpoints.load() == {"steps": 35}


def test_without_hard_links_there_are_copies(checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: object) -> NoReturn:
        raise PermissionError

    monkeypatch.setattr(os, "link", link)
    checkpoints.save({"steps": 50}, 50)
    assert checkpoints.load() == {"steps": 50}
    assert checkpoints.newest.stat().st_nlink == 1


@pytest.mark.parametrize("failing", ["write_bytes", "replace"])
def test_a_full_disk_leaves_what_was_there(
    checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    def full(*_: object) -> NoReturn:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Path, failing, full)
    with pytest.raises(OSError, match="No space left"):
        checkpoints.save({"steps": 50}, 50)
    assert names(checkpoints) == KEPT
    assert checkpoints.load() == {"steps": 40}


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    kept = [".lock", ".checkpoint.pt", ".checkpoint-1234.pt", "checkpoint-0123456789abcdef.pt"]
    for name in (*kept, ".checkpoint-0123456789abcdef.pt", ".config-fedcba9876543210.json"):
        (tmp_path / name).touch()
    remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)


def test_a_checkpoint_is_on_the_disk_before_it_has_its_name(
    checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files and folders in turn: file, rename, folder."""
    calls = list[str]()
    flush, rename = os.fsync, Path.replace

    def fsync(handle: int) -> None:
        calls.append("folder" if os.path.isdir(f"/proc/self/fd/{handle}") else "file")
        flush(handle)

    def replace(path: Path, target: Path) -> Path:
        calls.append("rename")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    checkpoints.save({"weights": torch.ones(2)}, 50)
    assert calls == ["file", "rename", "folder"] * 2  # its own name, and that of the newest
