"""The live page, in a browser."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from limbshift.experiments.cli import main
from limbshift.experiments.runs.controllers import load_with_family
from limbshift.experiments.watching.guard import Guard
from limbshift.experiments.watching.live_trial import LiveTrial
from limbshift.experiments.watching.scene import axes_of
from limbshift.experiments.watching.watch import Show, serving
from tests.browser import PATIENCE, BrowserPage, browser_page, needs_chromium

STRIP = """(() => {
    const image = [...document.querySelectorAll('img')].find(each => each.naturalWidth > 200);
    if (!image) return null;
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    const context = canvas.getContext('2d');
    context.drawImage(image, 0, 0);
    return context.getImageData(0, 0, canvas.width, canvas.height).data.every(value => value === 255);
})()"""
"""Whether the picture of what is remembered is white all over."""


@contextmanager
def shown(name: str, width: int = 1280) -> Iterator[tuple[Show, BrowserPage]]:
    """A controller on its page, and the page in a browser whose window is so wide."""
    guard = Guard("token")
    live = LiveTrial(*load_with_family(name), seed=0)
    with closing(live), serving(guard, 0) as server, browser_page() as page:
        show = Show(server, live)
        thread = threading.Thread(target=show.run)
        thread.start()
        try:
            page.open(guard.page(server.get_port()), width)
            page.wait_for("document.body?.innerText?.includes('frames/s')")
            yield show, page
        finally:
            show.ended.set()
            thread.join()


@needs_chromium
def test_a_person_meddles_with_a_robot(tmp_path: Path) -> None:
    with shown("HalfCheetahLimbs") as (show, page):
        live = show.live
        page.wait_for("document.querySelectorAll('[role=slider]').length >= 8")
        assert page.faults == []
        page.wait_for("Math.max(...[...document.querySelectorAll('canvas')].map(each => each.width)) > 600")

        torso, heavy = "torso_mass", 5.06  # 1.5^4
        page.evaluate("document.querySelectorAll('[role=slider]')[1].focus()")  # the first is the speed's
        page.press("End")
        wait_until(lambda: live.task[torso] == pytest.approx(heavy))
        begun = live.changes[0]
        wait_until(lambda: live.steps > begun + 40)
        rewards, untouched = list(live.rewards), LiveTrial(live.controller, live.family, seed=0)
        for _ in range(len(rewards)):
            untouched.step()
        assert rewards[:begun] == list(untouched.rewards)[:begun]
        assert rewards[begun:] != list(untouched.rewards)[begun:]
        page.picture(tmp_path / "page.png")

        assert page.wait_for(f"({STRIP}) === false")
        page.click_on("Pause")
        wait_until(lambda: show.page.paused)
        page.click_on("Wipe the memory")
        wait_until(lambda: bool(live.wipes))
        assert page.wait_for(f"({STRIP}) === true")
        stood = live.steps
        page.click_on("Go on")
        wait_until(lambda: live.steps > stood)
        show.page.orders.put(lambda live: live.change({torso: -1.0}))
        page.wait_for("document.body?.innerText?.includes('task parameter torso_mass is -1, expected')")
        page.click_on("Draw a task")
        wait_until(lambda: not live.changes)
        assert page.faults == []


@needs_chromium
def test_the_mouse_takes_hold_of_a_robot_and_lets_go() -> None:
    with shown("AntDir") as (show, page):
        live = show.live
        page.wait_for("Math.max(...[...document.querySelectorAll('canvas')].map(each => each.width)) > 600")
        page.click_on("Pause")
        wait_until(lambda: show.page.paused)
        x, y = on_screen(show, show.scene.bodies[1].position)
        page.mouse("Pressed", x, y)
        for step in range(1, 8):
            page.mouse("Moved", x, y - 20 * step)
            time.sleep(0.1)
        wait_until(lambda: show.held)
        forces = live.env.task_env.physics.state("xfrc_applied")
        page.click_on("Go on")
        wait_until(lambda: float(forces[0, :, 2].sum()) > 10)  # N: it is pulled upwards
        page.mouse("Released", x, y - 140)
        wait_until(lambda: not show.held and not forces.any())
        # Viser's own, of a listener to the wheel that lies under the mouse.
        assert all("passive event listener" in fault for fault in page.faults)


@needs_chromium
def test_a_phone_shows_the_robot_and_the_buttons(tmp_path: Path) -> None:
    with shown("AntDir", width=390) as (_, page):
        page.wait_for("document.body?.innerText?.includes('Wipe the memory')")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.picture(tmp_path / "phone.png")
        assert page.faults == []


def on_screen(show: Show, point: NDArray[np.float64], width: int = 1280, height: int = 800) -> tuple[float, float]:
    """Where in the browser's window a point of the page is, in pixels."""
    (client,) = show.server.get_clients().values()
    camera = client.camera
    right, down, ahead = (point - camera.position) @ axes_of(np.array(camera.wxyz))
    half = ahead * np.tan(camera.fov / 2)
    return width / 2 + right / half * height / 2, height / 2 + down / half * height / 2


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_what_cannot_be_watched_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, line in (
        (["watch", "NoSuch"], "unknown controller 'NoSuch'"),
        (["watch", "HalfCheetahDir", "--split", "extrapolation"], "split is 'extrapolation', expected one of"),
        (["watch", "HalfCheetahDir", "--port", "70000"], "port"),
    ):
        assert main(arguments) == 2
        told = capsys.readouterr().err
        assert line in told
        assert told.count("\n") == 1


class Clock:
    """A time that passes only while somebody sleeps, and at whose end the show is over."""

    def __init__(self, seconds: float, end: Callable[[], None]) -> None:
        self.now, self.last, self.end = 0.0, seconds, end

    def perf_counter(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.now >= self.last:
            self.end()


@pytest.mark.parametrize("name", ["HopperPacker", "HalfCheetahDir"])
def test_a_robot_moves_in_real_time_whatever_its_control_step(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame is 33 ms: four control steps of a hopper, and two thirds of one of a half-cheetah's."""
    live = LiveTrial(*load_with_family(name), seed=0)
    with closing(live), serving(Guard("token"), 0) as server:
        show = Show(server, live)
        monkeypatch.setattr("limbshift.experiments.watching.watch.time", Clock(3.0, show.ended.set))
        show.run()
    assert live.steps * live.timestep == pytest.approx(3.0, abs=0.1)
