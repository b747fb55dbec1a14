"""What `limbshift.evaluate` and `limbshift.render` are told in Python, and seeds on the command line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import limbshift
from limbshift.envs.errors import InputError
from limbshift.envs.physics.engine import Engine
from limbshift.envs.robots.half_cheetah import HalfCheetahDir
from limbshift.experiments.cli import main

CONTROLLER = "HalfCheetahDir"
LARGE = 10**20


@pytest.mark.parametrize("command", [limbshift.evaluate, limbshift.render])
@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"physics": "Mujoco"}, "physics is 'Mujoco', expected one of mujoco, warp"),
        ({"device": "gpu"}, "device is 'gpu', expected one of auto, cpu, cuda"),
        ({"device": 0}, "device is 0, expected one of auto, cpu, cuda"),
        ({"split": "test"}, "split is 'test', expected one of train, heldout"),
        ({"num_tasks": 0}, "tasks is 0, expected a number above 0"),
        ({"num_tasks": 2.5}, "tasks is 2.5, expected a whole number"),
        ({"num_tasks": "2"}, "tasks is '2', expected a whole number"),
        ({"episodes": 0}, "episodes is 0, expected a number above 0"),
        ({"horizon": 1.5}, "horizon is 1.5, expected a whole number"),
        ({"seed": -1}, "seed is -1, expected a number from 0 to 4294967295"),
        ({"controller": 3}, "controller is 3, expected a name, a path or a loaded one"),
        ({"family": "HalfCheetahDir"}, "family is 'HalfCheetahDir', expected an object of a TaskFamily"),
        ({"family": HalfCheetahDir}, "family is <class 'limbshift.envs.robots.half_cheetah.HalfCheetahDir'>, expected"),
    ],
    ids=str,
)
def test_values_that_cannot_be_used_are_refused(
    command: Callable[..., Any], told: dict[str, Any], message: str, tmp_path: Path
) -> None:
    out = {"out": tmp_path / "film.mp4"} if command is limbshift.render else {}
    with pytest.raises(InputError) as caught:
        command(**{"controller": CONTROLLER, "num_tasks": 1, "horizon": 2, **out, **told})
    assert str(caught.value).startswith(message)
    assert not list(tmp_path.iterdir())


def test_numbers_of_numpy_and_paths_as_text_are_taken(tmp_path: Path) -> None:
    numbers: Any = np.array([2, 3, 7], dtype=np.int16)
    two, three, seven = numbers
    limbshift.load_controller(CONTROLLER).save(tmp_path / "kept.safetensors")
    found = limbshift.evaluate(str(tmp_path / "kept.safetensors"), num_tasks=two, horizon=three, seed=seven)
    expected = limbshift.evaluate(CONTROLLER, num_tasks=2, horizon=3, seed=7)
    assert found.returns == expected.returns
    assert [type(found.as_json()[name]) for name in ("num_tasks", "horizon", "seed")] == [int] * 3


def test_an_engine_that_does_not_exist_is_named() -> None:
    unknown: Any = "Mujoco"
    with pytest.raises(InputError, match=r"^physics is 'Mujoco', expected one of mujoco, warp$"):
        Engine(unknown).simulate(HalfCheetahDir().robot.model, 1)


@pytest.mark.parametrize("seed", [-1, LARGE])
@pytest.mark.parametrize(
    "arguments", [["evaluate", CONTROLLER, "--tasks", "1", "--horizon", "2"], ["regression", "--iterations", "1"]]
)
def test_seeds_that_no_generator_takes_are_refused(
    arguments: list[str], seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--seed", str(seed)]) == 2
    printed = capsys.readouterr()
    assert printed.err == f"limbshift: seed is {seed}, expected a number from 0 to 4294967295\n"
    assert printed.out == ""


@pytest.mark.parametrize("told", [{"physics": "Mujoco"}, {"device": "gpu"}])
def test_a_training_that_cannot_be_leaves_no_directory(told: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=next(iter(told.values()))):
        limbshift.train(CONTROLLER, steps=1, num_envs=2, run_dir=tmp_path / "run", wandb="disabled", **told)
    assert not list(tmp_path.iterdir())
