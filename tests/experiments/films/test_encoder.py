"""The ffmpeg process that encodes a video, in place of which a script is run."""

import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import numpy as np
import pytest

from limbshift.experiments.films.video import VideoError, _Encoder

FRAME = np.zeros((64, 64, 3), np.uint8)
FRAMES = 20  # more bytes than a pipe holds
CHATTER = "head -c 1000000 /dev/zero | tr '\\0' x >&2; echo >&2; "
"""A megabyte of complaints, more than a pipe holds, before the first frame is read."""


@pytest.fixture
def deadline() -> Iterator[None]:
    """Fails the test, rather than blocking the suite, where the encoder waits for ever."""

    def give_up(number: int, frame: FrameType | None) -> None:
        raise AssertionError("the encoder waits for an ffmpeg that waits for it")

    previous = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)


def encode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Encodes some frames by a shell script that stands for ffmpeg."""
    ffmpeg = tmp_path / "ffmpeg"
    ffmpeg.write_text(f"#!/bin/sh\n{script}\n")
    ffmpeg.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(ffmpeg))
    with _Encoder(tmp_path / "film.mp4", (64, 64), 20.0) as encoder:
        for _ in range(FRAMES):
            encoder.write(FRAME)


@pytest.mark.usefixtures("deadline")
def test_an_ffmpeg_that_complains_at_length_does_not_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encode(tmp_path, monkeypatch, CHATTER + f"cat > '{tmp_path / 'frames'}'")
    assert (tmp_path / "frames").stat().st_size == FRAMES * FRAME.nbytes


@pytest.mark.usefixtures("deadline")
def test_its_last_complaint_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(VideoError, match=r"^ffmpeg could not write the video: disk full$"):
        encode(tmp_path, monkeypatch, CHATTER + "cat >/dev/null; echo disk full >&2; exit 1")


def test_an_ffmpeg_that_is_not_there_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "none"))
    with pytest.raises(VideoError, match=r"^ffmpeg at .*/none cannot be run: No such file or directory$"):
        _Encoder(tmp_path / "film.mp4", (64, 64), 20.0)
