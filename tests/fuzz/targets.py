"""What is fed with bytes: each takes them, or says in one line why not; anything else is a fault."""

import hashlib
import json
import shlex
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic_core import from_json

from limbshift.agents.controller import Controller
from limbshift.agents.controller_file import ControllerCard
from limbshift.agents.recurrent import PolicySpec, RecurrentActorCritic
from limbshift.envs.catalogue import make_family
from limbshift.envs.errors import InputError
from limbshift.envs.mjcf.source import MAIN, MjcfSource
from limbshift.experiments.cli import parse
from limbshift.experiments.comparison.training_run import read_run
from limbshift.experiments.configs import TrainConfig
from limbshift.experiments.runs.directory import CONFIG
from limbshift.experiments.runs.presets import OURS, Preset, preset_arguments, save_preset
from limbshift.experiments.runs.resume import as_json, read_config
from limbshift.meta.checkpoint import FORMAT, load_checkpoint, save_checkpoint
from limbshift.meta.diverged_trial import DivergedTrial

FOLDER = Path(tempfile.mkdtemp(prefix="limbshift-fuzz-"))
FAMILY = make_family("HalfCheetahHardware")
POLICY = RecurrentActorCritic(PolicySpec(obs_dim=2, action_dim=1, hidden_size=2))
CARD = ControllerCard("ReacherGoal", "default", 2, 10)


def feed_controller(data: bytes) -> None:
    """A .safetensors file; what is taken acts on finite numbers."""
    controller = Controller.load(written("a.safetensors", data))
    spec = controller.policy.spec
    if spec.task_dim == 0 and spec.sees_reward and spec.memory:
        action = controller.act(torch.zeros(1, spec.obs_dim), torch.zeros(1), torch.ones(1))
        assert action.isfinite().all()


def feed_checkpoint(data: bytes) -> None:
    """A training's state, under the checksum that is right for it, which no search would find."""
    checksum = hashlib.sha256(data).hexdigest().encode()
    load_checkpoint(written("checkpoint.pt", FORMAT + checksum + b" " + data))


def feed_config(data: bytes) -> None:
    """A run's settings, which are written again as they were read."""
    config = read_config(written(CONFIG, data).parent)
    again = written(CONFIG, json.dumps(as_json(config, FOLDER)).encode())
    assert read_config(again.parent).num_envs == config.num_envs


def feed_preset(data: bytes) -> None:
    """Settings that `tune` found."""
    arguments = preset_arguments(written("preset.json", data))
    assert all(argument.startswith("--") for argument in arguments)


def feed_task(data: bytes) -> None:
    """A task that is set by hand, as JSON."""
    try:
        task = from_json(data, allow_inf_nan=True)
    except ValueError:
        return
    assert len(FAMILY.task_space.row(task)) == len(FAMILY.parameters)


def feed_command(data: bytes) -> None:
    """A command line, which is parsed and not run."""
    try:
        arguments = shlex.split(data.decode(errors="replace"))
    except ValueError:
        return
    if not {"-h", "--help"} & set(arguments):
        parse(arguments)


def feed_result(data: bytes) -> None:
    """A run's file of a comparison."""
    read_run(written("rl2-0.json", data))


def feed_robot(data: bytes) -> None:
    """The archive of a robot; it is not compiled."""
    MjcfSource.read(written("robot.zip", data))


def feed_dump(data: bytes) -> None:
    """A trial that diverged."""
    DivergedTrial.load(written("a.safetensors", data))


def written(name: str, data: bytes) -> Path:
    """Returns a file of these bytes."""
    path = FOLDER / name
    path.write_bytes(data)
    return path


def refused(target: Callable[[bytes], None], data: bytes) -> bool:
    """Feeds a target; returns whether it said, in one line, why it does not take the bytes."""
    said = ""
    try:
        target(data)
    except InputError as error:
        said = str(error)
    assert "\n" not in said
    return bool(said)


def wholes() -> Mapping[str, bytes]:
    """Returns for each target bytes that it takes, from which others are made."""
    Controller(POLICY, CARD, -torch.ones(1), action_high=torch.ones(1)).save(FOLDER / "whole.safetensors")
    save_checkpoint(FOLDER / "whole.pt", {"weights": torch.ones(2), "steps": 3})
    settings = {"ppo.learning_rate": 1e-3, "cell": "gru", "no_memory": True}
    save_preset(FOLDER / "whole.json", Preset(OURS, settings, {"return": 1.0}))
    trial = DivergedTrial(CARD, 3, None, 0.0, {"x": 1.0}, torch.zeros(2, 1), {"qpos": torch.zeros(2)}, {})
    trial.save(FOLDER / "dump.safetensors")
    MjcfSource({MAIN: b"<mujoco><worldbody/></mujoco>"}).write(FOLDER / "whole.zip")
    run: dict[str, Any] = {
        "format": 2,
        "method": "rl2",
        "seed": 0,
        "cpu": "a CPU",
        "looks": [{"seconds": 1.0, "steps": 2, "returns": [[1.0, 2.0]]}],
        "splits": {"heldout": [[1.0, 2.0]]},
        "consumed": [{"episodes": 1, "returns": [3.0]}],
    }
    return {
        "controller": (FOLDER / "whole.safetensors").read_bytes(),
        "checkpoint": (FOLDER / "whole.pt").read_bytes().removeprefix(FORMAT).partition(b" ")[2],
        "config": json.dumps(as_json(TrainConfig("ReacherGoal"), FOLDER)).encode(),
        "preset": (FOLDER / "whole.json").read_bytes(),
        "task": json.dumps(FAMILY.nominal).encode(),
        "command": b"train ReacherGoal --minutes 3 --ppo.learning-rate=1e-3 --run-dir 'a b'",
        "result": json.dumps(run).encode(),
        "dump": (FOLDER / "dump.safetensors").read_bytes(),
        "robot": (FOLDER / "whole.zip").read_bytes(),
    }


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "controller": feed_controller,
    "checkpoint": feed_checkpoint,
    "config": feed_config,
    "preset": feed_preset,
    "task": feed_task,
    "command": feed_command,
    "result": feed_result,
    "robot": feed_robot,
    "dump": feed_dump,
}
