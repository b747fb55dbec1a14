"""Metrics on disk and in Weights & Biases, whatever state W&B is in."""

import json
import logging
import math
import os
import shutil
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import imageio.v3 as iio
import numpy as np
import pytest
import wandb
from wandb.proto import wandb_internal_pb2

from limbshift.envs.errors import ControllerError
from limbshift.experiments.cli import main
from limbshift.experiments.commands.evaluate import evaluate
from limbshift.experiments.configs import WandbMode
from limbshift.experiments.logs.logger import METRICS_FILE
from limbshift.experiments.logs.make import make_logger
from limbshift.experiments.logs.metrics_file import JsonlLogger, read_metrics
from limbshift.experiments.logs.weights_and_biases import RUN_ID_FILE, WandbRun, downloaded
from limbshift.experiments.runs.controllers import SHIPPED, find_controller
from tests.experiments.logs.wandb_server import ENTITY, PROJECT, RUN, wandb_server

METRICS = {"train/return": 12.5, "loss/value": 0.25}
FAKE_KEY = "0123456789" * 4


@pytest.fixture(autouse=True)
def no_wandb_account(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No key, setting or running service of the user's reaches the test, and none of the test's stays."""
    wandb.teardown()
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("NETRC", str(home / ".netrc"))
    for name in ("CONFIG", "CACHE", "DATA"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(home / name.lower()))
    monkeypatch.chdir(home)
    downloaded.cache_clear()
    yield
    wandb.teardown()


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Three black frames."""
    path = tmp_path / "rollout.mp4"
    iio.imwrite(path, np.zeros((3, 32, 32, 3), np.uint8), fps=10)
    return path


def wandb_records(path: Path) -> Iterator[Any]:
    """The records of a `.wandb` file, checksums verified: a LevelDB log with a header of its own.

    Header: ":W&B", magic 0xBEE1 and version as little-endian 16 and 8 bits. Then blocks of 32 KiB,
    the header counted in the first: chunks of checksum (4 bytes), length (2), type (1) and data; a
    block's last bytes are padding where no chunk's frame of 7 fits.
    """
    content = path.read_bytes()
    assert struct.unpack("<4sHB", content[:7]) == (b":W&B", 0xBEE1, 0)
    full, first, last = 1, 2, 4
    record_type = vars(wandb_internal_pb2)["Record"]  # Made at import, out of type checkers' sight.
    position, message = 7, b""
    while position < len(content):
        left_in_block = -position % 32768
        if left_in_block < 7 and position % 32768:
            position += left_in_block
            continue
        checksum, length, kind = struct.unpack("<IHB", content[position : position + 7])
        data = content[position + 7 : position + 7 + length]
        assert zlib.crc32(bytes([kind]) + data) == checksum
        message = data if kind in (full, first) else message + data
        if kind in (full, last):
            yield record_type.FromString(message)
        position += 7 + length


def offline_records(run_dir: Path) -> list[Any]:
    """The records of the offline run in `run_dir`; ends W&B's service, which may still be writing them."""
    wandb.teardown()
    (path,) = run_dir.glob("wandb/offline-run-*/run-*.wandb")
    return list(wandb_records(path))


def logged_rows(run_dir: Path) -> list[dict[str, Any]]:
    """What an offline run in `run_dir` logged, a dict for each call."""
    rows = []
    for record in offline_records(run_dir):
        if record.HasField("history"):
            row: dict[str, Any] = {}
            for item in record.history.item:
                name, *inner = item.nested_key  # ["loss"], or ["video", "path"] for a part of what was logged
                target = row.setdefault(name, {}) if inner else row
                target[inner[0] if inner else name] = json.loads(item.value_json)
            rows.append(row)
    return rows


def single_warning(caplog: pytest.LogCaptureFixture) -> str:
    """The one line that was logged, by us."""
    ours = [record for record in caplog.records if record.name == "limbshift.experiments.logs.weights_and_biases"]
    assert [record.levelno for record in ours] == [logging.WARNING]
    message = ours[0].getMessage()
    assert "\n" not in message
    return message


def train_a_little(run_dir: Path, mode: WandbMode, resume: bool = False) -> None:
    """Logs what a training would, at 100 and 200 steps, and closes."""
    asked = WandbRun("a run", mode, "a group", ("one", "two"))
    logger = make_logger(run_dir, "wandb", asked, config={"seed": 1}, resume_at=200 if resume else None)
    logger.log(METRICS, 100)
    logger.log(METRICS, 200)
    logger.close()


def test_metrics_are_one_json_object_per_line(tmp_path: Path) -> None:
    train_a_little(tmp_path, "disabled")
    lines = (tmp_path / METRICS_FILE).read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"step": 100, **METRICS}, {"step": 200, **METRICS}]
    assert read_metrics(tmp_path / METRICS_FILE) == [{"step": 100, **METRICS}, {"step": 200, **METRICS}]


def test_a_line_is_on_disk_before_the_logger_is_closed(tmp_path: Path) -> None:
    logger = JsonlLogger(tmp_path / METRICS_FILE)
    logger.log({"loss": 1.0}, 1)
    assert read_metrics(tmp_path / METRICS_FILE) == [{"step": 1, "loss": 1.0}]
    logger.close()


def test_what_is_not_finite_becomes_null(tmp_path: Path) -> None:
    float32: Any = np.float32(0.5)  # Which json itself refuses.
    logger = JsonlLogger(tmp_path / METRICS_FILE)
    logger.log({"nan": math.nan, "inf": math.inf, "minus": -math.inf, "float32": float32}, 1)
    logger.close()
    row = {"step": 1, "nan": None, "inf": None, "minus": None, "float32": 0.5}
    assert read_metrics(tmp_path / METRICS_FILE) == [row]


def test_resume_drops_the_half_written_line_and_appends(tmp_path: Path) -> None:
    path = tmp_path / METRICS_FILE
    path.write_text('{"step": 1, "loss": 3.0}\n{"step": 2, "lo')
    assert read_metrics(path) == [{"step": 1, "loss": 3.0}]
    logger = make_logger(tmp_path, "wandb", WandbRun("a run", "disabled"), config={}, resume_at=1)
    logger.log({"loss": 2.0}, 2)
    logger.close()
    assert path.read_text() == '{"step": 1, "loss": 3.0}\n{"step": 2, "loss": 2.0}\n'


@pytest.mark.parametrize("line", ["not json", "[1, 2]", '{"loss": 1.0}'])
def test_a_line_that_is_no_row_is_refused_by_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / METRICS_FILE
    path.write_text(f'{{"step": 1}}\n{line}\n{{"step": 3}}\n')
    with pytest.raises(ValueError, match=r"metrics\.jsonl, line 2: found .*, expected"):
        read_metrics(path)


@pytest.mark.parametrize("environment", [{}, {"WANDB_MODE": "disabled"}])
def test_disabled_never_imports_wandb(tmp_path: Path, environment: dict[str, str]) -> None:
    mode = "auto" if environment else "disabled"
    code = (
        "import sys; from pathlib import Path; from limbshift.experiments.logs.make import make_logger\n"
        "from limbshift.experiments.logs.weights_and_biases import WandbRun\n"
        f"logger = make_logger(Path({str(tmp_path)!r}), 'wandb', WandbRun('a run', {mode!r}), config={{}})\n"
        "logger.log({'loss': 1.0}, 1); logger.log_video('video', Path('none.mp4'), 1); logger.close()\n"
        "sys.exit('wandb' in sys.modules)\n"
    )
    paths = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[3])}
    subprocess.run([sys.executable, "-c", code], env=environment | paths, check=True)
    assert [path.name for path in tmp_path.iterdir()] == [METRICS_FILE]


def test_an_offline_run_holds_the_metrics_and_the_video(
    tmp_path: Path, video: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    logger = make_logger(
        tmp_path, "wandb", WandbRun("a run", "auto"), config={"family": "HalfCheetahDir"}
    )  # No key, so auto is offline.
    logger.log(METRICS, 100)
    logger.log({"loss/value": math.nan}, 200)
    many = {f"task/{i}": float(i) for i in range(1000)}
    logger.log(many, 200)  # Enough to go over the file's blocks of 32 KiB.
    logger.log_video("video/heldout", video, 200)
    logger.close()

    numbers, not_finite, with_many, with_video = logged_rows(tmp_path)
    assert {name: numbers[name] for name in (*METRICS, "env_steps")} == {**METRICS, "env_steps": 100}
    assert math.isnan(not_finite["loss/value"])
    assert {name: with_many[name] for name in many} == many
    assert with_video["env_steps"] == 200
    assert with_video["video/heldout"]["_type"] == "video-file"
    (files,) = tmp_path.glob("wandb/offline-run-*/files")
    assert (files / with_video["video/heldout"]["path"]).read_bytes() == video.read_bytes()

    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [row["step"] for row in read_metrics(tmp_path / METRICS_FILE)] == [100, 200, 200]


def test_the_run_carries_name_config_and_step_axis(tmp_path: Path) -> None:
    train_a_little(tmp_path, "offline")
    records = offline_records(tmp_path)
    (run,) = (record.run for record in records if record.HasField("run"))
    assert (run.project, run.display_name, run.run_id) == (
        "limbshift",
        "a run",
        (tmp_path / RUN_ID_FILE).read_text().strip(),
    )
    assert {item.key: item.value_json for item in run.config.update}["seed"] == "1"
    assert (run.run_group, run.job_type, list(run.tags)) == ("a group", "train", ["one", "two"])
    metrics = [record.metric for record in records if record.HasField("metric")]
    assert [metric.step_metric for metric in metrics if metric.glob_name == "*"] == ["env_steps"]


def test_an_offline_run_holds_the_table_of_tasks_and_the_controllers_folder(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / "controller.safetensors").write_bytes(b"weights")
    logger = make_logger(tmp_path, "wandb", WandbRun("a run", "offline"), config={})
    logger.log_table("heldout/tasks", ["mass", "return"], [[0.5, 12.0], [2.0, 7.0]], step=100)
    logger.log_controller(folder, {"family": "HalfCheetahDir"})
    shutil.rmtree(folder)
    logger.close()
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    records = offline_records(tmp_path)
    artifacts = {record.artifact.type: record.artifact for record in records if record.HasField("artifact")}
    artifact = artifacts["model"]
    assert (artifact.type, artifact.name) == ("model", f"controller-{(tmp_path / RUN_ID_FILE).read_text().strip()}")
    assert [entry.path for entry in artifact.manifest.contents] == ["controller.safetensors"]
    (row,) = (record.history for record in records if record.HasField("history"))
    table = {"/".join(item.nested_key): item.value_json for item in row.item}
    assert json.loads(table["heldout/tasks/_type"]) == "table-file"
    (kept,) = tmp_path.glob("wandb/offline-run-*/files/media/table/heldout/*.json")
    content = json.loads(kept.read_text())
    assert (content["columns"], content["data"]) == (["mass", "return"], [[0.5, 12.0], [2.0, 7.0]])


def test_resume_goes_on_with_the_same_run(tmp_path: Path) -> None:
    train_a_little(tmp_path, "offline")
    run_id = (tmp_path / RUN_ID_FILE).read_text().strip()
    train_a_little(tmp_path, "offline", resume=True)
    assert (tmp_path / RUN_ID_FILE).read_text().strip() == run_id
    assert len(list(tmp_path.glob(f"wandb/offline-run-*/run-{run_id}.wandb"))) == 2
    train_a_little(tmp_path, "offline")
    assert (tmp_path / RUN_ID_FILE).read_text().strip() != run_id


def test_a_run_that_the_program_has_open_is_left_alone(tmp_path: Path) -> None:
    theirs = wandb.init(mode="offline", dir=tmp_path, settings=wandb.Settings(silent=True, console="off"))
    run_dir = tmp_path / "ours"
    run_dir.mkdir()
    train_a_little(run_dir, "offline")
    assert wandb.run is theirs
    assert (run_dir / RUN_ID_FILE).read_text().strip() != theirs.id
    theirs.finish()


@pytest.mark.parametrize(
    ("flag", "variable", "key", "expected"),
    [
        ("auto", None, None, "offline"),
        ("auto", None, FAKE_KEY, "offline"),
        ("auto", "offline", FAKE_KEY, "offline"),
        ("auto", "online", FAKE_KEY, "online"),
        ("online", "offline", FAKE_KEY, "online"),
        ("offline", "online", FAKE_KEY, "offline"),
    ],
)
def test_the_mode_that_init_is_given(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    flag: WandbMode,
    variable: str | None,
    key: str | None,
    expected: str,
) -> None:
    given: dict[str, Any] = {}

    def init(**arguments: object) -> NoReturn:
        given.update(arguments)
        raise RuntimeError("that will do")

    monkeypatch.setattr(wandb, "init", init)
    for name, value in (("WANDB_MODE", variable), ("WANDB_API_KEY", key)):
        if value is not None:
            monkeypatch.setenv(name, value)
    train_a_little(tmp_path, flag)
    assert given["mode"] == expected


@pytest.mark.parametrize(("flag", "mode"), [("online", "online"), ("auto", "offline")])
def test_a_key_that_was_stored_by_wandb_login_is_used_where_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flag: WandbMode, mode: str
) -> None:
    modes: list[object] = []
    monkeypatch.setattr(wandb, "init", lambda **arguments: modes.append(arguments["mode"]))
    netrc = Path(os.environ["NETRC"])
    netrc.write_text(f"machine api.wandb.ai\n  login user\n  password {FAKE_KEY}\n")
    netrc.chmod(0o600)
    train_a_little(tmp_path, flag)
    assert modes == [mode]


def test_auto_follows_the_users_wandb_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Path(os.environ["WANDB_CONFIG_DIR"], "settings")
    settings.parent.mkdir()
    settings.write_text("[default]\nmode = disabled\n")
    monkeypatch.setenv("WANDB_API_KEY", FAKE_KEY)
    train_a_little(tmp_path, "auto")
    assert [path.name for path in tmp_path.iterdir()] == [METRICS_FILE]


@pytest.mark.parametrize("flag", ["online", "auto"])
def test_online_without_a_key_warns_and_never_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, flag: WandbMode
) -> None:
    monkeypatch.setattr("wandb.errors.term._sys_stdin_isatty", lambda: True)  # Where a prompt would be possible.
    monkeypatch.setattr("wandb.errors.term._sys_stderr_isatty", lambda: True)
    monkeypatch.setenv("WANDB_MODE", "online")
    train_a_little(tmp_path, flag)
    assert "found no API key, expected WANDB_API_KEY" in single_warning(caplog)
    assert len(read_metrics(tmp_path / METRICS_FILE)) == 2


def test_a_failing_init_is_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def init(**_: object) -> NoReturn:
        raise wandb.Error("the server is on holiday\nConsider another one")

    monkeypatch.setattr(wandb, "init", init)
    train_a_little(tmp_path, "offline")
    assert single_warning(caplog) == (
        "Weights & Biases could not start (the server is on holiday); "
        "training goes on, metrics go to metrics.jsonl only"
    )
    assert len(read_metrics(tmp_path / METRICS_FILE)) == 2


def test_an_impossible_wandb_mode_is_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WANDB_MODE", "sideways")
    train_a_little(tmp_path, "auto")
    assert "could not start (WANDB_MODE is sideways, expected online, offline" in single_warning(caplog)
    assert len(read_metrics(tmp_path / METRICS_FILE)) == 2


class FailingRun:
    """A W&B run that breaks down: on the named call, and on all that follow."""

    id = "abc"

    def __init__(self, breaks_on: str) -> None:
        self.breaks_on = breaks_on
        self.broken = False

    def define_metric(self, name: str, **_: object) -> None:
        assert not self.broken

    def log(self, row: dict[str, object]) -> None:
        self._call("video" if "video" in row else "log")

    def finish(self) -> None:
        self._call("finish")

    def _call(self, name: str) -> None:
        assert not self.broken, "called again after it failed"
        self.broken = name == self.breaks_on
        if self.broken:
            raise ConnectionResetError("connection lost")


@pytest.mark.parametrize(
    ("breaks_on", "outcome"),
    [
        ("log", "training goes on, metrics go to metrics.jsonl only"),
        ("video", "training goes on, metrics go to metrics.jsonl only"),
        ("finish", "what is not uploaded stays on disk, for `wandb sync`"),
    ],
)
def test_a_run_that_fails_on_the_way_is_one_warning(
    tmp_path: Path,
    video: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    breaks_on: str,
    outcome: str,
) -> None:
    monkeypatch.setattr(wandb, "init", lambda **_: FailingRun(breaks_on))
    logger = make_logger(tmp_path, "wandb", WandbRun("a run", "offline"), config={})
    logger.log(METRICS, 100)
    logger.log_video("video", video, 100)
    logger.log(METRICS, 200)
    logger.close()
    logger.close()
    assert single_warning(caplog) == f"Weights & Biases failed (connection lost); {outcome}"
    assert len(read_metrics(tmp_path / METRICS_FILE)) == 2


def test_a_server_out_of_reach_costs_seconds_not_the_training(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("limbshift.experiments.logs.weights_and_biases.INIT_SECONDS", 2.0)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # The discard port: nobody listens.
    monkeypatch.setenv("WANDB_API_KEY", FAKE_KEY)
    start = time.monotonic()
    train_a_little(tmp_path, "online")
    assert time.monotonic() - start < 20
    assert "127.0.0.1:9" in single_warning(caplog)
    assert len(read_metrics(tmp_path / METRICS_FILE)) == 2
    assert capfd.readouterr() == ("", "")


def test_a_controller_comes_from_a_run_of_wandb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = SHIPPED / "ReacherGoal"
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    with wandb_server(files) as address:
        monkeypatch.setenv("WANDB_BASE_URL", address)
        monkeypatch.setenv("WANDB_API_KEY", FAKE_KEY)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        name = f"wandb://{ENTITY}/{PROJECT}/{RUN}"
        assert evaluate(name, num_tasks=2, horizon=5).returns == evaluate("ReacherGoal", num_tasks=2, horizon=5).returns
        assert {path.name for path in find_controller(name).parent.iterdir()} == files.keys()
        wandb.teardown()
        with pytest.raises(
            ControllerError, match=r"^wandb://people/robots/none could not be downloaded \(.*\), expected"
        ):
            find_controller(f"wandb://{ENTITY}/{PROJECT}/none")


@pytest.mark.parametrize("address", ["wandb://", "wandb://a/b", "wandb://a/../c", "wandb://a/b/c/d", "wandb://a b/c/d"])
def test_what_is_no_address_of_a_run_is_refused(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", address]) == 2
    assert capsys.readouterr().err == f"limbshift: controller is {address}, expected wandb://ENTITY/PROJECT/RUN\n"


def test_without_key_or_network_a_controller_of_wandb_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "wandb://a/b/c"]) == 2
    assert "wandb://a/b/c needs a key of W&B's, expected WANDB_API_KEY" in capsys.readouterr().err
    wandb.teardown()
    monkeypatch.setattr("limbshift.experiments.logs.weights_and_biases.API_SECONDS", 2)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # The discard port: nobody listens.
    monkeypatch.setenv("WANDB_API_KEY", FAKE_KEY)
    assert main(["evaluate", "wandb://a/b/c"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("limbshift: wandb://a/b/c could not be downloaded (")
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "value"), [("WANDB_MODE", "nonsense"), ("WANDB_BASE_URL", "nonsense"), ("WANDB_API_KEY", "x")]
)
def test_odd_variables_of_wandb_are_one_line(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", FAKE_KEY)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("limbshift.experiments.logs.weights_and_biases.API_SECONDS", 2)
    monkeypatch.setenv(name, value)
    assert main(["evaluate", "wandb://a/b/c"]) == 2
    assert capsys.readouterr().err.startswith("limbshift: wandb://a/b/c could not be downloaded (")


@pytest.mark.parametrize("tag", ["", "t" * 65])
def test_a_tag_that_wandb_would_refuse_is_refused(tag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "AntDir", "--wandb-tags", tag]) == 2
    assert f"wandb_tags holds one of {len(tag)} letters, expected 1 to 64" in capsys.readouterr().err
