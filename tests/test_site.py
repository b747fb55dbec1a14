"""The documentation as a site: it builds without a warning, its search finds, and it asks nobody else for anything."""

import re
import shutil
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.browser import browser_page, needs_chromium

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built of a copy."""
    copy = tmp_path_factory.mktemp("site")
    for name in ("docs", "limbshift", "envs", "agents", "meta", "experiments"):
        shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "zensical.toml", copy)
    command = [str(Path(sys.executable).with_name("zensical")), "build", "--strict"]
    ended = subprocess.run(command, cwd=copy, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return copy / ".cache" / "site"


def test_every_page_is_in_the_menu(site: Path) -> None:
    menu = (ROOT / "zensical.toml").read_text()
    pages = sorted(path.name for path in (ROOT / "docs").glob("*.md"))
    assert [page for page in pages if f'"{page}"' not in menu] == []
    assert [page for page in pages if not (site / page).with_suffix(".html").is_file()] == []


def test_nothing_is_asked_of_another_host(site: Path) -> None:
    for path in site.glob("*.html"):
        text = path.read_text()
        loaded = re.findall(r'<(?:script|img|iframe|source)[^>]*\ssrc="(https?:[^"]*)', text)
        loaded += re.findall(r'<link[^>]*rel="(?:stylesheet|preconnect)"[^>]*href="(https?:[^"]*)', text)
        assert loaded == [], path.name


def test_the_api_shows_signatures_and_examples(site: Path) -> None:
    page = (site / "api.html").read_text()
    for name in ("train", "evaluate", "render", "Controller", "TaskFamily", "Adaptation"):
        assert re.search(rf'<h[2-4] id="limbshift\.[\w.]*\.{name}"', page), name
    assert page.count('class="language-pycon') >= 5


@needs_chromium
def test_the_search_finds_without_a_network(site: Path) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with browser_page() as browser:
            browser.open(f"http://127.0.0.1:{server.server_port}/index.html")
            browser.wait_for("document.querySelector('.md-search__button') !== null")
            browser.evaluate("document.querySelector('.md-search__button').click()")
            inside = "document.activeElement.shadowRoot"  # where the search keeps its field and what it found
            browser.wait_for(f"{inside}?.activeElement?.tagName === 'INPUT'")
            browser.type("oracle")
            browser.wait_for(f"/[1-9][0-9]* results/.test({inside}?.textContent ?? '')")
            assert browser.faults == []
    finally:
        server.shutdown()
        server.server_close()


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files, and says nothing."""

    def log_message(self, format: str, *_: object) -> None:
        pass
