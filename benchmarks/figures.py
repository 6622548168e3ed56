"""How the benchmarks print what they measured."""

from __future__ import annotations

from typing import Any


def say(what: str, **figures: Any) -> None:
    """Print one row of figures."""
    print(f"{what:<44} {'  '.join(f'{name}={_figure(value)}' for name, value in figures.items())}", flush=True)


def _figure(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def target(what: str, value: float, bound: float, *, at_most: bool = True) -> bool:
    """Print a figure against its target; tells whether it is met."""
    met = value <= bound if at_most else value >= bound
    print(f"{what:<44} {value:,.3g}  target {'<=' if at_most else '>='} {bound:,.3g}  {'met' if met else 'MISSED'}")
    return met
