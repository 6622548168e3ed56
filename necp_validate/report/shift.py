"""By how much one set of figures lies above another: the Hodges-Lehmann estimate and its exact interval.

Few runs are repeated, and their figures are not normally distributed: the interval is the one that belongs to the
Mann-Whitney test (Hollander, Wolfe, Chicken: Nonparametric Statistical Methods, 4.3), with the exact distribution. It
assumes that both sets scatter alike, and nothing about how. A bootstrap of three figures would be far too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """How far figures lie above a baseline's.

    Args:
        estimate: the median of all pairwise differences.
        low, high: its interval; None where there are too few figures for the confidence asked for.
        confidence: what the interval really has, at least what was asked for.
    """

    estimate: float
    low: float | None = None
    high: float | None = None
    confidence: float | None = None


def shift(baseline: Sequence[float], figures: Sequence[float], confidence: float) -> Shift:
    """Estimate a shift; figures may be infinite.

    Args:
        baseline: not empty.
        figures: not empty.
        confidence: of the interval, e.g. 0.95.
    """
    differences = sorted(0.0 if a == b else b - a for a in baseline for b in figures)
    estimate = _middle(differences)
    cut, reached = _cut(len(baseline), len(figures), confidence)
    if not cut:
        return Shift(estimate=estimate)
    return Shift(estimate=estimate, low=differences[cut - 1], high=differences[-cut], confidence=reached)


def _middle(ordered: Sequence[float]) -> float:
    a, b = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return a if a == b else (a + b) / 2


def _cut(m: int, n: int, confidence: float) -> tuple[int, float]:
    """How many differences may be cut off at each end, at least one, and the confidence reached; 0 with too few."""
    ways = u_ways(m, n)
    total, below, cut, reached = float(math.comb(m + n, n)), 0.0, 0, 0.0
    for count in ways:
        below += float(count)
        if 1 - 2 * below / total < confidence - 1e-12:
            break
        cut, reached = cut + 1, 1 - 2 * below / total
    return cut, reached


def u_ways(m: int, n: int) -> list[int]:
    """In how many ways two sets can be ordered so that Mann and Whitney's U is 0, 1, ..., m * n."""
    # The coefficients of the Gaussian binomial: a product of (1 - q^(n+i)) / (1 - q^i).
    ways = [0] * (m * n + 1)
    ways[0] = 1
    for i in range(1, m + 1):
        for u in range(m * n, n + i - 1, -1):
            ways[u] -= ways[u - n - i]
        for u in range(i, m * n + 1):
            ways[u] += ways[u - i]
    return ways


def fewest_runs(confidence: float) -> int:
    """How many runs on each side are the fewest for an interval."""
    count = 1
    while not _cut(count, count, confidence)[0]:
        count += 1
    return count


def median(figures: Sequence[float]) -> float:
    """The median of figures that may be infinite."""
    return _middle(np.sort(np.asarray(figures, dtype=float)).tolist())
