"""Controllers as ONNX files: the command, what the files tell, and robots that act by them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

import limbshift
from limbshift.agents.controller import Controller
from limbshift.agents.controller_file import ControllerCard
from limbshift.agents.recurrent import PolicySpec, RecurrentActorCritic
from limbshift.envs.errors import InputError
from limbshift.experiments.cli import main
from limbshift.experiments.commands import export as command
from limbshift.experiments.runs.controllers import shipped_names
from tests.agents.test_onnx_step import Stepper

DEPLOY = Path(__file__).parents[3] / "examples" / "deploy"
STEPS = 1000
HEADERS = [Path(each) for each in (os.environ.get("ONNXRUNTIME_INCLUDE", ""), "/usr/include/onnxruntime") if each]


def exported(name: str, folder: Path) -> Path:
    out = folder / f"{name}.onnx"
    assert main(["export", name, "--out", str(out)]) == 0
    return out


@pytest.mark.parametrize("name", shipped_names())
def test_a_shipped_controller_acts_as_in_torch_for_a_thousand_steps(name: str, tmp_path: Path) -> None:
    """In the loop with its robot, trial after trial; each keeps its own memory of what it did."""
    controller = limbshift.load_controller(name)
    trials = limbshift.make_trials(controller.card.family, num_envs=1, split="heldout", seed=0)
    model = exported(name, tmp_path).read_bytes()
    rest = ((controller.action_low + controller.action_high) / 2).tolist()
    over, differences = True, []
    for _ in range(STEPS):
        if over:
            obs, _ = trials.reset()
            controller.reset(1)
            robot = Stepper(model, 1, rest)
        sensed, reward, start = (obs[:, trials.layout[part]] for part in ("obs", "previous_reward", "boundary"))
        expected = controller.act(sensed, reward[:, 0], start[:, 0])
        action = robot.act(
            obs=sensed.astype(np.float32),
            previous_reward=reward[:, 0].astype(np.float32),
            episode_start=start[:, 0].astype(np.float32),
        )
        differences.append(np.abs(action - expected).max())
        obs, _, _, truncated, _ = trials.step(expected)
        over = bool(truncated.all())
    trials.close()
    assert max(differences) < 1e-5


def test_a_file_tells_what_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = exported("HalfCheetahDir", tmp_path)
    told = f"ONNX file in {out}: one step of HalfCheetahDir's controller, every 0.05 s (20 Hz)\n"
    assert capsys.readouterr().out == told
    about = onnxruntime.InferenceSession(out).get_modelmeta().custom_metadata_map
    assert (about["family"], about["variant"], about["robot"]) == ("HalfCheetahDir", "default", "HalfCheetah")
    assert (about["control_period_s"], about["episodes_per_trial"], about["steps_per_episode"]) == ("0.05", "2", "200")
    assert json.loads(about["initial_action"]) == [0.0] * 6
    assert json.loads(about["action"])[0] == {"name": "bthigh", "low": -1.0, "high": 1.0}
    sensed = json.loads(about["obs"])
    assert len(sensed) == 17
    assert sensed[1] == {"name": "position of rooty", "unit": "rad"}
    assert sensed[9] == {"name": "velocity of rootz", "unit": "m/s"}


def test_what_no_joint_tells_has_a_number() -> None:
    """A quadruped senses which way is down, and how fast its trunk moves, in its own frame."""
    entries = command.observation_entries(limbshift.family("QuadrupedVel"))
    assert [each["name"] for each in entries[:6]] == [f"entry {number}" for number in range(6)]
    assert entries[6] == {"name": "velocity of root, about x", "unit": "rad/s"}
    ant = command.observation_entries(limbshift.family("AntDir"))
    assert [each["name"] for each in ant[:2]] == ["position of root, z", "position of root, quaternion w"]


def test_from_python(tmp_path: Path) -> None:
    controller = limbshift.load_controller("ReacherGoal")
    path = limbshift.export(controller, tmp_path / "new" / "reacher.onnx")
    assert path.read_bytes() == exported("ReacherGoal", tmp_path).read_bytes()
    with pytest.raises(InputError, match=r"^out is None, expected a path$"):
        limbshift.export(controller, None)  # type: ignore[arg-type]


def test_an_oracle_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "oracle.safetensors", tmp_path / "oracle.onnx"
    policy = RecurrentActorCritic(PolicySpec(17, 6, task_dim=1, hidden_size=8))
    card = ControllerCard("HalfCheetahDir", "default", episodes_per_trial=2, horizon=200)
    Controller(policy, card, -torch.ones(6), action_high=torch.ones(6)).save(path)
    assert main(["export", str(path), "--out", str(out)]) == 2
    told = "limbshift: this controller observes its task: it is an oracle to compare with, not to deploy\n"
    assert capsys.readouterr().err == told
    assert not out.exists()


def test_where_there_is_no_onnx_it_is_told_how_to_get_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "find_spec", lambda _: None)
    assert main(["export", "HalfCheetahDir", "--out", str(tmp_path / "out.onnx")]) == 2
    assert capsys.readouterr().err == "limbshift: export needs onnx: pip install '.[onnx]'\n"


def sensor_lines(name: str, steps: int) -> tuple[str, np.ndarray]:
    """Lines of a trial's sensors, and the (steps, A) actions of the controller in PyTorch."""
    controller = limbshift.load_controller(name)
    trials = limbshift.make_trials(controller.card.family, num_envs=1, split="heldout", seed=0)
    obs, _ = trials.reset()
    lines, actions = [], []
    for _ in range(steps):
        sensed, reward, start = (obs[0, trials.layout[part]] for part in ("obs", "previous_reward", "boundary"))
        lines.append(" ".join(f"{number:.9g}" for number in (*sensed, *reward, *start)))
        actions.append(controller.act(sensed[None], reward, start))
        obs, *_ = trials.step(actions[-1])
    trials.close()
    return "\n".join(lines) + "\n", np.concatenate(actions)


@pytest.mark.parametrize("name", ["ReacherGoal", "ArmPayload"])
def test_the_loop_on_numpy_acts_as_in_torch(name: str, tmp_path: Path) -> None:
    lines, expected = sensor_lines(name, 100)
    done = subprocess.run(
        [sys.executable, DEPLOY / "loop.py", exported(name, tmp_path)],
        input=lines, capture_output=True, text=True, check=True,
    )  # fmt: skip
    actions = np.array([line.split() for line in done.stdout.splitlines()], float)
    np.testing.assert_allclose(actions, expected, rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(
    not (shutil.which("g++") and any((each / "onnxruntime_c_api.h").is_file() for each in HEADERS)),
    reason="needs g++ and onnxruntime's C header: ONNXRUNTIME_INCLUDE names the folder that holds it",
)
def test_the_loop_in_cpp_acts_as_in_torch(tmp_path: Path) -> None:
    """Linked with the library of onnxruntime's wheel."""
    (library,) = (Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.*")
    (tmp_path / "libonnxruntime.so").symlink_to(library)
    (tmp_path / "libonnxruntime.so.1").symlink_to(library)
    include = next(each for each in HEADERS if (each / "onnxruntime_c_api.h").is_file())
    loop = tmp_path / "loop"
    linked = ["-L", str(tmp_path), "-lonnxruntime", f"-Wl,-rpath,{tmp_path}"]
    warned = ["-Wall", "-Wextra", "-Werror"]
    subprocess.run(
        ["g++", "-std=c++17", "-O2", *warned, DEPLOY / "loop.cpp", "-I", include, *linked, "-o", loop], check=True
    )
    lines, expected = sensor_lines("ReacherGoal", 200)
    done = subprocess.run(
        [loop, exported("ReacherGoal", tmp_path)], input=lines, capture_output=True, text=True, check=True
    )
    actions = np.array([line.split() for line in done.stdout.splitlines()], float)
    np.testing.assert_allclose(actions, expected, rtol=0, atol=1e-5)
