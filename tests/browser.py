"""A page in headless Chromium, by Chromium's own protocol."""

import base64
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal
from urllib.request import urlopen

import pytest
from websockets.sync.client import connect
from websockets.sync.connection import Connection

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium: apt-get install chromium")
OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # which root may not have
    "--remote-debugging-port=0",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--disable-background-networking",
    "--no-first-run",
)
PATIENCE = 60.0
"""Seconds that a test waits for what a page is to do: it draws on the processor that the robot runs on."""


class BrowserPage:
    """One page."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._calls = 0
        self.faults: list[str] = []
        """What the page has complained of: exceptions, and errors on its console."""
        for domain in ("Runtime", "Log", "Page"):
            self._call(f"{domain}.enable")

    def open(self, address: str, width: int = 1280, height: int = 800) -> None:
        """Goes to an address, on a screen of so many pixels."""
        self._call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self._call("Page.navigate", url=address)

    def prefer(self, scheme: Literal["light", "dark"]) -> None:
        """Tells pages which colours the person prefers."""
        self._call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def evaluate(self, script: str) -> Any:
        """Returns the value of an expression."""
        result = self._call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait_for(self, script: str) -> Any:
        """Waits until an expression is true, and returns its value."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if value := self.evaluate(script):
                return value
            time.sleep(0.1)
        raise AssertionError(f"{script} did not come true within {PATIENCE:g} s; faults: {self.faults}")

    def press(self, key: str) -> None:
        """Presses a key where the focus is."""
        for kind in ("keyDown", "keyUp"):
            self._call("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    def type(self, text: str) -> None:
        """Writes where the focus is."""
        self._call("Input.insertText", text=text)

    def click_on(self, text: str) -> None:
        """Clicks the button with this text."""
        found = f"[...document.querySelectorAll('button')].find(b => b.textContent.trim() === {json.dumps(text)})"
        self.wait_for(f"Boolean({found})")
        self.evaluate(f"{found}.click()")

    def mouse(self, kind: Literal["Pressed", "Moved", "Released"], x: float, y: float) -> None:
        """Moves the mouse to a place, or presses or releases its left button there."""
        held = 0 if kind == "Released" else 1
        self._call("Input.dispatchMouseEvent", type=f"mouse{kind}", x=x, y=y, button="left", buttons=held, clickCount=1)

    def picture(self, path: Path) -> None:
        """Writes what is seen."""
        path.write_bytes(base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"]))

    def _call(self, method: str, **params: Any) -> Any:
        self._calls += 1
        self._connection.send(json.dumps({"id": self._calls, "method": method, "params": params}))
        while True:
            message = json.loads(self._connection.recv(timeout=PATIENCE))
            if message.get("id") == self._calls:
                assert "error" not in message, message
                return message["result"]
            self._hear(message)

    def _hear(self, event: dict[str, Any]) -> None:
        name, params = event.get("method"), event.get("params", {})
        if name == "Runtime.exceptionThrown":
            self.faults.append(json.dumps(params["exceptionDetails"])[:500])
        elif name == "Runtime.consoleAPICalled" and params["type"] == "error":
            self.faults.append(json.dumps(params["args"])[:500])
        elif name == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.faults.append(json.dumps(params["entry"])[:500])


@contextmanager
def browser_page() -> Iterator[BrowserPage]:
    """Starts a browser with one empty page, and ends it."""
    assert CHROMIUM is not None
    with TemporaryDirectory(prefix="limbshift-chromium-", ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [CHROMIUM, *OPTIONS, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            told, end = Path(profile) / "DevToolsActivePort", time.monotonic() + PATIENCE
            while not (told.is_file() and told.read_text().strip()):
                assert process.poll() is None, f"Chromium ended with {process.returncode}"
                assert time.monotonic() < end, "Chromium does not say where it listens"
                time.sleep(0.1)
            port = int(told.read_text().split()[0])
            with urlopen(f"http://127.0.0.1:{port}/json") as answer:
                (target,) = (each for each in json.load(answer) if each["type"] == "page")
            with connect(target["webSocketDebuggerUrl"], max_size=None) as connection:
                yield BrowserPage(connection)
        finally:
            process.kill()
            process.wait()
