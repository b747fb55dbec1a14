"""Videos of trials: that they play, that they show the trial, and that a failure leaves nothing."""

import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from limbshift.envs.catalogue import make_family
from limbshift.envs.errors import RenderingError
from limbshift.envs.physics.engine import Engine
from limbshift.envs.task_step import Measure
from limbshift.envs.trial_env import TrialEnv
from limbshift.experiments.cli import main
from limbshift.experiments.commands.config import RenderConfig
from limbshift.experiments.commands.render import film
from limbshift.experiments.figures.captions import measured_words, task_lines
from limbshift.experiments.films import video
from limbshift.experiments.films.video import VideoError, film_apart, film_here, record_trials
from limbshift.experiments.films.video_chart import CHART_LINES, Scale, Score
from limbshift.experiments.films.video_page import TILE as WHOLE_TILE
from limbshift.experiments.runs.controllers import load_with_family
from limbshift.meta.evaluation.trials import play
from tests.gl import needs_gl

TILE = (160, 120)
EPISODES, HORIZON = 2, 5
FRAMES = EPISODES * HORIZON + 1  # the initial state, and what each step led to


def make_env(family: str = "HalfCheetahLimbs") -> TrialEnv:
    return TrialEnv(
        make_family(family), 2, EPISODES, horizon=HORIZON, split="heldout", seed=3, engine=Engine(num_threads=1)
    )


def waving(action_dim: int) -> Callable[[Tensor], Tensor]:
    """The same motion in all simulations, stronger with each step."""
    steps = 0

    def act(obs: Tensor) -> Tensor:
        nonlocal steps
        steps += 1
        return torch.full((len(obs), action_dim), 0.1 * steps)

    return act


def read(path: Path) -> tuple[str, NDArray[np.uint8]]:
    """What ffmpeg says of the film, and its (frames, height, width, 3) pictures."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    ended = subprocess.run(command, capture_output=True, check=True)
    described = re.search(r"Stream .*Video: .* (\d+)x(\d+).*", ended.stderr.decode())
    assert described
    pictures = np.frombuffer(ended.stdout, np.uint8).reshape(-1, int(described[2]), int(described[1]), 3)
    return described[0], pictures


def differ(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    return float(np.abs(first.astype(int) - second).mean())


@needs_gl
def test_a_trial_becomes_a_film_that_plays(tmp_path: Path) -> None:
    env = make_env()
    path, told = tmp_path / "new" / "trial.mp4", list[tuple[int, int]]()
    returns = record_trials(waving(6), env, path, progress=lambda done, total: told.append((done, total)), tile=TILE)
    about, frames = read(path)
    assert "h264" in about
    assert "yuv420p" in about  # other colours, browsers do not play
    assert "20 fps" in about  # a control step of HalfCheetah is 0.05 s
    assert len(frames) == FRAMES
    assert frames.shape[2] >= 2 * TILE[0]
    assert frames.shape[1] > TILE[1]
    assert frames.shape[1] % 2 == frames.shape[2] % 2 == 0
    assert [path.name for path in path.parent.iterdir()] == ["trial.mp4"]
    assert told == [(done, FRAMES) for done in range(1, FRAMES + 1)]
    assert np.allclose(returns, play(make_env(), waving(6)).reward.sum(axis=-1))
    env.close()


@needs_gl
def test_the_film_shows_motion_and_tasks(tmp_path: Path) -> None:
    env = make_env()
    record_trials(waving(6), env, tmp_path / "trial.mp4", tile=TILE)
    _, frames = read(tmp_path / "trial.mp4")
    width = frames.shape[2] // 2
    left, right = frames[:, :, :width], frames[:, :, -width:]
    assert differ(frames[4], frames[3]) > 0.2
    assert differ(left[3, -TILE[1] :], right[3, -TILE[1] :]) > 1  # the pictures: other masses, other colours
    assert differ(left[3, : -TILE[1] - 40], right[3, : -TILE[1] - 40]) > 1  # the captions
    assert differ(frames[HORIZON], frames[HORIZON - 1]) > 5  # the banner of the second episode
    env.close()


@needs_gl
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "trial.mp4"
    path.write_bytes(b"an older film")

    def act(obs: Tensor) -> Tensor:
        raise ArithmeticError("the policy failed")

    env = make_env()
    with pytest.raises(ArithmeticError):
        record_trials(act, env, path, tile=TILE)
    env.close()
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"an older film"


@needs_gl
@pytest.mark.parametrize("ends", ["at once", "after the last frame"])
def test_a_failing_ffmpeg_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: str) -> None:
    ffmpeg = tmp_path / "ffmpeg"
    ffmpeg.write_text(
        "#!/bin/sh\n" + ("" if ends == "at once" else "cat >/dev/null\n") + "echo disk full >&2; exit 1\n"
    )
    ffmpeg.chmod(0o755)
    monkeypatch.setattr(video, "_ffmpeg", lambda: str(ffmpeg))
    env = make_env()
    with pytest.raises(VideoError, match=r"^ffmpeg could not write the video: disk full$"):
        record_trials(waving(6), env, tmp_path / "films" / "trial.mp4", tile=TILE)
    env.close()
    assert list((tmp_path / "films").iterdir()) == []


@needs_gl
def test_a_quick_robot_is_slowed(tmp_path: Path) -> None:
    """Reacher acts every 0.02 s: 50 frames a second, halved to 25."""
    env = make_env("ReacherGoal")
    record_trials(waving(2), env, tmp_path / "trial.mp4", tile=TILE)
    about, frames = read(tmp_path / "trial.mp4")
    assert "25 fps" in about
    assert len(frames) == FRAMES
    env.close()


def test_score_stops_at_the_first_fall_of_a_slot() -> None:
    score = Score()
    score.add(1, 2.0, False, diverged=False)
    score.add(2, 3.0, True, diverged=False)  # the step of the fall counts
    score.add(3, 50.0, False, diverged=False)
    score.add(4, 50.0, True, diverged=True)
    assert (score.returns, score.fell_at, score.began_at, score.diverged) == ([5.0], 2, 4, True)
    score.measured = "speed 9.14 m/s"
    score.begin_slot()
    assert score.measured == "", "as fast as it was before it was put back"
    score.add(1, 7.0, False, diverged=False)
    assert (score.returns, score.fell_at, score.began_at) == ([5.0, 7.0], None, 0)
    assert score.rewards == [[2.0, 3.0], [7.0]]


@needs_gl
def test_a_film_marks_best_random_and_when_it_has_adapted(tmp_path: Path) -> None:
    plain, marked, far = (tmp_path / f"{name}.mp4" for name in ("plain", "marked", "far"))
    scales = [Scale(0.0, 0.5, 3, (0.0, 0.5)), Scale(0.0, 0.5, None, (0.0, 0.5))]
    for path, own, camera in ((plain, [], {}), (marked, scales, {}), (far, scales, {"distance": 30.0})):
        env = make_env()
        record_trials(waving(6), env, path, tile=TILE, scales=own, camera=camera)
        env.close()
    (_, before), (_, after), (_, distant) = read(plain), read(marked), read(far)
    picture, chart = after[-1, : -CHART_LINES * 10], after[-1, -CHART_LINES * 10 :]
    assert differ(chart, before[-1, -CHART_LINES * 10 :]) > 1
    assert differ(picture[: TILE[1]], distant[-1, : TILE[1]]) > 3
    half = after.shape[2] // 2
    dark = [int((side < 80).all(axis=-1).sum()) for side in (chart[:, :half], chart[:, half:])]
    assert dark[0] > dark[1]  # the mark of the one that has adapted


def test_captions_depend_on_no_name() -> None:
    family = make_family("HalfCheetahLimbs")
    torso, thigh, *_ = family.parameters
    family.parameters = (replace(torso, name="m1"), replace(thigh, caption=None))
    assert task_lines(family, {"m1": 2.0, "bthigh_mass": 0.5}) == ["bthigh mass 0.5", "mass: torso 2"]


def test_a_task_with_dead_motors_in_words() -> None:
    family = make_family("HalfCheetahCrippled")
    assert task_lines(family, {**family.nominal, "bfoot_alive": 0.0}) == ["dead: bfoot"]
    assert task_lines(family, family.nominal) == ["dead: none"]


def test_tasks_in_words() -> None:
    wiring = dict(zip(make_family("HalfCheetahWiring").nominal, (1, -1, 1, 1, -1, 1), strict=True))
    assert task_lines(make_family("HalfCheetahWiring"), wiring) == ["wiring + - + + - +"]
    assert task_lines(make_family("HalfCheetahDir"), {"direction": -1.0}) == ["direction -1"]
    assert task_lines(make_family("HalfCheetahVel"), {"target_velocity": 1.7}) == ["target velocity 1.7 m/s"]
    assert task_lines(make_family("ReacherGoal"), {"goal_x": 0.1, "goal_y": -0.05}) == ["goal x 0.1 m, goal y -0.05 m"]
    family = make_family("HalfCheetahLimbsDir")
    assert task_lines(family, {**family.nominal, "bfoot_mass": 0.4444, "direction": -1.0}) == [
        "direction -1",
        "mass: torso 1, bthigh 1, bshin 1, bfoot 0.44, fthigh 1, fshin 1, ffoot 1",
    ]


@needs_gl
def test_a_film_may_be_a_gif(tmp_path: Path) -> None:
    env = make_env()
    record_trials(waving(6), env, tmp_path / "trial.gif", tile=TILE)
    with Image.open(tmp_path / "trial.gif") as film:
        assert film.format == "GIF"
        assert getattr(film, "n_frames", 1) > FRAMES // 3
        assert film.size[0] >= 2 * TILE[0]
    env.close()


@needs_gl
@pytest.mark.parametrize("against", ["memory-off", "random", "HalfCheetahWiring"])
def test_the_same_trials_below_by_other_means(against: str, tmp_path: Path) -> None:
    controller, family = load_with_family("HalfCheetahWiring")
    config = RenderConfig("HalfCheetahWiring", num_tasks=2, horizon=30, out=tmp_path / "film.mp4", against=against)
    alone = film(controller, family, replace(config, against="", out=tmp_path / "alone.mp4"))
    both = film(controller, family, config)
    assert both.shape == (4, 2)
    np.testing.assert_array_equal(both[:2], alone)
    if against == "HalfCheetahWiring":  # itself, on the same tasks from the same states
        np.testing.assert_array_equal(both[2:], alone)
    else:
        assert (both[2:, -1] < alone[:, -1] - 5).all()


@needs_gl
def test_tasks_are_filmed_once_where_there_are_few(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    controller, family = load_with_family("HalfCheetahDir")
    film_here(controller.policy, family, (1, 4), path=tmp_path / "two.mp4", seed=1)
    _, frames = read(tmp_path / "two.mp4")
    assert 2 * WHOLE_TILE[0] <= frames.shape[2] < 3 * WHOLE_TILE[0]
    asked = ["--tasks", "5", "--horizon", "4", "--episodes", "1", "--against", "random"]
    assert main(["render", "HalfCheetahDir", *asked, "--out", str(tmp_path / "film.mp4")]) == 0
    told = [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()[:-1]]
    assert told == ["task 1", "task 2", "random, task 1", "random, task 2"]


def test_what_is_measured_is_written_beside_what_is_asked() -> None:
    assert measured_words(Measure("speed", "m/s"), -0.126, 1.5) == "speed -0.13 of 1.50 m/s"
    assert measured_words(Measure("speed", "m/s"), 2.0, None) == "speed 2.00 m/s"


def test_a_film_is_mp4_or_gif(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["render", "HalfCheetahWiring", "--out", str(tmp_path / "film.avi")]) == 2
    assert capsys.readouterr().err.endswith("film.avi, expected a name that ends in .mp4 or .gif\n")
    assert main(["render", "HalfCheetahWiring", "--against", "nothing", "--out", str(tmp_path / "film.mp4")]) == 2
    assert "unknown controller 'nothing'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@needs_gl
def test_a_process_of_its_own_makes_the_same_film(tmp_path: Path) -> None:
    controller, family = load_with_family("ReacherGoal")
    film_here(controller.policy, family, (2, 4), path=tmp_path / "here.mp4", seed=1)
    film_apart(controller.policy, family, (2, 4), path=tmp_path / "apart.mp4", seed=1)
    assert (tmp_path / "apart.mp4").read_bytes() == (tmp_path / "here.mp4").read_bytes()


def test_a_family_that_no_process_can_be_handed_has_no_film_apart(tmp_path: Path) -> None:
    controller, family = load_with_family("ReacherGoal")
    local = type("Local", (type(family),), {"name": "ReacherGoal"})()
    with pytest.raises(RenderingError, match=r"^a film beside CUDA needs a family that can be pickled: "):
        film_apart(controller.policy, local, (2, 4), path=tmp_path / "apart.mp4", seed=1)
    assert list(tmp_path.iterdir()) == []
