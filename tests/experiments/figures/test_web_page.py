"""Web pages: what stands in them, and what a browser makes of their charts."""

import json
from pathlib import Path

import pytest

from limbshift.experiments.figures.chart import Chart, Level, Series
from limbshift.experiments.figures.web.page import write_page
from limbshift.experiments.figures.web.traces import figure_of
from tests.browser import browser_page, needs_chromium

BAND = Series("<a> & b", "#204060", [0.0, 1.0], [2.0, 4.0], ([1.0, 3.5], [3.0, 5.0]), dots=False)
BARS = Series("bars", "#ff0000", [1.0, 2.0], [2.0, None], ([1.5, 1.0], [2.25, 1.0]), notes=["one", "two"])
CHART = Chart(
    "Title", "x, m", "y", (BAND, BARS), (Level("flat", "#00ff00", 7.0),), ground=(0.5, 1.5), border=(1.0, "now")
)
TEMPLATE = """{% extends "page.html.jinja" %}{% block title %}{{ words }}{% endblock %}
{% block content %}<h1>{{ words }}</h1>{{ charts(chart, other, hidden=["bars"]) }}{% endblock %}"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    template, out = tmp_path / "own.html.jinja", tmp_path / "page.html"
    template.write_text(TEMPLATE)
    other = Chart("Other", "steps", "return", (Series("bars", "#ff0000", [1, 10, 100], [1, 2, 3]),), x_log=True)
    write_page(out, template, words="a < b", chart=CHART, other=other)
    return out


def test_a_figure_has_bands_bars_levels_and_gaps() -> None:
    figure = json.loads(figure_of(CHART, hidden=["bars"]).to_json())
    band, line, bars, level = figure["data"]
    assert band["y"] == [3.0, 5.0, 3.5, 1.0]  # there along the high end, back along the low one
    assert band["fillcolor"] == "rgba(32,64,96,0.15)"
    assert line["mode"] == "lines"
    assert (bars["mode"], bars["y"], bars["text"]) == ("lines+markers", [2.0, None], ["one", "two"])
    assert bars["error_y"]["arrayminus"] == [0.5, 0.0]
    assert bars["error_y"]["array"] == [0.25, 0.0]
    assert (level["x"], level["y"]) == ([0.0, 2.0], [7.0, 7.0])
    assert [trace["visible"] for trace in figure["data"]] == [True, True, False, True]


def test_a_page_needs_nothing_beside_it_and_means_what_it_says(page: Path) -> None:
    text = page.read_text()
    head = text[: text.index("<script>")]
    assert "<h1>a &lt; b</h1>" in head
    assert "<title>a &lt; b</title>" in head
    assert '<input type="checkbox" value="&lt;a&gt; &amp; b" checked>' in head
    assert '<input type="checkbox" value="bars">' in head
    assert "<a> & b" not in head
    assert "src=" not in head
    assert 'href="http' not in head


@needs_chromium
def test_a_browser_draws_charts_that_boxes_and_keys_change(page: Path) -> None:
    with browser_page() as browser:
        browser.open(page.as_uri(), width=390)
        browser.wait_for("document.querySelectorAll('.chart .main-svg').length >= 2")
        assert browser.evaluate("document.documentElement.scrollWidth") <= 390
        visible = "[...document.querySelectorAll('.chart')].map(c => c.data.map(t => t.visible))"
        assert browser.evaluate(visible) == [[True, True, False, True], [False]]
        browser.evaluate("document.querySelector('input[value=bars]').click()")
        browser.wait_for(f"{visible}.flat().every(Boolean)")
        browser.evaluate("document.querySelector('input').click()")
        browser.wait_for(f"{visible}[0].join() === 'false,false,true,true'")
        span = "(r => r[1] - r[0])(document.querySelector('.chart')._fullLayout.xaxis.range)"
        before = browser.evaluate(span)
        browser.evaluate("document.querySelector('.chart').focus()")
        browser.press("+")
        browser.wait_for(f"Math.abs({span} - {0.8 * before}) < 1e-6")
        browser.press("0")
        browser.wait_for(f"Math.abs({span} - {before}) < 1e-6")
        assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        browser.prefer("dark")
        browser.wait_for("getComputedStyle(document.body).backgroundColor === 'rgb(21, 24, 28)'")
        browser.wait_for("document.querySelector('.chart').layout.font.color === '#e6e8ec'")
        assert browser.faults == []
