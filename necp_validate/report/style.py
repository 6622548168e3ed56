"""How charts look: colours by role, one figure size, and SVG that follows the page's light or dark theme.

Matplotlib draws with placeholder colours; the finished SVG gets CSS variables in their place. So one chart is
readable on white and on black, and the template alone decides about colour.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

_ROLES = (
    "fg",
    "muted",
    "grid",
    "combat",
    "economy",
    "social",
    "system",
    "scheduled",
    "acked",
    "processed",
    "phase-warmup",
    "phase-steady",
    "phase-surge",
    "phase-fault",
    "phase-recovery",
    "broker-1",
    "broker-2",
    "broker-3",
    "limit",
    "fault",
)
_PLACEHOLDERS = {role: f"#0a0b{number:02x}" for number, role in enumerate(_ROLES)}
_WIDTH_IN, _HEIGHT_IN = 4.9, 2.35

_RC: Any = {  # a key of rcParams is a literal type of some hundred names: nothing is gained by it
    "svg.fonttype": "none",
    "font.size": 8,
    "axes.edgecolor": _PLACEHOLDERS["grid"],
    "axes.labelcolor": _PLACEHOLDERS["muted"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.xmargin": 0.0,
    "grid.color": _PLACEHOLDERS["grid"],
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.5,
    "lines.solid_capstyle": "round",
    "text.color": _PLACEHOLDERS["fg"],
    "xtick.color": _PLACEHOLDERS["grid"],
    "ytick.color": _PLACEHOLDERS["grid"],
    "xtick.labelcolor": _PLACEHOLDERS["muted"],
    "ytick.labelcolor": _PLACEHOLDERS["muted"],
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "legend.handlelength": 1.6,
    "legend.columnspacing": 1.2,
    "legend.borderaxespad": 0.0,
}


def colour(role: str) -> str:
    """Placeholder of a role; roles without a colour of their own are muted."""
    return _PLACEHOLDERS.get(role, _PLACEHOLDERS["muted"])


@dataclass(slots=True)
class Chart:
    """A figure under construction; ``svg`` holds it when the `chart` block has ended.

    Args:
        axes: where to draw.
        svg: the finished chart, to be put into a page as it is.
    """

    axes: Axes
    svg: str = ""


@contextmanager
def chart(label: str, *, y_label: str) -> Iterator[Chart]:
    """Draw one chart.

    Args:
        label: what the chart shows, for people who cannot see it, and unique in the page.
        y_label: unit of the vertical axis.
    """
    with mpl.rc_context({**_RC, "svg.hashsalt": label}):
        figure = Figure(figsize=(_WIDTH_IN, _HEIGHT_IN), layout="constrained")
        axes = figure.add_subplot()
        axes.set_ylabel(y_label)
        axes.grid(visible=False, axis="x")
        result = Chart(axes=axes)
        yield result
        result.svg = _render(figure, label)


def legend(axes: Axes) -> None:
    """One row of names above the plot."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        axes.legend(handles, labels, loc="lower left", bbox_to_anchor=(0, 1.1), ncols=len(handles))


_UNWANTED = re.compile(
    r"\s*<metadata>.*?</metadata>"
    r"|\s*<defs>\s*<style.*?</style>\s*</defs>"
    r"|\s*<!--.*?-->"
    r"| id=\"[A-Za-z0-9.]+_\d+\""  # axes_1, patch_2 ...: every chart has them; a page must not repeat an id
    r"| font-family: [^;\"]*;?"
    r"| transform=\"rotate\(-0 [^\"]*\"",
    re.DOTALL,
)


def _render(figure: Figure, label: str) -> str:
    """The SVG element alone, small, in CSS variables, sized by the page."""
    FigureCanvasSVG(figure)
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    svg = out.getvalue()
    svg = _UNWANTED.sub("", svg[svg.index("<svg") :])
    for role, placeholder in _PLACEHOLDERS.items():
        svg = svg.replace(placeholder, f"var(--{role})")
    width, height = (round(inches * 72, 1) for inches in (_WIDTH_IN, _HEIGHT_IN))
    start = f'<svg role="img" aria-label="{escape(label)}" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'  # noqa: E501  # one tag
    svg = re.sub(r"<svg[^>]*>", lambda _: start, svg, count=1)
    return re.sub(r"\s*\n\s*", " ", svg).replace("> <", "><").strip()
