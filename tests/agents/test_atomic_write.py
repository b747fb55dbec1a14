"""Files that are replaced: their modes, and that a failure leaves what was there."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from limbshift.agents.atomic_write import replacing


@pytest.fixture
def umask() -> Iterator[int]:
    """A umask that keeps a file from all but its owner."""
    before = os.umask(0o077)
    yield 0o077
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def write(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text)


@pytest.mark.parametrize(("mask", "expected"), [(0o077, 0o600), (0o022, 0o644), (0o002, 0o664)])
def test_a_new_file_honours_the_umask_as_open_does(umask: int, tmp_path: Path, mask: int, expected: int) -> None:
    os.umask(mask)
    write(tmp_path / "new.json", "{}")
    (tmp_path / "opened.json").open("w").close()
    assert mode(tmp_path / "new.json") == mode(tmp_path / "opened.json") == expected


def test_a_replaced_file_keeps_its_mode(umask: int, tmp_path: Path) -> None:
    path = tmp_path / "shared.json"
    path.write_text("old")
    path.chmod(0o664)
    write(path, "new")
    assert path.read_text() == "new"
    assert mode(path) == 0o664


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    path.write_text("old")

    def fail_amid_writing() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise ArithmeticError

    with pytest.raises(ArithmeticError):
        fail_amid_writing()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
