"""Moves a robot in real time, and shows it on a page of this machine's own."""

import io
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, redirect_stdout
from functools import partial
from typing import NamedTuple

import numpy as np
import viser
from numpy.typing import NDArray

from limbshift.envs.errors import InputError
from limbshift.envs.tasks.parameter import TaskError
from limbshift.experiments.watching.guard import LOOPBACK, Guard
from limbshift.experiments.watching.live_trial import LiveTrial, Push
from limbshift.experiments.watching.page import Page
from limbshift.experiments.watching.scene import Pose, Scene

FRAME_SECONDS = 1 / 30
MAX_LATE = 0.25
"""Seconds that the robot may be behind and catch up; more are left out, so that a slow machine goes on answering."""
PAGE_SECONDS = 0.2
"""Between two looks at what stands beside the robot."""
STIFFNESS = 60.0
"""Pull of the mouse, N per m and per kg of the robot."""


@contextmanager
def serving(guard: Guard, port: int) -> Iterator[viser.ViserServer]:
    """Serves pages to this machine alone, by the guard's leave; InputError for a port that is taken."""
    port = free_port(port)
    with guard.over_servers(), quiet():
        server = viser.ViserServer(host=LOOPBACK, port=port, verbose=False)
    try:
        if server.get_port() != port:
            raise InputError(f"port {port} was taken, expected a free one")
        yield server
    finally:
        with quiet():
            server.stop()


def quiet() -> AbstractContextManager[object]:
    """Returns what keeps the library from printing addresses that nobody may open."""
    return redirect_stdout(io.StringIO())


def free_port(port: int) -> int:
    """Returns the port, or any that is free for 0; InputError for one that is taken.

    >>> free_port(0) > 0
    True
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise InputError(f"port {port} is taken ({error.strerror}), expected a free one, or 0 for any") from error
        found: int = probe.getsockname()[1]
        return found


class Hold(NamedTuple):
    """Where the mouse holds the robot."""

    body: int
    point: NDArray[np.float64]
    """(3,) in the body's frame, m."""
    end: NDArray[np.float64]
    """(3,) where the mouse is, on the page."""


class Show:
    """A trial in real time: steps when they are due, frames in between, and what a person asks for."""

    def __init__(self, server: viser.ViserServer, live: LiveTrial) -> None:
        self.live, self.server = live, server
        self.page = Page(server, live)
        self.scene = Scene(server, live.family)
        self._before = self._after = self._pose()
        self.ended = threading.Event()
        self._hold: Hold | None = None
        self._frames: deque[float] = deque(maxlen=60)
        """When the last ones were sent."""
        self._shown_task: dict[str, float] = {}
        self._catch_up()

    def run(self) -> None:
        """Goes on until `ended` is set."""
        due = page_due = time.perf_counter()
        while not self.ended.is_set():
            now = time.perf_counter()
            self.take_orders()
            due = now if self.page.paused else max(due, now - MAX_LATE)
            while not self.page.paused and now >= due:
                self.advance()
                due += self.live.timestep / self.page.speed
            self.show_frame(min(1.0, max(0.0, 1 - (due - now) * self.page.speed / self.live.timestep)))
            if now >= page_due:
                self.page.show(self.live, frames_per_second=self.frames_per_second)
                page_due = now + PAGE_SECONDS
            time.sleep(max(0.0, now + FRAME_SECONDS - time.perf_counter()))

    @property
    def frames_per_second(self) -> float:
        """Of the last two seconds."""
        frames = self._frames
        return (len(frames) - 1) / (frames[-1] - frames[0]) if len(frames) > 1 else 0.0

    @property
    def held(self) -> bool:
        """Whether the mouse holds the robot."""
        return self._hold is not None

    def take_orders(self) -> None:
        """Does what was asked for since the last time; what a robot cannot have is refused, and all goes on."""
        asked = False
        while not self.page.orders.empty():
            order, asked = self.page.orders.get(), True
            try:
                order(self.live)
            except TaskError as error:
                self.page.refuse(str(error))
                self.page.follow(self.live)
        if asked:
            self._catch_up()

    def advance(self) -> None:
        """Acts for one control step, while the mouse pulls."""
        self.live.push(self._pull())
        self.live.step()
        begun = self.live.steps % self.live.env.horizon == 0
        pose = self._pose()
        self._before, self._after = (pose if begun else self._after), pose

    def show_frame(self, share: float) -> None:
        """Shows the robot at this share of the way through the last control step."""
        seconds = (self.live.steps % self.live.env.horizon) * self.live.timestep
        self.scene.show(self._before.towards(self._after, share), seconds, self.live.task)
        self._frames.append(time.perf_counter())

    def _catch_up(self) -> None:
        """Shows the robot as it is after something was done to it; its body anew where the task is another."""
        live = self.live
        if live.task != self._shown_task:
            self._shown_task = live.task
            self.page.follow(live)
            self.scene.build(live.env.task_env.physics, live.task)
            for body, handle in self.scene.bodies.items():
                handle.on_drag(partial(self._take_hold, body))
        self._before = self._after = self._pose()

    def _take_hold(self, body: int, event: viser.SceneNodeDragEvent[viser.MeshHandle]) -> None:
        """Remembers where the mouse holds a body, and where it pulls it to."""
        if event.phase == "end":
            self._hold = None
        elif event.phase == "start" or self._hold is None:
            point = self.scene.of_world(event.start_position, self._after)
            self._hold = Hold(body, self._after.into_body(body, point), np.array(event.end_position))
        else:
            self._hold = self._hold._replace(end=np.array(event.end_position))

    def _pull(self) -> Push | None:
        """Returns the force of the mouse, like a spring's between where it took hold and where it is."""
        hold, pose = self._hold, self._after
        if hold is None:
            return None
        point = pose.from_body(hold.body, hold.point)
        mass = float(self.live.family.robot.model.body_subtreemass[self.scene.root])
        return Push(hold.body, point, STIFFNESS * mass * (self.scene.of_world(hold.end, pose) - point))

    def _pose(self) -> Pose:
        _, data = self.live.env.task_env.physics.snapshot(0)
        return Pose.of(data, self.scene.root)
