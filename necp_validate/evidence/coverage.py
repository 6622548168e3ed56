"""How much of a time a series of samples covers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Span = tuple[float, float]
"""Begin and end in epoch seconds."""

_LATE = 2.0
"""A sample may come so many times its interval after the one before: the host is shared with what it watches."""


def covered_s(times: Iterable[float], span: Span, every_s: float) -> float:
    """Seconds of a span that samples cover.

    A sample speaks for the time since the one before it, up to twice the interval at which it is due, and for as much
    after it.

    Args:
        times: of the samples, epoch seconds, in any order.
        span: what is to be covered.
        every_s: interval at which samples are due.
    """
    begin, end = span
    total, reach = 0.0, begin
    for at in sorted(times):
        first, last = max(at - _LATE * every_s, reach), min(at + every_s, end)
        if last > first:
            total += last - first
            reach = last
    return total


def without(span: Span, others: Iterable[Span]) -> list[Span]:
    """What is left of a span outside of others, in order."""
    left = [span]
    for begin, end in others:
        left = [
            piece
            for first, last in left
            for piece in ((first, min(last, begin)), (max(first, end), last))
            if piece[1] > piece[0]
        ]
    return left


def length_s(spans: Sequence[Span]) -> float:
    """Seconds of several spans that do not overlap."""
    return sum(end - begin for begin, end in spans)
