"""A comparison with a baseline as a page: every difference with its interval, drawn and in figures."""

from __future__ import annotations

import math

from matplotlib.ticker import PercentFormatter

from necp_validate.claims.metrics.measures import MEASURES
from necp_validate.report.baseline import (
    BaselineComparison,
    Difference,
    Outcome,
    show_change,
    show_relative,
)
from necp_validate.report.html import Figure
from necp_validate.report.page import Page, render_page
from necp_validate.report.style import chart, colour

HEAD = ("outcome", "figure", "baseline", "now", "difference", "interval", "runs")
_DRAWN_AT_MOST = 14
_ROLES = {Outcome.WORSE: "limit", Outcome.BETTER: "social", Outcome.SAME: "muted", Outcome.TOO_FEW: "muted"}


def row(one: Difference) -> tuple[str, ...]:
    """A difference in the columns of `HEAD`."""
    show = MEASURES[one.metric].dimension.show
    interval = f"{show_change(one, one.low)} to {show_change(one, one.high)}" if one.low is not None else ""
    share = show_relative(one, one.estimate)
    change = f"{show_change(one, one.estimate)}{f' ({share})' if share else ''}"
    count = f"{len(one.baseline)} / {len(one.figures)}"
    return str(one.outcome), one.name, show(one.before), show(one.after), change, interval, count


def by_chance(found: BaselineComparison) -> str:
    """How many figures would look worse though nothing has changed."""
    judged = len(found.differences) - len(found.of(Outcome.TOO_FEW))
    expected = judged * (1 - found.confidence) / 2
    return (
        f"{judged} figures were compared with {found.confidence:.0%} confidence each: if nothing had changed, up to "
        f"{expected:.1f} of them would look worse by chance. A difference counts from {found.tolerance:.0%} on."
    )


def render(found: BaselineComparison) -> str:
    """The whole page."""
    return render_page(
        Page(
            title="against the baseline",
            meta=f"{', '.join(found.runs)} · baseline: {', '.join(found.baseline)}",
            verdict=found.verdict,
            sentence=found.sentence,
            notes=found.caveats,
            charts=[Figure(title="Difference from the baseline's median", svg=forest(found), note=by_chance(found))],
            head=HEAD,
            rows=[row(one) for one in found.differences],
        )
    )


def forest(found: BaselineComparison) -> str | None:
    """Each difference with its interval as a share of the baseline's median; None if there is none to draw."""
    drawn = []
    for one in found.differences:
        shares = [one.relative(value) for value in (one.low, one.estimate, one.high)]
        known = [share for share in shares if share is not None and math.isfinite(share)]
        if len(known) == 3:
            drawn.append((one, known))
    if not drawn:
        return None
    drawn = drawn[:_DRAWN_AT_MOST]
    with chart("Differences with their intervals", y_label="") as drawing:
        axes = drawing.axes
        axes.axvline(0, color=colour("fg"), lw=0.8)
        axes.axvspan(-found.tolerance, found.tolerance, color=colour("grid"), alpha=0.5, lw=0)
        for place, (one, (low, estimate, high)) in enumerate(reversed(drawn)):
            role = colour(_ROLES[one.outcome])
            axes.plot([low, high], [place, place], color=role, lw=1.8)
            axes.plot([estimate], [place], color=role, marker="o", ms=3.5)
        axes.set_yticks(range(len(drawn)), [one.name for one, _ in reversed(drawn)], fontsize=6.5)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        axes.margins(x=0.05)
        axes.grid(visible=False, axis="y")
    return drawing.svg
