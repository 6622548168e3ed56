"""Figures as people read them, the same in every report. What is missing is a dash."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

Shown: TypeAlias = Callable[[float | None], str]

MISSING = "–"  # noqa: RUF001  # the dash that tables use
SYMBOLS = {"pass": "✓", "fail": "✗", "unknown": "?", "not applicable": "·"}


def clauses(words: str) -> list[str]:
    """What claims and checks rest on, part by part, each once: they join what they have found by semicolons."""
    return list(dict.fromkeys(filter(None, (part.strip() for part in words.split("; ")))))


def folded(words: str, most: int) -> tuple[str, str, int]:
    """The first parts of what a claim or a check rests on, the others, and how many these are; never one alone."""
    parts = clauses(words)
    shown = most if len(parts) > most + 1 else len(parts)
    return "; ".join(parts[:shown]), "; ".join(parts[shown:]), len(parts) - shown


def brief(words: str, most: int = 2) -> str:
    """The first parts, and how many there are more."""
    shown, _, more = folded(words, most)
    return f"{shown}; and {more} more" if more else shown


def count(value: float | None) -> str:
    """A number of things: ``1,234,567``."""
    return MISSING if value is None or math.isnan(value) else f"{value:,.0f}"


def short_count(value: float | None) -> str:
    """A number of things where room is scarce: ``1.59 M``, ``26.5 k``."""
    if value is None or math.isnan(value):
        return MISSING
    for limit, unit in ((1e9, " G"), (1e6, " M"), (1e4, " k")):
        if abs(value) >= limit:
            return f"{value / (limit if limit != 1e4 else 1e3):.3g}{unit}"
    return f"{value:,.0f}"


def ms(value: float | None) -> str:
    """A latency given in milliseconds: ``0.42 ms``, ``16.1 ms``, ``1.25 s``; ``never`` if infinite."""
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "never"
    if abs(value) >= 1000:
        return f"{value / 1000:.3g} s"
    return f"{value:.0f} ms" if abs(value) >= 100 else f"{value:.3g} ms"


def seconds(value: float | None) -> str:
    """A duration given in seconds: ``1.4 s``, ``2 min 05 s``."""
    if value is None or math.isnan(value):
        return MISSING
    if value < 120:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 7200:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def gibibytes(value: float | None) -> str:
    """Memory given in bytes: ``1.21 GiB``."""
    if value is None or math.isnan(value):
        return MISSING
    return f"{value / 2**30:.2f} GiB" if value >= 2**30 else f"{value / 2**20:.0f} MiB"


def percent(value: float | None, digits: int = 1) -> str:
    """A share between 0 and 1: ``99.7%``; never rounded up to 100%."""
    if value is None or math.isnan(value):
        return MISSING
    shown = f"{value * 100:.{digits}f}%"
    if value < 1 and shown == f"{100:.{digits}f}%":
        return f">{100 - 10**-digits:.{digits}f}%"
    return shown


def moment(epoch_us: int | None) -> str:
    """A moment given in epoch microseconds, in UTC."""
    if not epoch_us:
        return MISSING
    return datetime.fromtimestamp(epoch_us / 1e6, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
