"""What the numbers of a record may be: annotations of its fields, declared once, which the codec holds them to.

A number without one of these is 0 or more, and none is ever infinite or not a number.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import Annotated, Final, TypeAlias


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a number may be.

    Args:
        low, high: its least and greatest value, both possible.
        what: such a number, for an error.
        none: what an older version wrote in the place of ``None``.
    """

    low: float
    high: float = inf
    what: str = ""
    none: float | None = None


@dataclass(frozen=True, slots=True)
class ReadableAs:
    """Of a JSON object that is kept whole: what of it must be readable as something.

    Args:
        kind: a dataclass.
    """

    kind: type


_2001_S, _2100_S = 978_307_200, 4_102_444_800
EPOCH_US: Final = Bounds(_2001_S * 10**6, _2100_S * 10**6, "a time in microseconds since 1970, from 2001 to 2100")

EpochUs: TypeAlias = Annotated[int, EPOCH_US]
"""A moment on a clock of the suite's own, in microseconds; what a judged party says of time is no such moment."""
EpochUsOr0: TypeAlias = Annotated[int, replace(EPOCH_US, none=0)]
"""The same; older versions wrote 0 where there was none."""
EpochS: TypeAlias = Annotated[float, Bounds(_2001_S, _2100_S, "a time in seconds since 1970, from 2001 to 2100")]
Signed: TypeAlias = Annotated[int, Bounds(-inf)]
SignedFloat: TypeAlias = Annotated[float, Bounds(-inf)]
Place: TypeAlias = Annotated[int, Bounds(-1, inf, "a partition, an offset or a broker, or -1 for none")]
Percent: TypeAlias = Annotated[float, Bounds(0, 100, "a percentage")]
Share: TypeAlias = Annotated[float, Bounds(0, 1, "a share of 1")]
Digest: TypeAlias = Annotated[int, Bounds(0, 2**64 - 1, "a sum modulo 2^64")]

NOT_NEGATIVE: Final = Bounds(0)

ORDERED: Final = (
    ("start_us", "end_us"),
    ("begin_us", "end_us"),
    ("from_us", "to_us"),
    ("first_us", "last_us"),
    ("started_us", "finished_us"),
    ("begin_us", "effective_us"),
    ("asked_us", "refused_us"),
    ("asked_us", "accepted_us"),
    ("asked_us", "watched_us"),
)
"""Moments of one object of which the first is never after the second, where both are known."""
