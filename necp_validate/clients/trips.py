"""How long requests were on their way, by phase, from what librdkafka says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec


class _Window(msgspec.Struct):
    p50: float
    p99: float
    cnt: int


class _Broker(msgspec.Struct):
    rtt: _Window
    int_latency: _Window


class _Statistics(msgspec.Struct):
    brokers: dict[str, _Broker]


_DECODE: Final = msgspec.json.Decoder(_Statistics).decode


@dataclass(slots=True)
class _Sum:
    requests: int = 0
    p50_us: float = 0.0
    p99_us: float = 0.0
    queued: int = 0
    queued_p50_us: float = 0.0


class RoundTrips:
    """Sums the windows of ``statistics.interval.ms``, each weighted by what it counted."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str], _Sum] = {}

    def add(self, phase: str, domain: str, statistics: bytes) -> None:
        """Take in one emission of a producer's statistics.

        Args:
            phase: name of the phase in which the window ended.
            domain: the producer's.
            statistics: JSON, as librdkafka gives it.
        """
        total = self._sums.setdefault((phase, domain), _Sum())
        for broker in _DECODE(statistics).brokers.values():
            trip, queue = broker.rtt, broker.int_latency
            total.requests += trip.cnt
            total.p50_us += trip.cnt * trip.p50
            total.p99_us += trip.cnt * trip.p99
            total.queued += queue.cnt
            total.queued_p50_us += queue.cnt * queue.p50

    def by_phase(self) -> dict[str, dict[str, dict[str, float]]]:
        """By phase and domain: ``requests``, and in milliseconds ``rtt_p50``, ``rtt_p99`` and ``queue_p50``.

        ``rtt``: from a request's sending to its answer. ``queue``: from handing an event to the client to the
        request's making. Each is the mean over windows and brokers of the window's percentile.
        """
        found: dict[str, dict[str, dict[str, float]]] = {}
        for (phase, domain), s in self._sums.items():
            if s.requests and s.queued:
                found.setdefault(phase, {})[domain] = {
                    "requests": s.requests,
                    "rtt_p50": s.p50_us / s.requests / 1000,
                    "rtt_p99": s.p99_us / s.requests / 1000,
                    "queue_p50": s.queued_p50_us / s.queued / 1000,
                }
        return found
