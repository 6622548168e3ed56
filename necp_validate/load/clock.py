"""How far another clock is from this one, from messages there and back, as NTP has it (RFC 5905, section 8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from necp_validate.record.workers import ClockEstimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    """One message there and back; every time is epoch nanoseconds of the clock of who took it.

    Args:
        sent_ns: when it left here.
        received_ns: when it was received there.
        answered_ns: when the answer left there.
        returned_ns: when the answer was received here.
    """

    sent_ns: int
    received_ns: int
    answered_ns: int
    returned_ns: int

    @property
    def round_trip_ns(self) -> int:
        """Time on the way, without the time spent there."""
        return (self.returned_ns - self.sent_ns) - (self.answered_ns - self.received_ns)

    @property
    def offset_ns(self) -> float:
        """Their clock minus ours, if both ways took equally long."""
        return ((self.received_ns - self.sent_ns) + (self.answered_ns - self.returned_ns)) / 2


def estimate(pings: Sequence[Ping]) -> ClockEstimate | None:
    """Estimate the offset from the ping that was the shortest time on its way; None without any that can be used.

    However unequal the two ways were, the true offset is within half of the round trip of the estimate. A ping of no
    or negative length is no evidence: a clock was set while it was on its way.
    """
    usable = [ping for ping in pings if ping.round_trip_ns > 0]
    if not usable:
        return None
    best = min(usable, key=lambda ping: ping.round_trip_ns)
    return ClockEstimate(
        at_us=best.returned_ns // 1000,
        offset_us=best.offset_ns / 1000,
        uncertainty_us=best.round_trip_ns / 2000,
        samples=len(usable),
    )
