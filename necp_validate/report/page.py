"""One self-contained page with a verdict, a few charts and a table, for what is about several runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

from necp_validate import __version__
from necp_validate.core import Verdict
from necp_validate.report import text
from necp_validate.report.html import Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What is on it.

    Args:
        title: what it is about.
        meta: of what, in small letters.
        verdict: above all else.
        sentence: why.
        notes: what to be careful about.
        charts: those without a drawing are left out.
        head, rows: the table.
    """

    title: str
    meta: str
    verdict: Verdict
    sentence: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    charts: Sequence[Figure] = ()


def render_page(page: Page) -> str:
    """The whole page."""
    environment = Environment(
        loader=PackageLoader("necp_validate.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    assert environment.loader is not None
    css, _, _ = environment.loader.get_source(environment, "report.css")
    return environment.get_template("page.html.j2").render(
        css=css,
        symbols=text.SYMBOLS,
        version=__version__,
        title=page.title,
        meta=page.meta,
        verdict=str(page.verdict),
        sentence=page.sentence,
        notes=page.notes,
        charts=[chart for chart in page.charts if chart.svg],
        head=page.head,
        rows=page.rows,
    )
