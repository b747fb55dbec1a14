"""Videos of whole trials on several tasks side by side."""

import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from copy import deepcopy
from multiprocessing import get_context
from pathlib import Path
from pickle import PicklingError
from types import TracebackType
from typing import IO

import numpy as np
from numpy.typing import NDArray

from limbshift.agents.actor import PolicyActor
from limbshift.agents.atomic_write import replacing
from limbshift.agents.recurrent import RecurrentActorCritic
from limbshift.envs.errors import RenderingError
from limbshift.envs.family import TaskFamily
from limbshift.envs.rendering import TaskRenderer
from limbshift.envs.task_step import Measured
from limbshift.envs.trial_env import TrialEnv, TrialStep
from limbshift.experiments.figures.captions import measured_words
from limbshift.experiments.films.rehearsal import Stage, rehearse
from limbshift.experiments.films.video_chart import Scale, Score
from limbshift.experiments.films.video_page import TILE, Page, Picture
from limbshift.meta.evaluation.trials import Act

TRAINING_VIDEO_TASKS = 3
MAX_FPS = 25
"""A robot that acts more often than this is shown in slow motion."""
MAX_LAST_LINE = 500
"""Bytes of what ffmpeg said last that an error message may hold."""


class VideoError(RenderingError):
    """ffmpeg is missing, or could not write the video."""


def record_trials(
    act: Act,
    env: TrialEnv,
    path: Path,
    *,
    progress: Callable[[int, int], None] | None = None,
    tile: tuple[int, int] = TILE,
    num_steps: int | None = None,
    labels: Sequence[str] = (),
    scales: Sequence[Scale] = (),
    camera: Mapping[str, float] | None = None,
) -> NDArray[np.float64]:
    """Plays the env's next trial in each of its simulations, and films it: (N, K) returns per trial and episode.

    act maps observations, (N, trial_obs_dim) float32, to actions, (N, A), and keeps its own memory,
    fresh at the start. progress is told frames done and in all. num_steps: how many of the trial's steps are shown; all
    by default. labels: of the rows of the same tasks, if there are any. scales: by which rewards are measured. camera:
    as `TaskRenderer` has it. The file, mp4 or gif by its name, appears whole, or not at
    all. Raises RenderingError where frames or the video cannot be made.
    """
    frame_rate = min(1 / env.task_env.robot.control_timestep, MAX_FPS)
    num_steps = num_steps or env.steps_per_trial
    renderer = TaskRenderer(env.task_env.family, *tile, camera=camera)
    try:
        obs = env.reset()
        page = Page(env, tile, frame_rate, labels=labels, scales=scales)
        scores = [Score() for _ in range(env.num_envs)]
        with replacing(path) as temporary, _Encoder(temporary, page.size, frame_rate, kind=path.suffix) as encoder:
            for step in range(num_steps + 1):
                if step:
                    result = env.step(act(obs))
                    obs = result.obs
                    _add(scores, result, (step - 1) % env.horizon + 1, env=env)
                pictures = [renderer.frame(env.task_env.physics, sim, task) for sim, task in enumerate(page.tasks)]
                encoder.write(page.draw(pictures, scores, step - env.horizon * (len(scores[0].returns) - 1)))
                if progress:
                    progress(step + 1, num_steps + 1)
    finally:
        renderer.close()
    return np.array([score.returns for score in scores])


def distinct_tasks(family: TaskFamily, split: str, most: int) -> int:
    """Returns how many tasks of a split are filmed: this many, or all that there are, so that none is shown twice.

    >>> from limbshift.envs.catalogue import make_family
    >>> [distinct_tasks(make_family(name), "heldout", 3) for name in ("HalfCheetahDir", "HalfCheetahVel")]
    [2, 3]
    """
    listed = family.task_space.listed(split)
    return most if listed is None else min(most, len(listed))


def render_policy(
    policy: RecurrentActorCritic,
    family: TaskFamily,
    like: TrialEnv,
    *,
    path: Path,
    seed: int,
    note: Callable[[str], None],
) -> bool:
    """Films held-out tasks, in trials of the shape of `like`; False where there is no GL, which is noted.

    Beside CUDA it is made in a process of its own: in one process with it EGL hangs under some drivers.
    """
    shape = like.episodes_per_trial, like.horizon
    try:
        if policy.log_std.device.type == "cuda":
            film_apart(deepcopy(policy).cpu(), family, shape, path=path, seed=seed)
        else:
            film_here(policy, family, shape, path=path, seed=seed)
    except RenderingError as error:
        note(f"no video: {error}")
        return False
    return True


def film_here(
    policy: RecurrentActorCritic, family: TaskFamily, shape: tuple[int, int], *, path: Path, seed: int
) -> None:
    """Films trials of so many episodes and steps, in MuJoCo, whichever engine the policy is trained on."""

    num_tasks = distinct_tasks(family, "heldout", TRAINING_VIDEO_TASKS)

    def staged() -> Stage:
        env = TrialEnv(
            family,
            num_tasks,
            shape[0],
            horizon=shape[1],
            split="heldout",
            seed=seed,
            observe_task=policy.spec.task_dim > 0,
            look=family.measured,
        )
        return Stage(env, PolicyActor(policy, num_tasks))

    env, act = staged()
    try:
        record_trials(act, env, path, scales=rehearse(staged, seed))
    finally:
        env.close()


def film_apart(
    policy: RecurrentActorCritic, family: TaskFamily, shape: tuple[int, int], *, path: Path, seed: int
) -> None:
    """Does the same in a new process; RenderingError for a family that no other process can be handed."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        try:
            process.submit(film_here, policy, family, shape, path=path, seed=seed).result()
        except (PicklingError, AttributeError) as error:
            raise RenderingError(f"a film beside CUDA needs a family that can be pickled: {error}") from error


def _add(scores: list[Score], result: TrialStep, step: int, *, env: TrialEnv) -> None:
    """Adds the outcome of the slot's step, whose number starts at 1."""
    columns = (result.reward.tolist(), result.terminated.tolist(), result.diverged.tolist())
    measure, measured = env.task_env.family.measure, result.seen
    for sim, (score, reward, terminated, diverged) in enumerate(zip(scores, *columns, strict=True)):
        score.add(step, reward, terminated, diverged=diverged)
        if measure and isinstance(measured, Measured):
            asked = None if measured.asked is None else float(measured.asked[sim])
            score.measured = measured_words(measure, float(measured.value[sim]), asked)
        if step == env.horizon and not result.trial_over:
            score.begin_slot()


_MP4 = (
    *("-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-pix_fmt", "yuv420p"),
    *("-movflags", "+faststart", "-f", "mp4"),
)
"""H.264, which browsers play."""
_GIF = (
    "-vf",
    "fps=12.5,scale='min(900,iw)':-1,split[a][b];[a]palettegen=stats_mode=diff[p];[b][p]paletteuse=dither=bayer",
    "-f",
    "gif",
)
"""Half as many pictures, at most 900 pixels wide, by one palette of 256 colours."""


class _Encoder:
    """Makes a film of the frames that it is given."""

    def __init__(self, path: Path, size: tuple[int, int], frame_rate: float, *, kind: str = ".mp4") -> None:
        """kind: ".mp4" or ".gif"."""
        command = [_ffmpeg(), "-loglevel", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24"]
        command += ["-s", f"{size[0]}x{size[1]}", "-r", f"{frame_rate:.6g}", "-i", "-"]
        command += [*(_GIF if kind == ".gif" else _MP4), str(path)]
        # A file takes all that ffmpeg says; a pipe that is not read until the end would block it.
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 (closed in __exit__)
        # In a session of its own, so that Ctrl-C reaches this process alone.
        try:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=self._said, start_new_session=True)
        except OSError as error:
            self._said.close()
            raise VideoError(f"ffmpeg at {command[0]} cannot be run: {error.strerror}") from error

    def write(self, frame: Picture) -> None:
        """Adds a (height, width, 3) frame."""
        assert self._process.stdin is not None
        self._process.stdin.write(frame.tobytes())

    def __enter__(self) -> "_Encoder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the film; raises VideoError, with what ffmpeg said last, where it failed."""
        ffmpeg_ended = isinstance(error, BrokenPipeError)
        if error is not None and not ffmpeg_ended:
            self._process.kill()
        self._process.communicate()
        with self._said:
            if ffmpeg_ended or (error is None and self._process.returncode):
                raise VideoError(f"ffmpeg could not write the video: {_last_line(self._said)}") from error


def _last_line(file: IO[bytes]) -> str:
    """Returns the last line of what ffmpeg said."""
    file.seek(max(0, file.seek(0, os.SEEK_END) - MAX_LAST_LINE))
    lines = file.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it does not say why"


def _ffmpeg() -> str:
    try:
        import imageio_ffmpeg  # where training runs without videos it may be missing

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError) as error:
        raise VideoError("no ffmpeg: install imageio-ffmpeg again, or set IMAGEIO_FFMPEG_EXE") from error
