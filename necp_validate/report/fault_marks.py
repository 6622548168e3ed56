"""Faults drawn into the charts over time."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes

from necp_validate.report.faults import FaultSpan
from necp_validate.report.style import colour

LABEL_CHARS_PER_WIDTH = 72
"""How many characters of the smallest text fit beside each other into a chart."""


def mark_faults(axes: Axes, faults: Sequence[FaultSpan], width_s: float) -> None:
    """Each fault shaded for as long as it was in force, under its number; one that was never seen as a dotted line."""
    above = axes.get_xaxis_transform()
    shown_s = -math.inf
    starts = [fault.start_s for fault in faults[1:]]
    for fault, next_s in zip(faults, [*starts, width_s], strict=False):
        if fault.seen:
            axes.axvspan(fault.start_s, max(fault.end_s, fault.start_s), color=colour("fault"), lw=0, zorder=0.5)
        axes.axvline(fault.start_s, color=colour("limit"), lw=0.7, ls="-" if fault.seen else (0, (1, 2)), zorder=0.6)
        # Numbers that would lie on each other give way: the table has them all.
        if fault.start_s - shown_s >= width_s / LABEL_CHARS_PER_WIDTH * 2:
            shown_s = fault.start_s
            named = f"{fault.label} {fault.kind}"
            room = LABEL_CHARS_PER_WIDTH * (next_s - fault.start_s) / width_s
            label = named if len(named) < room else fault.label
            axes.text(
                fault.start_s,
                0.99,
                f" {label}",
                transform=above,
                ha="left",
                va="top",
                fontsize=7,
                color=colour("limit"),
            )
