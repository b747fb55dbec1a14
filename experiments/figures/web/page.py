"""A page in one file: text, tables, and charts that answer to mouse, keyboard and screen reader."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from limbshift.agents.atomic_write import replacing
from limbshift.experiments.figures.chart import Chart
from limbshift.experiments.figures.web.traces import figure_of

HERE = Path(__file__).parent


def write_page(path: Path, template: Path, **values: Any) -> None:
    """Replaces the page at a path by what a template, an heir of page.html.jinja, makes of the values.

    The template may draw charts by `charts(...)`.
    """
    loader = jinja2.FileSystemLoader([template.parent, HERE])
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, loader=loader)
    environment.globals.update(
        charts=lambda *each, hidden=(): _charts(environment, each, hidden),
        script=Markup((HERE / "page.js").read_text()),
        style=Markup((HERE / "page.css").read_text()),
        plotly=Markup(get_plotlyjs().replace("</script", "<\\/script")),
    )
    text = environment.get_template(template.name).render(**values)
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _charts(environment: jinja2.Environment, charts: Sequence[Chart], hidden: Sequence[str]) -> Markup:
    """Returns charts side by side, above them what is drawn, to be shown or not, below them the numbers.

    hidden: what is not shown at first.
    """
    names = {name: colour for chart in charts for name, colour in chart.names.items()}
    template = environment.get_template("charts.html.jinja")
    figures = [Markup(figure_of(chart, hidden).to_json().replace("<", "\\u003c")) for chart in charts]
    return Markup(template.render(charts=list(zip(charts, figures, strict=True)), names=names, hidden=hidden))
