"""Metrics as TensorBoard reads them: files of framed records, each an event of protocol buffers."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tensorboardX.proto import event_pb2

from limbshift.experiments.cli import main
from limbshift.experiments.logs.make import make_logger
from limbshift.experiments.logs.metrics_file import read_metrics
from limbshift.experiments.logs.weights_and_biases import WandbRun

NO_WANDB = WandbRun("a run", "disabled")


def events(run_dir: Path) -> Iterator[Any]:
    """The events of all files: length (8 bytes), its checksum (4), the event, and its checksum (4)."""
    for path in sorted((run_dir / "tensorboard").iterdir()):
        content, position = path.read_bytes(), 0
        while position < len(content):
            (length,) = struct.unpack("<Q", content[position : position + 8])
            yield vars(event_pb2)["Event"].FromString(content[position + 12 : position + 12 + length])
            position += 16 + length


def test_scalars_and_tables_are_there_beside_the_file(tmp_path: Path) -> None:
    logger = make_logger(tmp_path, "tensorboard", NO_WANDB, config={})
    logger.log({"train/return": 12.5}, 100)
    logger.log_table("heldout/tasks", ["mass", "return"], [[0.5, 12.0]], step=100)
    logger.log_video("rollout", tmp_path / "none.mp4", 100)
    logger.flush()
    logger.close()
    found = [(event.step, value.tag, value) for event in events(tmp_path) for value in event.summary.value]
    assert [(step, tag) for step, tag, _ in found] == [(100, "train/return"), (100, "heldout/tasks/text_summary")]
    assert found[0][2].simple_value == 12.5
    assert found[1][2].tensor.string_val == [b"| mass | return |\n|---|---|\n| 0.5 | 12 |"]
    assert read_metrics(tmp_path / "metrics.jsonl") == [{"step": 100, "train/return": 12.5}]
    resumed = make_logger(tmp_path, "tensorboard", NO_WANDB, config={}, resume_at=100)
    resumed.log({"train/return": 13.0}, 200)
    resumed.close()
    starts = [event.step for event in events(tmp_path) if event.session_log.status == 1]
    assert starts == [101]  # what was logged from there on before is to be left out


def test_without_tensorboardx_it_is_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("limbshift.experiments.logs.make.find_spec", lambda name: None)
    run = tmp_path / "run"
    assert main(["train", "HalfCheetahDir", "--log", "tensorboard", "--run-dir", str(run)]) == 2
    assert capsys.readouterr().err == "limbshift: log tensorboard needs tensorboardX: pip install '.[tensorboard]'\n"
    assert not run.exists()


def test_a_disk_that_is_full_is_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    logger = make_logger(tmp_path, "tensorboard", NO_WANDB, config={})
    logger.log({"loss": 1.0}, 1)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    own = vars(logger)["_loggers"][1]
    vars(own)["_file"].write_event = full
    for step in range(2, 50):
        logger.log({"loss": 1.0}, step)
    logger.close()
    (record,) = (each for each in caplog.records if each.name.endswith("tensorboard"))
    assert record.getMessage().startswith("TensorBoard's file failed (No space left on device); training goes on")
    assert len(read_metrics(tmp_path / "metrics.jsonl")) == 49
