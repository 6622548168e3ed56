"""Units of thresholds and of what is measured: one base unit per dimension, others by factor."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

_NUMBER = re.compile(r"^\s*(\d[\d_,]*(?:\.\d+)?|\.\d+)\s*(\S.*?)?\s*$")


class BadQuantity(ValueError):
    """A quantity that cannot be read; the message says why, ``hint`` what would do."""

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.hint = hint


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """What a kind of figure is counted in.

    Args:
        name: for a sentence.
        units: factor of each unit to the base unit; the first is what figures are shown in.
        bare: whether a number without a unit is the base unit.
    """

    name: str
    units: Mapping[str, float]
    bare: bool = False

    def read(self, given: str | float) -> float:
        """A threshold as a file has it, in the base unit.

        Args:
            given: a text such as ``"40 ms"`` or ``"20,000 events/s"``, or a number where the unit may be left out.

        Raises:
            BadQuantity: not a number, no unit, or a unit of something else.
        """
        hint = f"{self.name} is given in {', '.join(self.units)}{' or as a bare number' if self.bare else ''}"
        found = _NUMBER.match(f"{given}" if isinstance(given, str) else f"{given:f}")
        if found is None:
            raise BadQuantity(f'"{given}" is not a number with a unit', hint)
        unit = found[2] or ""
        if unit not in self.units and not (self.bare and not unit):
            problem = f'"{given}" has the unit "{unit}"' if unit else f'"{given}" has no unit'
            raise BadQuantity(problem, hint)
        return float(found[1].replace("_", "").replace(",", "")) * (self.units[unit] if unit else 1.0)

    def show(self, value: float) -> str:
        """A figure for a person."""
        if math.isinf(value):
            return "never"
        if self is TIME and value >= 1000:
            return f"{_rounded(value / 1000, 4)} s"
        if self is SHARE:
            return f"{100 * value:.4g}%"
        if self is MEMORY:
            return f"{_rounded(value / 1e9, 3)} GB" if value >= 1e9 else f"{value / 2**20:,.0f} MiB"
        unit = next(iter(self.units))
        digits = f"{value:,.0f}" if value == round(value) or abs(value) >= 1000 else _rounded(value, 3)
        return f"{digits}{'' if unit == '%' else ' '}{unit}"


def _rounded(value: float, digits: int) -> str:
    """To so many digits that count, never as a power of ten where it is large."""
    near = float(f"{value:.{digits}g}")
    return f"{near:,.0f}" if abs(near) >= 10 ** (digits - 1) else f"{near:,.{digits}g}"


TIME = Dimension(name="a time", units={"ms": 1.0, "us": 1e-3, "s": 1e3, "min": 60e3})
RATE = Dimension(name="a rate", units={"events/s": 1.0, "eps": 1.0, "/s": 1.0})
SHARE = Dimension(name="a share", units={"%": 0.01}, bare=True)
EVENTS = Dimension(name="a number of events", units={"events": 1.0}, bare=True)
PARTITIONS = Dimension(name="a number of partitions", units={"partitions": 1.0}, bare=True)
CPU = Dimension(name="CPU of a process (100% is one core)", units={"%": 1.0, "cores": 100.0})
HOST_CPU = Dimension(name="CPU of the whole host", units={"%": 1.0})
OPERATIONS = Dimension(name="disk operations a second", units={"/s": 1.0, "IOPS": 1.0}, bare=True)
MEMORY = Dimension(
    name="memory",
    units={"MiB": 2.0**20, "B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2.0**10, "GiB": 2.0**30},
)
